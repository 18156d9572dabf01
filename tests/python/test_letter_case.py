"""What an object is called is the same in any letter case where its entity says so: `/students`
made by hand is our `/Students`, in every target kind, and nothing waits for it or writes it again.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from engine_bench import GROUPS, MEMBERS, NO_LIMITS, USERS, Bench, Model, user
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from common import sql
from reverse_etl.model import Column, Export

CASE = {"ignoring": ["case"]}
UNITS = Model(
    "org_units",
    {"org_unit_path": "varchar", "name": "varchar"},
    {"key": ["org_unit_path"], "limits": NO_LIMITS},
    metas={"org_unit_path": CASE, "name": CASE},
)
PEOPLE = replace(
    USERS,
    meta={**USERS.meta, "references": {"org_unit_path": "org_units"}},
    metas={"org_unit_path": CASE, "primary_email": {**CASE, "role": "login"}},
)
MODELS = [
    UNITS,
    PEOPLE,
    replace(GROUPS, metas={"group_id": CASE, "email": CASE}),
    replace(MEMBERS, metas={"group_id": CASE}),
]


def district(tmp_path: Path, unit: str, group: str, email: str) -> Bench:
    """Somebody made the unit and the group by hand, as they spelled them."""
    bench = Bench(tmp_path / "var", MODELS)
    bench.platform.put("org_units", {"org_unit_path": unit, "name": unit.strip("/")})
    bench.platform.put("groups", {"group_id": group, "email": group, "name": "Red"})
    bench.platform.put("users", user(1, org_unit_path=unit, primary_email=email))
    bench.platform.put("members", {"group_id": group, "person_id": "p1", "role": "MEMBER"})
    return bench


@st.composite
def spellings(draw: st.DrawFn, text: str) -> str:
    return "".join(draw(st.sampled_from((one.lower(), one.upper()))) for one in text)


@settings(
    max_examples=3,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(unit=spellings("/Students"), group=spellings("red-team"), email=spellings("u1@x.example"))
def test_an_object_spelled_otherwise_is_ours_and_nothing_is_written(
    tmp_path_factory: pytest.TempPathFactory, unit: str, group: str, email: str
) -> None:
    bench = district(tmp_path_factory.mktemp("case"), unit, group, email)
    bench.desire(
        org_units=[{"org_unit_path": "/Students", "name": "Students"}],
        users=[user(1, org_unit_path="/Students")],
        groups=[{"group_id": "Red-Team", "email": "red-team", "name": "Red"}],
        members=[{"group_id": "Red-Team", "person_id": "p1", "role": "MEMBER"}],
    )
    for _ in range(2):
        assert bench.whole_night() == 0
    assert bench.platform.calls == []


def test_who_is_new_finds_the_unit_and_the_group_somebody_spelled_otherwise(tmp_path: Path) -> None:
    bench = district(tmp_path, "/students", "RED", "u1@x.example")
    bench.desire(
        org_units=[{"org_unit_path": "/Students", "name": "Students"}],
        users=[user(1, org_unit_path="/Students"), user(2, org_unit_path="/Students")],
        groups=[{"group_id": "red", "email": "red", "name": "Red"}],
        members=[
            {"group_id": "red", "person_id": person, "role": "MEMBER"} for person in ("p1", "p2")
        ],
    )
    assert bench.whole_night() == 0
    assert [(entity, action) for entity, action, _ in bench.platform.calls] == [
        ("users", "create"),
        ("members", "create"),
    ]
    assert bench.platform.calls[1][2] == "red|p2"


def test_a_key_in_two_spellings_is_one_key_and_a_mistake_of_the_model(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [UNITS])
    bench.desire(org_units=[{"org_unit_path": path, "name": path} for path in ("/Art", "/ART")])
    assert bench.whole_night() == 2
    assert bench.platform.calls == []


def test_only_what_says_so_ignores_letter_case() -> None:
    columns = (Column("a", ignoring=("case",)), Column("b"))
    export = Export("exp_x__y", "", "x", "y", ("a", "b"), columns)
    assert export.shown_key == ("^a", "b")
    assert export.folded_key(("A|", "B")) == ("a|", "B")
    assert sql.key_like(["owner"], ["^path"]) == ["^owner"]
    assert sql.key_like(["owner"], ["path"]) == ["owner"]


@pytest.mark.parametrize(
    ("entity", "column"),
    [
        ("exp_google__org_units", "org_unit_path"),
        ("exp_google__org_units", "parent_org_unit_path"),
        ("exp_google__schemas", "schema_name"),
        ("exp_google__users", "primary_email"),
        ("exp_google__users", "org_unit_path"),
        ("exp_google__groups", "email"),
        ("exp_microsoft__groups", "group_id"),
        ("exp_microsoft__groups", "mail_nickname"),
        ("exp_microsoft__users", "user_principal_name"),
        ("exp_microsoft__users", "mail_nickname"),
        ("exp_microsoft__members", "group_id"),
    ],
)
def test_units_groups_and_addresses_of_both_platforms_do(entity: str, column: str) -> None:
    from reverse_etl import exports

    target, name = entity.removeprefix("exp_").split("__")
    declared = exports.declared(target)[name]
    (found,) = [one for one in declared.columns if one.name == column]
    assert "case" in found.ignoring
