"""Showing a plan: keys by default, names only when asked, and files that can be filtered and passed
on.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from engine_bench import USERS, Bench, user
from rich.console import Console

from common import store
from reverse_etl import show
from reverse_etl.plan import Scope, ScopeError

NAMED = replace(
    USERS,
    metas={"given_name": {"personal_data": "name"}, "primary_email": {"personal_data": "contact"}},
    meta={**USERS.meta, "limits": {"create": 3, "suspend": 0}},
)


@pytest.fixture
def planned(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path / "var", [NAMED])
    bench.desire(users=[user(n, given_name=f"=Zoë{n}") for n in range(3)])
    assert bench.whole_night() == 0
    bench.platform.rows("users")[2]["org_unit_path"] = "/by hand"
    bench.desire(
        users=[
            user(0, suspended=True, given_name="=Zoë0"),
            user(1, given_name="=Ann"),
            user(2, given_name="=Zoë2", school_number="07474002"),
        ]
    )
    bench.new_night()
    bench.observe()
    bench.plan()
    return bench


def shown(
    bench: Bench,
    form: str = "text",
    scope: Scope | None = None,
    status: str = "",
    names: bool = False,
    limit: int = 40,
) -> str:
    chosen = show.Chosen(scope or Scope(), status, names, limit)
    with store.connect(read_only=True) as connection:
        if form != "text":
            return show.written(connection, bench.run, chosen, form)
        out = io.StringIO()
        show.show(connection, bench.run, chosen, console=Console(file=out, width=200))
        return out.getvalue()


def test_names_are_shown_only_when_asked_for_in_every_form(planned: Bench) -> None:
    for form in show.FORMATS:
        assert "Zoë" not in shown(planned, form) and "Ann" not in shown(planned, form)
        assert "p1" in shown(planned, form)
        assert "Ann" in shown(planned, form, names=True)


def test_a_plan_too_long_for_the_screen_says_how_much_more_and_how_to_narrow_it(
    planned: Bench,
) -> None:
    told = shown(planned, limit=1)
    assert "more; narrow down with TARGET= SCHOOL= PERSON= ACTION=" in told
    assert "narrow down" not in shown(planned)


def test_what_is_held_and_what_was_changed_by_hand_stand_in_the_summary(planned: Bench) -> None:
    text = shown(planned)
    assert "held: fake users: 1 suspends planned" in text
    assert "changed by hand: fake users: org_unit_path 1 (revert)" in text


def test_files_hold_every_change_of_the_filter(planned: Bench) -> None:
    document = json.loads(shown(planned, "json", names=True))
    assert [(one["key"], one["action"], one["status"]) for one in document["changes"]] == [
        ("p0", "suspend", "held"),
        ("p1", "update", "planned"),
        ("p2", "update", "planned"),
    ]
    assert document["changes"][1]["new"] == {"given_name": "=Ann"}
    assert [one["key"] for one in json.loads(shown(planned, "json", status="held"))["changes"]] == [
        "p0"
    ]
    assert [
        one["key"]
        for one in json.loads(shown(planned, "json", Scope(partition="07474002")))["changes"]
    ] == ["p2"]
    rows = list(csv.DictReader(io.StringIO(shown(planned, "csv", names=True))))
    assert rows[1]["new"] == "given_name: =Ann"
    assert rows[2]["old"] == "org_unit_path: /by hand"


def test_a_page_escapes_what_people_type_and_a_spreadsheet_runs_nothing() -> None:
    written = show._csv([{**dict.fromkeys(show.COLUMNS, ""), "reason": "=cmd()"}])
    assert "'=cmd()" in written
    assert written.count("'") == 1


def test_a_form_nobody_writes_is_refused(planned: Bench) -> None:
    with pytest.raises(show.UnknownFormatError, match="there are text, json, csv, html"):
        shown(planned, "pdf")


# filters -> (what is asked, what is said)
NOTHING = {
    "a school that lost its zero": (
        {"partition": "7474001"},
        "'7474001' is no school of any export; 07474001 is one",
    ),
    "a school there is none of": ({"partition": "07474999"}, "'07474999' is no school of any"),
    "an action nobody plans": (
        {"action": "updates"},
        "'updates' is no action; there are suspend, adopt, create,",
    ),
    "a person nobody knows": (
        {"subject": "99999"},
        "no person of any export is known by '99999'; \"make explain PERSON=99999\" looks further",
    ),
}
NOBODY = {"partition": "", "subject": "", "action": ""}


@pytest.mark.parametrize("asked", NOTHING)
def test_a_filter_that_names_nothing_is_not_answered_with_nothing_to_do(planned: Bench, asked: str):
    words, sentence = NOTHING[asked]
    every = show.exports_of(planned.run)
    with store.connect() as connection, pytest.raises(ScopeError) as refused:
        show.scope(connection, every, (), **{**NOBODY, **words})
    assert str(refused.value).startswith(sentence)


def test_a_filter_is_taken_as_people_type_it(tmp_path: Path):
    known = replace(
        USERS,
        columns={**USERS.columns, "card": "varchar"},
        meta={**USERS.meta, "context": [*USERS.meta["context"], "card"], "known_by": ["card"]},
    )
    bench = Bench(tmp_path / "var", [known])
    every = show.exports_of(bench.run)
    with store.connect() as connection:  # before the first build nobody can say there is none
        assert show.scope(connection, every, (), **NOBODY | {"partition": "any"}) == Scope(
            partition="any"
        )
    bench.desire(users=[user(0, card="1000001"), user(1, card="1000002")])
    assert bench.whole_night() == 0
    bench.desire(users=[user(0, card="1000001")])
    every = show.exports_of(bench.run)
    with store.connect() as connection:
        assert show.scope(
            connection, every, ("fake",), partition="07474001", subject="1000001", action="update"
        ) == Scope(("fake",), "07474001", "p0", "update")
        assert show.scope(connection, every, (), **NOBODY | {"subject": "p1"}) == Scope(
            subject="p1"
        ), "in a plan, though in no export any more"


def test_a_status_there_is_none_of_is_refused():
    with pytest.raises(ScopeError, match="'hold' is no status; there are planned, held,"):
        show.Chosen(Scope(), "hold")


def test_a_plan_says_that_all_is_as_it_should_be_only_where_nothing_is_held(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [NAMED])
    bench.desire(users=[user(1)])
    assert bench.whole_night() == 0
    bench.new_night()
    bench.observe()
    bench.plan()
    assert "Nothing to do: every target holds what it should." in shown(bench)
    bench.models = [replace(NAMED, status="error")]
    bench.desire(users=[user(1), user(2)])
    bench.new_night()
    bench.observe()
    bench.plan()
    said = shown(bench)
    assert "No change is planned here: 1 export is held, for what stands below." in said
    assert "its table is not tonight's" in said
    assert "Nothing to do" not in said


def test_a_filter_that_finds_nothing_says_so_and_not_that_all_is_well(planned: Bench) -> None:
    said = shown(planned, scope=Scope(subject="nobody"))
    assert "No change of this plan is like that." in said
    assert "Nothing to do" not in said
