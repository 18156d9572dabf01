"""Limits and holds: the unsafe waits, the safe flows, and an override is explicit, recorded and
used once.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from engine_bench import GROUPS, MEMBERS, USERS, Bench, user
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from common import access, store
from common.runs import Run
from reverse_etl import __main__ as verbs
from reverse_etl import plan as planning
from reverse_etl import releases
from reverse_etl.limits import (
    Allowed,
    Group,
    LimitError,
    drop_hold,
    growth_hold,
    holds,
    in_season,
    parse,
)
from reverse_etl.model import Limit, Limits, Outcome
from reverse_etl.plan import Scope
from reverse_etl.show import Chosen, conditions, show

NOTHING = Allowed()


def judge(limits: dict, *groups: Group, allowed: Allowed = NOTHING) -> list[tuple[str, str | None]]:
    return [
        (hold.action, hold.partition)
        for hold in holds("google", "users", parse(limits, "x.yml"), list(groups), allowed)
    ]


@pytest.mark.parametrize(
    ("limit", "observed", "planned", "held"),
    [
        (300, 0, 300, False),
        (300, 0, 301, True),
        ("30%", 1000, 300, False),
        ("30%", 1000, 301, True),
        ("30%", 10, 5, False),
        ("30%", 10, 6, True),
        (0, 1000, 1, True),
        ("0%", 1000, 5, False),
    ],
)
def test_a_limit_is_a_count_or_a_share_and_a_share_lets_five_through(
    limit: object, observed: int, planned: int, held: bool
) -> None:
    assert judge({"update": limit}, Group("update", planned, observed)) == (
        [("update", None)] if held else []
    )


@pytest.mark.parametrize(
    ("observed", "planned", "held"),
    [(10, 1, False), (10, 2, True), (100, 10, False), (100, 11, True), (0, 1, False)],
)
def test_an_action_nobody_limited_may_touch_a_tenth_and_a_small_table_one_suspension(
    observed: int, planned: int, held: bool
) -> None:
    assert bool(judge({}, Group("suspend", planned, observed))) is held


def test_one_broken_school_is_held_and_the_others_flow() -> None:
    schools = [Group("suspend", 40, 80, "07474001"), Group("suspend", 2, 400, "07474002")]
    assert judge({"suspend": "2%"}, Group("suspend", 42, 1000), *schools) == [
        ("suspend", "07474001")
    ]


def test_what_a_held_school_does_not_account_for_still_counts_against_the_district() -> None:
    schools = [Group("suspend", 40, 80, "07474001"), Group("suspend", 30, 900, "07474002")]
    assert judge({"suspend": "2%"}, Group("suspend", 70, 1000), *schools) == [
        ("suspend", "07474001"),
        ("suspend", None),
    ]


def test_the_sentence_has_the_numbers_and_the_next_step() -> None:
    (hold,) = holds(
        "google", "users", parse({"suspend": "2%"}, "x"), [Group("suspend", 214, 3902)], NOTHING
    )
    assert "214 suspends planned, 3,902 rows of ours there (5.5 %, limit 2 % = 79)" in hold.sentence
    assert "ALLOW=google.users.suspend" in hold.sentence


@pytest.mark.parametrize(
    ("words", "held"),
    [
        ("suspend", False),
        ("google.suspend", False),
        ("google.users.suspend", False),
        ("microsoft.suspend", True),
        ("google.groups.suspend", True),
        ("create", True),
    ],
)
def test_an_override_lifts_what_it_names_and_nothing_else(words: str, held: bool) -> None:
    assert (
        bool(judge({"suspend": 0}, Group("suspend", 9, 10), allowed=Allowed.parse(words, "summer")))
        is held
    )


@pytest.mark.parametrize(
    ("words", "why"), [("explode", "x"), ("a.b.c.create", "x"), ("create", ""), ("create", "  ")]
)
def test_an_override_without_a_known_action_or_a_reason_is_refused(words: str, why: str) -> None:
    with pytest.raises(LimitError):
        Allowed.parse(words, why)


@pytest.mark.parametrize(
    "limits",
    [
        {"crate": 3},
        {"create": "many"},
        {"create": -1},
        {"create": True},
        {"create": "101%"},
        {"per_partition": 3},
        {"per_partition": {"x": 1}},
    ],
)
def test_a_limit_that_cannot_be_read_is_an_error_naming_file_and_key(limits: dict) -> None:
    with pytest.raises(LimitError, match=r"users\.yml"):
        parse(limits, "users.yml")


def test_a_file_that_loses_more_than_half_of_its_rows_is_held_unless_allowed() -> None:
    def drop(limits: dict, after: int, allowed: Allowed = NOTHING) -> str | None:
        why = drop_hold(
            "portfolio", "students", parse(limits, "x"), before=1000, after=after, allowed=allowed
        )
        return str(why) if why else None

    assert drop({}, 500) is None
    assert "501 of 1,000 rows" in (drop({}, 499) or "")
    assert drop({"drop": "100%"}, 0) is None
    assert drop({}, 0, Allowed.parse("portfolio.drop", "new year")) is None


@pytest.mark.parametrize(
    ("before", "after", "limits", "words", "waits"),
    [
        (259, 518, {}, "", True),
        (259, 389, {}, "", False),
        (259, 390, {}, "", True),
        (259, 390, {"create": "60%"}, "", False),
        (259, 270, {"create": 10}, "", True),
        (259, 518, {}, "callout.contacts.create", False),
        (259, 518, {}, "callout.drop", True),
        (0, 518, {}, "", False),  # the first file has nothing to be measured by
        (3, 23, {}, "", False),  # a small file may grow by twenty
        (3, 24, {}, "", True),
        (259, 100, {}, "", False),
    ],
)
def test_a_file_that_has_many_rows_more_than_the_last_one_waits(
    before: int, after: int, limits: dict, words: str, waits: bool
) -> None:
    allowed = Allowed.parse(words, "a school joined")
    parsed = parse(limits, "x")
    why = growth_hold("callout", "contacts", parsed, before=before, after=after, allowed=allowed)
    assert (why is not None) is waits


def test_the_sentence_of_a_file_that_grew_says_by_how_much_and_what_to_do() -> None:
    why = growth_hold("callout", "contacts", Limits(), before=259, after=518, allowed=NOTHING)
    assert str(why) == (
        "callout contacts: 259 rows more than the 259 delivered last time (100.0 %, limit 50 %);"
        ' see "make show TARGET=callout ACTION=create", then'
        ' "make plan ALLOW=callout.contacts.create WHY=…" and "make push"'
    )


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0, 1))
def test_what_may_flow_never_exceeds_the_limit(planned: int, observed: int, share: float) -> None:
    limits = Limits({"update": Limit(share=share)})
    held = holds("t", "e", limits, [Group("update", planned, observed)], NOTHING)
    assert bool(held) == (planned > Limit(share=share).allowed(observed, 5))


# ---------------------------------------------------------------- in a plan


def limited(model, **limits):
    return replace(model, meta={**model.meta, "limits": limits})


def test_over_the_limit_only_that_action_is_held_and_the_rest_flows(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [limited(USERS, create=1000, update="100%", suspend=2)])
    bench.desire(users=[user(n) for n in range(30)])
    assert bench.whole_night() == 0
    bench.desire(
        users=[
            *(user(n, suspended=True) for n in range(10)),
            *(user(n, given_name="new") for n in range(10, 30)),
            user(99),
        ]
    )
    assert bench.whole_night() == 2
    assert sum(row["suspended"] for row in bench.platform.rows("users")) == 0
    assert sum(row["given_name"] == "new" for row in bench.platform.rows("users")) == 20
    assert len(bench.platform.rows("users")) == 31
    counted = bench.ask(
        "select status, count(*) from ledger.audit.changes where run_id = ? group by all order"
        " by all",
        bench.run.run_id,
    )
    assert counted == [("applied", 21), ("held", 10)]
    assert bench.verify() == 0  # what was held does not count as not converged
    assert bench.run.read("verify.json")["fake"]["users"]["residual"] == {}


def test_an_override_is_recorded_with_its_reason_and_used_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [limited(USERS, create=2)])
    bench.desire(users=[user(n) for n in range(10)])
    assert bench.whole_night() == 2
    assert bench.platform.rows("users") == []
    assert bench.whole_night("fake.users.create", "first night") == 0
    assert len(bench.platform.rows("users")) == 10
    assert json.loads(
        bench.ask("select allowed from ledger.audit.plans where run_id = ?", bench.run.run_id)[0][0]
    ) == {"words": ["fake.users.create"], "why": "first night", "who": ""}
    bench.desire(users=[user(n) for n in range(20)])
    assert bench.whole_night() == 2


def test_one_truncated_school_is_held_and_the_others_are_written(tmp_path: Path) -> None:
    model = limited(USERS, create=1000, suspend="50%", per_partition={"suspend": "20%"})
    bench = Bench(tmp_path / "var", [model])
    people = [user(n, school_number="07474001" if n < 20 else "07474002") for n in range(120)]
    bench.desire(users=people)
    assert bench.whole_night() == 0
    bench.desire(
        users=[{**person, "suspended": n < 15 or n in (30, 31)} for n, person in enumerate(people)]
    )
    assert bench.whole_night() == 2
    assert [row["person_id"] for row in bench.platform.rows("users") if row["suspended"]] == [
        "p30",
        "p31",
    ]
    assert (
        "in school 07474001: 15 suspends planned, 20 rows of ours there"
        in bench.run.read("plan.json")["exports"][0]["holds"][0]
    )


def test_members_of_a_held_user_wait_and_say_for_whom(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [limited(USERS, create=1), GROUPS, MEMBERS])
    bench.desire(
        users=[user(1)], groups=[{"group_id": "g1", "email": "a", "name": "G"}], members=[]
    )
    assert bench.whole_night() == 0
    bench.desire(
        users=[user(n) for n in (1, 2, 3)],
        members=[{"group_id": "g1", "person_id": f"p{n}", "role": "MEMBER"} for n in (1, 2, 3)],
    )
    assert bench.whole_night() == 2
    assert [row["person_id"] for row in bench.platform.rows("members")] == ["p1"]
    assert bench.ask(
        "select key, status, note from ledger.audit.changes where entity = 'members' and run_id = ?"
        " order by key",
        bench.run.run_id,
    ) == [
        ("g1|p1", "applied", ""),
        ("g1|p2", "skipped", "waits for fake users p2"),
        ("g1|p3", "skipped", "waits for fake users p3"),
    ]
    assert bench.verify() == 0
    assert bench.whole_night("create", "they are real") == 0
    assert len(bench.platform.rows("members")) == 3


def test_an_export_that_rests_on_a_refused_feed_is_held_and_names_it_while_others_go_on(
    tmp_path: Path,
) -> None:
    bench = Bench(
        tmp_path / "var",
        [replace(USERS, feeds=("students",)), replace(GROUPS, feeds=("sections",))],
    )
    bench.feeds = [
        {"source": "myedbc", "feed": "students", "status": "refused"},
        {"source": "myedbc", "feed": "sections", "status": "unchanged"},
    ]
    bench.desire(users=[user(1)], groups=[{"group_id": "g1", "email": "a", "name": "G"}])
    assert bench.whole_night() == 2
    assert bench.platform.calls == [("groups", "create", "g1")]
    holds_of = {part["entity"]: part["holds"] for part in bench.run.read("plan.json")["exports"]}
    assert "myedbc.students (refused)" in holds_of["users"][0]
    assert holds_of["groups"] == []


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (
            {
                "fake": {
                    "status": "failed",
                    "error": "ConnectTimeout",
                    "observed_at": "2026-01-01T00:00:00+00:00",
                }
            },
            "could not be read tonight (ConnectTimeout)",
        ),
        ({}, "was not observed in this run"),
    ],
)
def test_a_target_that_was_not_read_tonight_is_not_written(
    tmp_path: Path, seen: dict, words: str
) -> None:
    bench = Bench(tmp_path / "var")
    bench.desire(users=[user(1)])
    bench.observe()
    bench.run.write("observed.json", seen)
    assert words in bench.plan()["exports"][0]["holds"][0]
    assert bench.push() == 2
    assert bench.platform.calls == []


def test_a_target_written_to_after_it_was_observed_must_be_observed_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var")
    bench.desire(users=[user(1)])
    bench.whole_night()
    bench.desire(users=[user(1), user(2)])
    assert "was written to after it was observed" in bench.plan()["exports"][0]["holds"][0]
    bench.observe()
    assert bench.plan()["exports"][0]["holds"] == []


@pytest.mark.parametrize(
    "broken",
    [
        {"status": "error"},
        {"status": "skipped"},
        {"tests": {"users_unique": "fail"}},
        {"tests": {"users_unique": "error"}},
        {"signed": False},
    ],
)
def test_an_export_whose_model_or_test_failed_is_refused_and_only_that_one(
    tmp_path: Path, broken: dict
) -> None:
    bench = Bench(
        tmp_path / "var",
        [
            replace(USERS, **broken),
            replace(GROUPS, tests={"groups_unique": "pass", "groups_odd": "warn"}),
        ],
    )
    bench.desire(users=[user(1)], groups=[{"group_id": "g1", "email": "a", "name": "G"}])
    assert bench.whole_night() == 2
    assert bench.platform.calls == [("groups", "create", "g1")]


def test_an_export_with_an_unknown_setting_is_refused_naming_file_and_key(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path / "var", [replace(USERS, meta={**USERS.meta, "on_absence": "ignore"}), GROUPS]
    )
    bench.desire(users=[user(1)], groups=[{"group_id": "g1", "email": "a", "name": "G"}])
    assert bench.whole_night() == 2
    assert bench.platform.calls == [("groups", "create", "g1")]
    (users,) = [
        part for part in bench.run.read("plan.json")["exports"] if part["entity"] == "users"
    ]
    assert (
        "models/exp_fake__users.yml: meta.export has no setting 'on_absence'" in users["holds"][0]
    )


# ---------------------------------------------------------------- columns, seasons, releases, words


def test_a_column_that_changes_in_too_many_rows_is_held_and_other_columns_flow(
    tmp_path: Path,
) -> None:
    bench = Bench(
        tmp_path / "var",
        [
            limited(
                USERS,
                create=1000,
                update="100%",
                columns={"org_unit_path": 6},
                per_partition={"columns": {"given_name": 3}},
            )
        ],
    )
    people = [user(n, school_number="07474001" if n < 20 else "07474002") for n in range(40)]
    bench.desire(users=people)
    assert bench.whole_night() == 0
    moved = [
        {
            **p,
            **(
                {"org_unit_path": "/B"}
                if n < 7
                else {"given_name": "x"}
                if n in range(10, 16) or n in (20, 21)
                else {}
            ),
        }
        for n, p in enumerate(people)
    ]
    bench.desire(users=moved)
    assert bench.whole_night() == 2
    assert [
        row["person_id"] for row in bench.platform.rows("users") if row["org_unit_path"] == "/B"
    ] == []
    assert sorted(
        row["person_id"] for row in bench.platform.rows("users") if row["given_name"] == "x"
    ) == ["p20", "p21"]
    said = bench.run.read("plan.json")["exports"][0]["holds"]
    assert "in school 07474001: 6 changes of given_name planned, 20 rows of ours there" in said[0]
    assert "7 changes of org_unit_path planned, 40 rows of ours there" in said[1]
    assert bench.whole_night("fake.users.update", "the units were renamed") == 0


@pytest.mark.parametrize(
    ("day", "held"),
    [
        ("2026-08-24", True),
        ("2026-08-25", False),
        ("2026-12-31", False),
        ("2027-01-05", False),
        ("2027-01-06", True),
    ],
)
def test_a_season_has_its_own_limits_also_over_the_new_year(day: str, held: bool) -> None:
    row = {
        "target": "t",
        "entity": "e",
        "action": "update",
        "column_name": None,
        "scope": "run",
        "limit_text": "100%",
        "first_day": "08-25",
        "last_day": "01-05",
    }
    limits = in_season(parse({"update": 5}, "x"), [row], day)
    assert bool(holds("t", "e", limits, [Group("update", 50, 50)], NOTHING)) is held


def test_a_season_that_cannot_be_read_holds_its_export_with_a_sentence(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [USERS, GROUPS])
    bench.desire(users=[user(1)], groups=[{"group_id": "g1", "email": "a", "name": "G"}])
    bench.ask("create schema seeds")
    bench.ask(
        """create table seeds.limit_seasons as select 'fake' as target, 'users' as entity,
        'create' as action, null::varchar as column_name,
                 'run' as scope, 'lots' as limit_text, '01-01' as first_day, '12-31' as last_day"""
    )
    assert bench.whole_night() == 2
    assert bench.platform.calls == [("groups", "create", "g1")]
    (users,) = [
        part for part in bench.run.read("plan.json")["exports"] if part["entity"] == "users"
    ]
    assert (
        "seeds/limit_seasons.csv (fake users create): limits.create is 'lots'" in users["holds"][0]
    )


def test_who_lifted_a_limit_is_kept_with_the_reason_and_told_on_the_page_and_by_show(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(tmp_path / "var", [limited(USERS, create=1)])
    bench.desire(users=[user(n) for n in range(20)])
    bench.observe()
    with store.connect() as connection:
        lifted = Allowed.parse("create", " the first day ", "alice (as homeroom)")
        made = planning.build_plan(connection, bench.night(), lifted, Scope())
        document = planning.store(connection, made, bench.run.run_id)
    bench.run.write("plan.json", document)
    ((kept,),) = bench.ask("select distinct allowed from ledger.audit.plans")
    assert json.loads(kept) == {
        "words": ["create"],
        "why": "the first day",
        "who": "alice (as homeroom)",
    }
    said = [finding.message for finding in verbs._holds(document)]
    assert said == ["limits lifted for this plan by alice (as homeroom): create: the first day"]
    with store.connect() as connection:
        show(connection, bench.run, Chosen(Scope()), console=Console(width=200))
    assert "Limits lifted by alice (as homeroom): create: the first day" in capsys.readouterr().out
    assert bench.push() == 0, "it is pushed as it was planned"
    # a plan of before, which did not know
    assert Allowed.of({"words": ["create"], "why": "so"}) == Allowed(("create",), "so")


@pytest.mark.parametrize("verb", ["plan", "undo"])
def test_whoever_lifts_one_is_the_user_of_the_system_whatever_they_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("USER", "the superintendent")
    monkeypatch.setattr(access, "begin", lambda _: None)
    asked = []
    real = Allowed.parse

    def parsed(*given: str) -> Allowed:
        asked.append(real(*given))
        raise LimitError("far enough")

    monkeypatch.setattr(Allowed, "parse", parsed)
    run = ["--", Run.open("push").run_id] if verb == "undo" else []
    with pytest.raises(SystemExit):
        verbs.app([verb, "--allow", "create", "--why", "so", *run])
    assert [one.who for one in asked] == [access.typed_by()] and asked[0].who


def test_three_hundred_suspensions_are_held_forty_creates_flow_and_a_release_of_ten_applies_ten_once(  # noqa: E501
    tmp_path: Path,
) -> None:
    bench = Bench(
        tmp_path / "var",
        [
            limited(
                USERS, create=1000, suspend="2%", restore="100%", per_partition={"suspend": "100%"}
            )
        ],
    )
    bench.desire(users=[user(n) for n in range(1000)])
    assert bench.whole_night() == 0
    people = [user(n, suspended=n < 300) for n in range(1040)]
    bench.desire(users=people)
    assert bench.whole_night() == 2
    assert bench.ask(
        "select action, status, count(*) from ledger.audit.changes where run_id = ? group by all"
        " order by all",
        bench.run.run_id,
    ) == [("create", "applied", 40), ("suspend", "held", 300)]
    plan = bench.run.read("plan.json")
    where, values = conditions(plan["plan_id"], Scope(action="suspend"))
    with store.connect() as connection:
        with pytest.raises(releases.NothingToReleaseError, match="p999 is no held change"):
            releases.release(
                connection, plan["plan_id"], where, values, only=("p1", "p999"), who="x", why="y"
            )
        ten = tuple(f"p{n}" for n in range(10))
        assert (
            releases.release(
                connection,
                plan["plan_id"],
                where,
                values,
                only=ten,
                who="the principal",
                why="they left on Friday",
            )
            == 10
        )
    assert bench.whole_night() == 2
    assert sorted(
        row["person_id"] for row in bench.platform.rows("users") if row["suspended"]
    ) == sorted(ten)
    assert bench.ask("select distinct who, why from ledger.audit.releases") == [
        ("the principal", "they left on Friday")
    ]
    # used up: somebody switches one on again, and the next suspension of him waits with the others
    bench.platform.rows("users")[0]["suspended"] = False
    assert bench.whole_night() == 2
    assert bench.ask(
        "select count(*) from ledger.audit.changes where run_id = ? and status = 'held'",
        bench.run.run_id,
    ) == [(291,)]


def test_a_release_is_void_when_the_change_is_no_longer_what_was_released(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [limited(USERS, create=1000, rename=0)])
    bench.desire(users=[user(1)])
    bench.whole_night()
    bench.desire(users=[user(1, primary_email="a@x.example")])
    assert bench.whole_night() == 2
    plan = bench.run.read("plan.json")["plan_id"]
    with store.connect() as connection:
        assert (
            releases.release(
                connection, plan, *conditions(plan, Scope()), only=(), who="x", why="y"
            )
            == 1
        )
    bench.desire(users=[user(1, primary_email="b@x.example")])
    assert bench.whole_night() == 2
    assert bench.platform.rows("users")[0]["primary_email"] == "u1@x.example"


def test_an_emptied_export_is_refused_until_said_explicitly(tmp_path: Path) -> None:
    groups = replace(
        GROUPS, meta={name: value for name, value in GROUPS.meta.items() if name != "when_empty"}
    )
    bench = Bench(tmp_path / "var", [groups])
    bench.desire(groups=[{"group_id": "g1", "email": "a", "name": "G"}])
    assert bench.whole_night() == 0
    bench.desire(groups=[])
    assert bench.whole_night() == 2
    assert (
        "its export holds no row, and 1 objects we wrote are there"
        in bench.run.read("plan.json")["exports"][0]["holds"][0]
    )
    assert len(bench.platform.rows("groups")) == 1
    assert bench.whole_night("fake.groups.empty", "the school closed") == 0
    assert bench.platform.rows("groups") == []


def test_a_target_that_changes_our_keys_is_refused_before_it_gets_everybody_twice(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path / "var", [GROUPS])
    bench.desire(
        groups=[{"group_id": f"School-0{n}", "email": f"e{n}", "name": "G"} for n in range(3)]
    )
    assert bench.whole_night() == 0
    for row in bench.platform.rows("groups"):
        row["group_id"] = (
            row["group_id"].lower().replace("-0", "-")
        )  # a target that re-cases and trims zeros
    assert bench.whole_night() == 2
    assert (
        "3 keys came back in another form than they were written (School-00 came back as school-0)"
        in bench.run.read("plan.json")["exports"][0]["holds"][0]
    )
    assert len(bench.platform.rows("groups")) == 3


def test_of_two_reasons_to_wait_the_graver_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [GROUPS])
    for number in range(50):
        bench.platform.put("groups", {"group_id": None, "email": f"old{number}@x.example"})
    bench.desire(groups=[{"group_id": "School-01", "email": "e", "name": "G"}])
    assert bench.whole_night("first", "we looked: they are the board's") == 0
    next(row for row in bench.platform.rows("groups") if row["group_id"] == "School-01")[
        "group_id"
    ] = "school-1"
    assert (
        bench.whole_night() == 2
    )  # nothing of ours was ever read back: by the ledger this is a first push still
    assert "keys came back in another form" in bench.run.read("plan.json")["exports"][0]["holds"][0]


def test_a_first_push_into_a_target_that_was_lived_in_waits_for_a_word(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var")
    for number in range(60):
        bench.platform.put("users", {"person_id": None, "primary_email": f"old{number}@x.example"})
    bench.desire(users=[user(1)])
    assert bench.whole_night() == 2
    assert (
        "60 objects that are not ours are there already"
        in bench.run.read("plan.json")["exports"][0]["holds"][0]
    )
    assert bench.whole_night("first", "we looked: they are the board's") == 0
    assert bench.whole_night() == 0


@pytest.mark.parametrize("count", [2, 5, 6])
def test_a_few_edited_keys_of_a_small_district_hold_their_rows_and_many_the_entity(
    tmp_path: Path, count: int
) -> None:
    bench = Bench(tmp_path / "var", [USERS])
    bench.desire(users=[user(n) for n in range(10, 30)])
    assert bench.whole_night() == 0
    for row in bench.platform.rows("users"):
        if int(row["person_id"][1:]) < 10 + count:
            row["person_id"] = row["person_id"].upper()
    bench.desire(users=[user(n) for n in range(10, 31)])
    assert bench.whole_night() == 2
    assert len(bench.platform.rows("users")) == (21 if count <= 5 else 20)
    assert ("p30" in [row["person_id"] for row in bench.platform.rows("users")]) == (count <= 5)


def test_one_edited_key_holds_its_row_and_nothing_else(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "var", [replace(USERS, meta=USERS.meta | {"on_absent": "suspend"})])
    bench.desire(users=[user(n) for n in range(150)])
    bench.whole_night(allow="create", why="first")
    (edited,) = [row for row in bench.platform.rows("users") if row["person_id"] == "p7"]
    edited["person_id"] = "P7"
    bench.desire(users=[user(n) for n in range(151)])
    assert bench.whole_night() == 2
    assert bench.ask(
        "select action, key, status from ledger.audit.changes where run_id = ? order by key",
        bench.run.run_id,
    ) == [("suspend", "P7", "held"), ("create", "p150", "applied"), ("create", "p7", "held")]
    assert bench.run.read("plan.json")["exports"][0]["holds"] == [
        "fake users: the key of 1 of our objects was changed there (p7 came back as P7); nothing is"
        " done to them until it is put back as it was written"
    ]
    edited["person_id"] = "p7"
    assert bench.whole_night() == 0


@pytest.mark.parametrize("written", ["p7", "p8"])  # another's key beside it, or above it
def test_who_was_given_anothers_key_waits_and_is_not_made_anew(
    tmp_path: Path, written: str
) -> None:
    bench = Bench(tmp_path / "var", [USERS])
    bench.platform.allows_twins = True
    bench.desire(users=[user(n) for n in range(150)])
    bench.whole_night(allow="create", why="first")
    (edited,) = [row for row in bench.platform.rows("users") if row["person_id"] == written]
    edited["person_id"] = "p100"
    before = [dict(row) for row in bench.platform.rows("users")]
    assert bench.whole_night() == 2
    assert [dict(row) for row in bench.platform.rows("users")] == before
    told = bench.run.read("plan.json")["exports"][0]["holds"]
    assert f"({written} came back as p100)" in " ".join(told)
    edited["person_id"] = written
    assert bench.whole_night() == 0


def test_what_was_refused_for_good_takes_nothing_of_the_limits_from_others(tmp_path: Path) -> None:
    limits = {"limits": {"create": 10}}
    bench = Bench(tmp_path / "var", [replace(USERS, meta=USERS.meta | limits)])
    bad = {(f"p{n}",) for n in range(8)}
    bench.target.faults = lambda change: (
        Outcome(change.change_id, "failed", 400, "invalid") if change.key in bad else None
    )
    bench.desire(users=[user(n) for n in range(8)])
    assert bench.whole_night() == 3
    bench.desire(users=[user(n) for n in range(18)])  # ten new ones, which is what may come
    bench.whole_night()
    assert [row["person_id"] for row in bench.platform.rows("users")] == sorted(
        f"p{n}" for n in range(8, 18)
    )
    bench.desire(users=[user(n, given_name="Zoe" if n < 8 else "A") for n in range(21)])
    bench.whole_night()  # another change of theirs counts again: eight and three are eleven
    assert bench.ask(
        "select distinct status from ledger.audit.changes where run_id = ? and action = 'create'",
        bench.run.run_id,
    ) == [("held",)]
