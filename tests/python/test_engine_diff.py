"""The comparison as a property: whatever is desired and whatever is there, one push makes them
equal, and the next plan is empty.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from engine_bench import FIELDS, GROUPS, MEMBERS, USERS, Bench, user
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common import sql
from reverse_etl.model import key_text, key_tuple

TEXT = st.one_of(
    st.none(), st.sampled_from(["", "a", "b", "Zoë", 'quote " and \\', "K'ómoks", "null", "x|y"])
)
KEYS = st.lists(st.sampled_from(["1", "2", "3", "a|b", "c\\"]), unique=True)


@st.composite
def people(draw: st.DrawFn) -> list[dict]:
    return [
        user(
            0,
            person_id=key,
            given_name=draw(TEXT),
            org_unit_path=draw(TEXT),
            suspended=draw(st.booleans()),
            primary_email=draw(TEXT),
        )
        for key in draw(KEYS)
    ]


@st.composite
def teams(draw: st.DrawFn) -> tuple[list[dict], list[dict], list[dict]]:
    persons, groups = (
        draw(people()),
        [{"group_id": f"g{key}", "email": key, "name": draw(TEXT)} for key in draw(KEYS)],
    )
    pairs = [(g["group_id"], p["person_id"]) for g in groups for p in persons]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return (
        persons,
        groups,
        [
            {"group_id": g, "person_id": p, "role": draw(st.sampled_from(["MEMBER", "OWNER"]))}
            for g, p in chosen
        ],
    )


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(first=teams(), second=teams())
def test_a_push_makes_the_target_equal_to_the_exports_and_the_next_plan_is_empty(
    tmp_path_factory: pytest.TempPathFactory, first, second
) -> None:
    bench = Bench(tmp_path_factory.mktemp("bench") / "var", [USERS, GROUPS, MEMBERS])
    written: set[tuple[str, str]] = set()
    for persons, groups, members in (first, second):
        bench.desire(users=persons, groups=groups, members=members)
        assert bench.whole_night("empty", "an export may be emptied here") == 0
        for model, desired in ((USERS, persons), (GROUPS, groups), (MEMBERS, members)):
            entity, key = model.entity, model.meta["key"]
            there = {tuple(row[c] for c in key): row for row in bench.platform.rows(entity)}
            for row in desired:
                compared = [c for c in FIELDS[entity] if c not in ("nickname", "usage_location")]
                assert {c: there[tuple(row[k] for k in key)][c] for c in compared} == {
                    c: row[c] for c in compared
                }
            wanted = {tuple(row[k] for k in key) for row in desired}
            if entity == "users":  # on_absent: ignore
                assert wanted <= set(there)
            else:
                assert wanted == set(there)
        written |= {(entity, key) for entity, _, key in bench.platform.calls}
        bench.observe()
        assert bench.changes(bench.plan()) == []


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
        min_size=1,
        max_size=4,
    )
)
def test_a_key_is_one_text_in_tables_and_comes_back_as_its_values(values: list[str]) -> None:
    assert key_tuple(key_text(values)) == tuple(values)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0\n", exclude_categories=["Cs"]), max_size=6),
        min_size=1,
        max_size=3,
    )
)
def test_the_database_writes_and_reads_keys_as_python_does(values: list[str]) -> None:
    names = [f"c{number}" for number in range(len(values))]
    with duckdb.connect() as connection:
        row = connection.execute(
            f"with r as (select {', '.join(f'? as {name}' for name in names)}) select"
            f" {sql.key(names)} from r",
            values,
        ).fetchone()
        assert row == (key_text(values),)
        parts = ", ".join(sql.key_part("k", number) for number in range(len(values)))
        assert connection.execute(
            f"with r as (select ? as k) select {parts} from r", list(row)
        ).fetchone() == tuple(values)


def test_a_first_night_of_many_changes_is_planned_whole(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [USERS, GROUPS, MEMBERS])
    bench.desire(groups=[{"group_id": f"g{n}", "email": f"g{n}", "name": "G"} for n in range(20)])
    bench.ask(
        """insert into exports.exp_fake__users
        select 'p' || n, 'u' || n || '@x.example', 'G' || n, '/A', false, 'CA', null,
        '0747400' || n % 9, 'f:' || n from range(8000) as r(n)"""
    )
    bench.ask(
        "insert into exports.exp_fake__members select 'g' || n % 20, 'p' || n % 8000, 'MEMBER',"
        " '07474001' from range(80000) as r(n) group by all"
    )
    bench.ask(
        "insert into exports.exp_fake__members select 'h' || n % 9, 'p' || n, 'MEMBER', '07474001'"
        " from range(72000) as r(n)"
    )
    bench.observe()
    planned = {
        part["entity"]: (part["desired"], part["planned"]) for part in bench.plan()["exports"]
    }
    assert planned == {
        "users": (8000, {"create": 8000}),
        "groups": (20, {"create": 20}),
        "members": (80_000, {"create": 80_000}),
    }
