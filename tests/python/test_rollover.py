"""A rollover of 20,000 students in which one school's grades were doubled: the others pass, the 300
are held by name, in their unit and in their groups.

Who is explained is what the model itself says, over people made by hand; the limits are the shipped
ones. Who is wrong is known here.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path

import duckdb
import jinja2
import pyarrow as pa
import pytest
import yaml
from conftest import ROOT
from engine_bench import FIELDS, GROUPS, MEMBERS, USERS, Bench, user
from macro_kit import DBT, MACROS

from common import sql, store
from reverse_etl import applied, exports

GRADES = ("KF", *(f"{grade:02d}" for grade in range(1, 13)))
SCHOOLS = [f"0747{number:04d}" for number in range(1, 41)]  # 500 in each, but for the broken one
BROKEN = "07479999"


def model_sql(path: str) -> str:
    """A model as dbt compiles it, each table by its own name."""
    given = {name: getattr(MACROS, name) for name in dir(MACROS) if not name.startswith("_")}
    text = (ROOT / path).read_text(encoding="utf-8")
    return (
        jinja2.Environment(extensions=["jinja2.ext.do"])
        .from_string(text)
        .render(**given, dbt=DBT, ref=lambda name: name, source=lambda _, name: name)
    )


def limits(path: str) -> dict:
    (model,) = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))["models"]
    return model["config"]["meta"]["export"]["limits"]


def people() -> list[tuple[int, str, int, int, bool]]:
    """(number, school, place of the grade before, place tonight, is that wrong)."""
    found = []
    for number in range(19_700):
        before = number % 12
        found.append((number, SCHOOLS[number % len(SCHOOLS)], before, before + 1, False))
    for number in range(19_700, 20_000):
        before = 2 + number % 5
        found.append((number, BROKEN, before, 2 * before, True))
    return found


def explained(everybody: list[tuple[int, str, int, int, bool]]) -> set[str]:
    with duckdb.connect() as connection:
        connection.execute(
            """
            create table district_events (event varchar, school_number varchar,
            to_school_number varchar, starts_on date, ends_on date);
            insert into district_events values
            ('rollover', null, null, '2027-07-01', '2027-07-14');
            create table run_context as select date '2027-07-01' as as_of"""
        )
        seen = pa.table(
            {
                "person_id": [f"p{n}" for n, *_ in everybody],
                "school_number": [school for _, school, *_ in everybody],
                "grade_code": [GRADES[before] for _, _, before, *_ in everybody],
            }
        )
        now = seen.set_column(
            2, "grade_code", pa.array([GRADES[now] for _, _, _, now, _ in everybody])
        )
        connection.register("seen", seen)
        connection.register("now", now)
        connection.execute(
            """
            create table places_seen as
            select *, 'active' as state, date '2027-06-01' as seen_on from seen;
            create table person_records as
            select *, 'student' as population, 'active' as state from now"""
        )
        rows = connection.execute(
            model_sql("models/identity/lifecycle/explained_by_events.sql")
        ).fetchall()
    return {str(person) for person, *_ in rows}


def rows(
    everybody: list[tuple[int, str, int, int, bool]],
    groups: list[str],
    turned: int,
    right: AbstractSet[str] = frozenset(),
) -> dict[str, list[dict]]:
    """Before the year turned (0) or behind it (1): everybody's unit and grade group."""
    at = [(n, school, GRADES[(before, now)[turned]]) for n, school, before, now, _ in everybody]
    return {
        "users": [
            user(n, org_unit_path=f"/{school}/{grade}", school_number=school)
            | {"expected_columns": "org_unit_path" if f"p{n}" in right else None}
            for n, school, grade in at
        ],
        "groups": [{"group_id": one, "email": one, "name": one} for one in groups],
        "members": [
            {
                "group_id": f"{school}-{grade}",
                "person_id": f"p{n}",
                "role": "MEMBER",
                "school_number": school,
                "family": "grade",
            }
            for n, school, grade in at
        ],
    }


@pytest.mark.slow
def test_of_twenty_thousand_who_move_up_those_whose_grades_were_doubled_are_held_by_name(
    tmp_path: Path,
) -> None:
    everybody = people()
    right = explained(everybody)
    wrong = {f"p{n}" for n, _, _, _, is_wrong in everybody if is_wrong}
    assert len(right) == 19_700
    assert right.isdisjoint(wrong)

    users = replace(
        USERS,
        columns={**USERS.columns, "expected_columns": "varchar"},
        meta={
            **USERS.meta,
            "context": [*USERS.meta["context"], "expected_columns"],
            "expected": "expected_columns",
            "limits": limits("models/exports/google/exp_google__users.yml"),
        },
    )
    members = replace(
        MEMBERS,
        columns={**MEMBERS.columns, "family": "varchar"},
        meta={
            **MEMBERS.meta,
            "context": ["school_number", "family"],
            "family": "family",
            "limits": limits("models/exports/google/exp_google__members.yml"),
        },
    )
    bench = Bench(tmp_path / "var", [users, GROUPS, members])
    groups = sorted({f"{school}-{GRADES[at]}" for _, school, *both, _ in everybody for at in both})
    bench.desire(**rows(everybody, groups, 0))
    for entity, found in rows(everybody, groups, 0).items():
        for one in found:
            bench.platform.put(entity, {k: v for k, v in one.items() if k in FIELDS[entity]})
    with store.connect() as connection:  # as if we had written it, some night
        for export in exports.load(bench.run).every:
            applied.ensure(connection, export)
            connection.execute(
                f"insert into {applied.table(export.target, export.entity)} by name"
                f" select *, {sql.key(export.shown_key)} as _key from {export.relation}"
            )
    bench.desire(**rows(everybody, groups, 1, right))
    bench.new_night()
    bench.observe()
    bench.plan()
    planned = bench.ask(
        """select entity, action, hold is not null, count(*), count(distinct subject),
        list(distinct subject order by subject) from ledger.audit.planned_changes
        where run_id = ? group by all order by all""",
        bench.run.run_id,
    )
    told = {
        (entity, action, held): (rows, set(who)) for entity, action, held, rows, _, who in planned
    }
    assert told == {
        ("users", "update", False): (19_700, right),
        ("users", "update", True): (300, wrong),
        ("members", "create", False): (19_700, right),
        ("members", "create", True): (300, wrong),
        ("members", "remove", False): (19_700, right),
        ("members", "remove", True): (300, wrong),
    }
