"""Switches: what others closed stays closed, what others opened is closed again and named, whoever
did it, whatever the ledger knows, and however a platform says "closed".
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from engine_bench import GROUPS, MEMBERS, USERS, Bench, user
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_kit import column, export, ledger, stand

from reverse_etl import diff, releases
from reverse_etl.__main__ import _closed
from reverse_etl.exports import ExportError, declared
from reverse_etl.limits import parse
from reverse_etl.model import ON_DRIFT, Column
from reverse_etl.plan import CLOSED

# How platforms say "closed": switches as (value that means closed, value that means open, type).
PLATFORMS: dict[str, tuple[tuple[Any, Any, str], ...]] = {
    "google": ((True, False, "boolean"), (True, False, "boolean")),  # suspended, archived
    "microsoft": ((False, True, "boolean"),),  # accountEnabled
    "rest": (("closed", "open", "text"), ("off", "on", "text")),
    "sql": ((0, 1, "integer"),),
}


def as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class One:
    """One object: of each switch whether it is off in the row, there, and in what we wrote (none:
    the ledger has no row; then `word` is our last word in the audit), and what the target says.
    """

    wanted: tuple[bool, bool]
    there: tuple[bool, bool]
    written: tuple[bool, bool] | None
    word: bool | None
    reason: str | None


both = st.tuples(st.booleans(), st.booleans())
objects = st.builds(
    One,
    both,
    both,
    st.none() | both,
    st.none() | st.booleans(),
    st.sampled_from([None, "ADMIN", "ABUSIVE"]),
)


def expected(one: One, count: int) -> tuple[str | None, bool, bool, set[int]]:
    """(action, held, told as opened by others, which switches are turned)."""
    pairs = list(zip(one.wanted[:count], one.there[:count], strict=True))
    closes = any(wanted and not there for wanted, there in pairs)
    opens = any(there and not wanted for wanted, there in pairs)
    if not closes and not opens:
        return None, False, False, set()
    turned: set[int] = set()
    held = opened = False
    for place, (wanted, there) in enumerate(pairs):
        ours = one.written[place] if one.written is not None else one.word is True and place == 0
        alien = place == 0 and one.reason == "ABUSIVE"  # the first says who closed it
        shut = there and not wanted and (alien or not ours)
        # who is closed is closed, and what others closed is not opened by the way
        held |= shut and not closes
        if wanted != there and not (shut and closes):
            turned.add(place)
        opened |= wanted and not there and one.written is not None and one.written[place]
    # who is closed already loses no way in by another switch: that is an update
    closed_already = closes and not opens and not opened and pairs[0][1]
    action = "update" if closed_already else "suspend" if closes else "restore"
    return action, held, closes and opened, turned


@pytest.mark.parametrize("platform", PLATFORMS)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(several=st.lists(objects, min_size=8, max_size=30), on_drift=st.sampled_from(ON_DRIFT))
def test_no_object_is_opened_that_others_closed_and_no_switch_is_drift(
    platform: str, several: list[One], on_drift: str
) -> None:
    spoken = PLATFORMS[platform]
    names = ["switch_0", "switch_1"][: len(spoken)]
    kinds = {name: kind for name, (_, _, kind) in zip(names, spoken, strict=True)}
    of = export("users", ("person_id", *names, "reason"), context=("reason",))
    of = replace(
        of,
        columns=(
            column("person_id"),
            *(
                Column(
                    name,
                    kinds[name],
                    role="switch",
                    off_value=off,
                    on_drift=on_drift,  # what cannot be declared, and would not matter
                    off_because=("reason", "ADMIN") if name == "switch_0" else None,
                )
                for name, (off, _, _) in zip(names, spoken, strict=True)
            ),
            column("reason"),
        ),
    )

    def row(key: str, off: tuple[bool, bool], reason: str | None = None) -> tuple:
        said = [as_text(s[0] if o else s[1]) for s, o in zip(spoken, off, strict=False)]
        return (key, *said, reason)

    with ledger() as connection:
        stand(
            connection,
            of,
            wanted=[row(f"p{n}", one.wanted) for n, one in enumerate(several)],
            there=[
                (f"r{n}", *row(f"p{n}", one.there, one.reason)) for n, one in enumerate(several)
            ],
            written=[row(f"p{n}", one.written) for n, one in enumerate(several) if one.written],
            kinds=kinds,
        )
        for n, one in enumerate(several):
            if one.word is not None:
                said(connection, f"p{n}", {names[0]: spoken[0][0 if one.word else 1]})
        diff.compare(connection, of, 0)
        found = {
            key: (
                action,
                hold is not None,
                reason == "change_opened_elsewhere",
                {names.index(name) for name in json.loads(new)},
            )
            for key, action, hold, reason, new in connection.execute(
                "select key, action, hold, reason ->> '$.code', new from changes"
            ).fetchall()
        }
        assert connection.execute("select count(*) from drifts").fetchone() == (0,)
    wanted = {f"p{n}": expected(one, len(spoken)) for n, one in enumerate(several)}
    assert found == {key: what for key, what in wanted.items() if what[0]}


def said(connection: duckdb.DuckDBPyConnection, key: str, new: dict[str, Any]) -> None:
    """A change of ours that was made, and of which the ledger's own row is lost."""
    connection.execute(
        "insert into ledger.audit.planned_changes (change_id, target, entity, key, action, new)"
        " values ($key, 'fake', 'users', $key, 'suspend', $new)",
        {"key": key, "new": json.dumps(new)},
    )
    connection.execute(
        "insert into ledger.audit.outcomes (change_id, target, status, finished_at)"
        " values (?, 'fake', 'applied', '2026-01-01')",
        [key],
    )


def test_a_deleted_account_comes_back_by_itself_only_if_we_deleted_it() -> None:
    of = export("users", ("person_id", "suspended", "deleted"), context=())
    with ledger() as connection:
        stand(
            connection,
            of,
            wanted=[("theirs", "false", "false"), ("ours", "false", "false")],
            there=[("r1", "theirs", "false", "true"), ("r2", "ours", "false", "true")],
            written=[("theirs", "false", "false")],  # a delete of ours takes its row with it
            kinds={"suspended": "boolean", "deleted": "boolean"},
        )
        diff.compare(connection, of, 0)
        rows = connection.execute(
            "select key, action, hold ->> '$.values.why' from changes order by key"
        ).fetchall()
    assert rows == [("ours", "restore", None), ("theirs", "restore", "deleted")]


def test_an_account_that_somebody_closed_before_us_is_not_opened_by_being_adopted() -> None:
    of = export("users", ("person_id", "suspended", "adopt_id"), context=("adopt_id",))
    with ledger() as connection:
        stand(
            connection,
            of,
            wanted=[("p1", "false", "o1"), ("p2", "false", "o2"), ("p3", "true", "o3")],
            kinds={"suspended": "boolean"},
        )
        connection.execute(
            "create table staging.stg_fake__orphan_users (remote_id text, person_id text,"
            " suspended text, adopt_id text); insert into staging.stg_fake__orphan_users values"
            " ('o1', null, 'true', null), ('o2', null, 'false', null), ('o3', null, 'true', null)"
        )
        diff.compare(connection, of, 0)
        rows = connection.execute(
            f"select key, action, {CLOSED} from changes order by key"
        ).fetchall()
    assert rows == [("p1", "adopt", True), ("p2", "adopt", False), ("p3", "adopt", False)]


def test_the_shipped_accounts_have_every_switch_their_platform_has() -> None:
    switches = {
        target: {
            c.name: c.off_value for c in declared(target)["users"].columns if c.role == "switch"
        }
        for target in ("google", "microsoft")
    }
    assert switches == {
        "google": {"suspended": True, "archived": True},
        "microsoft": {"account_enabled": False},
    }


def test_a_switch_has_no_on_drift_and_takes_none_from_its_export(tmp_path: Path) -> None:
    text = """
models:
  - name: exp_crm__users
    config: {meta: {export: {target: crm, entity: users, key: [id], on_drift: leave}}}
    columns:
      - {name: id}
      - {name: is_open, config: {meta: {role: switch, off_value: false%s}}}
"""
    made = tmp_path / "exports.yml"
    made.write_text(text % "")
    (_, switch) = declared("crm", tmp_path)["users"].columns
    assert switch.on_drift == "revert"
    made.write_text(text % ", on_drift: leave")
    with pytest.raises(ExportError, match="on_drift is 'leave' and role switch"):
        declared("crm", tmp_path)


# ---------------------------------------------------------------- nights


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "var", [USERS])


def closed(bench: Bench) -> set[str]:
    return {row["person_id"] for row in bench.platform.rows("users") if row["suspended"]}


def turn(bench: Bench, key: str, *, off: bool) -> None:
    """As an administrator would, in the console."""
    for row in bench.platform.rows("users"):
        if row["person_id"] == key:
            row["suspended"] = off


def openings(bench: Bench, *rows: tuple[str, str]) -> None:
    listed = ", ".join(
        f"('fake', 'users', '{key}', 'a mistake', 'principal', date '{day}')" for key, day in rows
    )
    bench.ask("create schema if not exists seeds")
    bench.ask(
        f"create or replace table seeds.openings as select * from (values {listed})"
        " as rows (target, entity, key, why, decided_by, decided_on)"
    )


def test_a_row_opens_what_somebody_else_closed_once_and_only_near_its_day(bench: Bench) -> None:
    people = [user(1), user(2), user(3)]
    bench.desire(users=people)
    bench.whole_night()
    for key in ("p1", "p2"):
        turn(bench, key, off=True)
    today = bench.run.as_of
    openings(bench, ("p1", str(today)), ("p2", "2001-01-01"))
    bench.new_night()
    assert bench.whole_night() == 0
    assert closed(bench) == {"p2"}, "a row of long ago opens nothing that is closed today"
    assert bench.ask("select key, who, why, plan_id from ledger.audit.releases") == [
        ("p1", "principal", "a mistake", releases.SEED)
    ]
    bench.verify()
    turn(bench, "p1", off=True)
    bench.new_night()
    assert bench.whole_night() == 0
    assert closed(bench) == {"p1", "p2"}, "the row was used: who closes it again is heeded"


def test_what_somebody_else_opened_is_closed_again_named_and_no_drift(bench: Bench) -> None:
    bench.desire(users=[user(1, suspended=True), user(2)])
    bench.whole_night()
    assert closed(bench) == {"p1"}
    turn(bench, "p1", off=False)
    bench.new_night()
    assert bench.whole_night() == 0
    assert closed(bench) == {"p1"}
    document = bench.run.read("plan.json")
    (finding,) = _closed(document)
    assert (finding.code, finding.key) == ("opened_by_somebody_else", "p1")
    assert document["exports"][0]["drift"] == {}
    bench.new_night()
    assert bench.whole_night() == 0
    assert _closed(bench.run.read("plan.json")) == []


def test_a_tie_somebody_took_away_by_hand_is_given_again_and_no_closing(tmp_path: Path) -> None:
    """A licence, a place in a group: of every target a row of ties."""
    bench = Bench(tmp_path / "var", [USERS, GROUPS, MEMBERS])
    tie = {"group_id": "g1", "person_id": "p1", "role": "MEMBER", "school_number": "07474001"}
    group = {"group_id": "g1", "email": "e", "name": "G"}
    bench.desire(users=[user(1)], groups=[group], members=[tie])
    assert bench.whole_night() == 0
    there = bench.platform.objects["members"]
    there.clear()
    bench.new_night()
    assert bench.whole_night() == 0
    assert len(there) == 1
    assert _closed(bench.run.read("plan.json")) == []


@pytest.mark.parametrize(("people", "opened"), [(10, 2), (150, 3), (5_000, 25), (80_000, 25)])
def test_opening_is_limited_in_counts_in_a_small_district_and_in_a_large_one(
    people: int, opened: int
) -> None:
    for target in ("google", "microsoft"):
        limit = declared(target)["users"].limits.per_run["restore"]
        assert limit.allowed(people, 2) == opened
    assert str(limit) == "2 % at most 25"
    assert parse({"restore": "2% at most 25"}, "x").per_run["restore"] == limit
