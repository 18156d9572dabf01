"""A column both sides own: who changed it is followed, what both changed waits, and nothing goes
round in circles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_kit import column, export, ledger, stand

from reverse_etl import applied, diff, exports, shared
from reverse_etl.model import Export

NAMES = ("number", "phone", "name")


def towards(target: str) -> Export:
    """The export of one direction."""
    columns = (column("number"), column("phone", owner="both"), column("name"))
    made = export("contacts", NAMES, target=target, context=(), subject=None, partition=None)
    return replace(made, columns=columns)


SIDES = {"crm": towards("crm"), "erp": towards("erp")}
OTHER = {"crm": "erp", "erp": "crm"}


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with ledger() as made:
        yield made


@pytest.mark.parametrize(
    ("ours", "theirs", "written", "agreed", "change", "policy"),
    [
        # what was agreed on is A: who moved?
        ("B", "A", "A", None, True, None),
        ("A", "B", "A", None, False, "theirs"),
        ("C", "B", "A", None, False, "both"),
        ("B", "B", "A", None, False, None),
        (None, "A", "A", None, True, None),
        ("A", None, "A", None, False, "theirs"),
        # agreed on since we wrote
        ("C", "B", "A", "B", True, None),
        ("B", "C", "A", "B", False, "theirs"),
        ("C", "D", "A", "B", False, "both"),
        # nobody knows: what is empty is filled, two values wait
        ("A", None, None, None, True, None),
        (None, "A", None, None, False, "theirs"),
        ("A", "B", None, None, False, "both"),
        ("B", "A", None, "A", True, None),
    ],
)
def test_who_changed_it_since_both_agreed_is_followed_and_two_changes_wait(
    connection: duckdb.DuckDBPyConnection,
    ours: str | None,
    theirs: str | None,
    written: str | None,
    agreed: str | None,
    change: bool,
    policy: str | None,
):
    one = SIDES["erp"]
    stand(
        connection,
        one,
        wanted=[("p", ours, "N")],
        there=[("r", "p", theirs, "N")],
        written=[("p", written, "N")] if written else [],
    )
    for key, name, value in (("p", "phone", agreed), ("q", "phone", "x"), ("p", "name", "x")):
        if value:
            connection.execute(
                "insert into ledger.applied.agreed values ('erp', 'contacts', ?, ?, ?)",
                [key, name, value],
            )
    diff.compare(connection, one, 1)
    found = connection.execute("select action, new ->> 'phone' from changes").fetchall()
    assert found == ([("update", ours)] if change else [])
    drifts = connection.execute("select column_name, policy from drifts").fetchall()
    assert drifts == ([("phone", policy)] if policy else [])


class Joined:
    """Two systems with one contact each, and the runs between them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, crm: str | None, erp: str | None):
        self.connection, self.held, self.number = connection, {"crm": crm, "erp": erp}, 0
        for one in SIDES.values():
            stand(connection, one)

    def run(self) -> tuple[int, int]:
        """One run: (values written, values that wait)."""
        self.number += 1
        self.connection.execute("delete from changes; delete from drifts")
        for side, one in SIDES.items():
            row, found = ("p", self.held[OTHER[side]], "N"), ("r", "p", self.held[side], "N")
            for table, values in ((one.relation, row), (diff.observed_view(one), found)):
                self.connection.execute(f"delete from {table}")
                marks = ", ".join("?" * len(values))
                self.connection.execute(f"insert into {table} values ({marks})", list(values))
            diff.compare(self.connection, one, 1)
        waiting = self._count("select count(*) from drifts where policy = 'both'")
        for side, one in SIDES.items():
            shared.agree(self.connection, one, diff.observed_view(one))
            self.connection.execute(
                "create or replace temp table done as select key, action, new, subject, partition,"
                " family, source, 'run' as run_id, now() as finished_at from changes"
                " where target = ?",
                [side],
            )
            for (value,) in self.connection.execute("select new ->> 'phone' from done").fetchall():
                self.held[side] = value
            applied.record(self.connection, side, "contacts", "done")
            shared.outdated(self.connection, side, "contacts", "done")
        return self._count("select count(*) from changes"), waiting

    def _count(self, query: str) -> int:
        return self.connection.execute(query).fetchone()[0]


VALUES = st.sampled_from(["A", "B", "C", None])
EDITED = st.tuples(st.sampled_from(["crm", "erp", "both", "none"]), VALUES, VALUES)


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(first=st.tuples(VALUES, VALUES), edits=st.lists(EDITED, max_size=4))
def test_two_sides_come_together_lose_nothing_and_never_go_round_in_circles(first, edits):
    with ledger() as connection:
        joined = Joined(connection, *first)
        joined.run()
        joined.run()  # only who has seen both the same knows what they agreed on
        together = joined.held["crm"] == joined.held["erp"]
        for who, value, other in edits:
            before = dict(joined.held)
            if who in ("crm", "both"):
                joined.held["crm"] = value
            if who in ("erp", "both"):
                joined.held["erp"] = other
            edited = dict(joined.held)
            joined.run()
            _, waiting = joined.run()
            assert set(joined.held.values()) <= set(edited.values()), "no value of nobody's"
            moved = [side for side in edited if edited[side] != before[side]]
            if together and len(moved) == 1:
                assert set(joined.held.values()) == {edited[moved[0]]}, "one moved, and is followed"
            if together and len(moved) == 2 and len(set(edited.values())) == 2:
                assert joined.held == edited and waiting, "both moved, and nothing is written"
            assert joined.run() == (0, waiting), "nothing more to write"
            together = joined.held["crm"] == joined.held["erp"]
            assert together or waiting


@pytest.mark.parametrize("said", [{"on_drift": "leave"}, {"role": "login"}, {"ignoring": ["case"]}])
def test_a_column_both_sides_own_has_no_role_and_no_drift(said: dict):
    with pytest.raises(exports.ExportError, match="owner is both, and it says"):
        exports._column("phone", {"config": {"meta": {"owner": "both", **said}}}, "x", "revert")
