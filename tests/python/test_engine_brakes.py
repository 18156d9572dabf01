"""The brakes themselves, number by number: at the limit it flows, one above it waits.
No database.
"""

from __future__ import annotations

import pytest

from reverse_etl.limits import (
    Allowed,
    Group,
    LimitError,
    column_holds,
    drop_hold,
    holds,
    in_season,
    parse,
)
from reverse_etl.model import Limit

NOTHING = Allowed()
EVERYTHING = {
    **dict.fromkeys(
        (
            "suspend",
            "adopt",
            "create",
            "undelete",
            "rename",
            "update",
            "restore",
            "remove",
            "delete",
        ),
        "100%",
    ),
    "per_partition": {"suspend": "100%", "delete": "100%", "remove": "100%"},
}


def held(limits: dict, *groups: Group, allowed: Allowed = NOTHING) -> list[tuple[str, str | None]]:
    return [
        (hold.action, hold.partition)
        for hold in holds("google", "users", parse(limits, "x.yml"), list(groups), allowed)
    ]


# ---------------------------------------------------------------- what flows where nobody set a
# limit


@pytest.mark.parametrize(
    ("action", "small"),
    [
        ("suspend", 1),
        ("delete", 1),
        ("adopt", 5),
        ("create", 5),
        ("undelete", 5),
        ("rename", 5),
        ("update", 5),
        ("restore", 2),
        ("remove", 5),
    ],
)
def test_by_default_a_tenth_flows_and_of_a_small_table_a_few(action: str, small: int) -> None:
    assert held({}, Group(action, 100, 1000)) == []
    assert held({}, Group(action, 101, 1000)) == [(action, None)]
    assert held({}, Group(action, small, 0)) == []
    assert held({}, Group(action, small + 1, 0)) == [(action, None)]


@pytest.mark.parametrize(("action", "most"), [("suspend", 200), ("delete", 200), ("remove", 500)])
def test_by_default_one_school_may_lose_a_fifth_of_its_accounts_and_half_of_its_members(
    action: str, most: int
) -> None:
    district = {action: "100%"}
    assert held(district, Group(action, most, 9000), Group(action, most, 1000, "07474001")) == []
    assert held(
        district, Group(action, most + 1, 9000), Group(action, most + 1, 1000, "07474001")
    ) == [(action, "07474001")]


@pytest.mark.parametrize("action", ["adopt", "create", "undelete", "rename", "update", "restore"])
def test_what_takes_nothing_away_is_not_watched_by_school_unless_said(action: str) -> None:
    group = Group(action, 900, 1000, "07474001")
    assert held({action: "100%"}, Group(action, 900, 9000), group) == []
    assert held(
        {action: "100%", "per_partition": {action: "10%"}}, Group(action, 900, 9000), group
    ) == [(action, "07474001")]


@pytest.mark.parametrize(("lost", "waits"), [(0, False), (500, False), (501, True)])
def test_by_default_a_file_may_lose_half_of_its_rows(lost: int, waits: bool) -> None:
    assert (
        bool(drop_hold("t", "e", parse({}, "x"), before=1000, after=1000 - lost, allowed=NOTHING))
        is waits
    )


def test_a_file_of_few_rows_has_no_rows_to_spare() -> None:
    assert (
        drop_hold("t", "e", parse({"drop": 0}, "x"), before=1, after=0, allowed=NOTHING) is not None
    )
    assert (
        drop_hold("t", "e", parse({}, "x"), before=1, after=0, allowed=NOTHING) is None
    )  # half of one is one, rounded up
    assert drop_hold("t", "e", parse({}, "x"), before=3, after=0, allowed=NOTHING) is not None
    assert drop_hold("t", "e", parse({}, "x"), before=0, after=9, allowed=NOTHING) is None
    assert (
        drop_hold(
            "t",
            "e",
            parse({}, "x"),
            before=3,
            after=0,
            allowed=Allowed.parse("t.drop", "the year ended"),
        )
        is None
    )


# ---------------------------------------------------------------- schools and the district


def test_only_what_is_held_of_the_same_action_is_taken_off_the_district() -> None:
    limits = {"suspend": 10, "delete": 10, "per_partition": {"suspend": 4, "delete": 100}}
    schools = [
        Group("suspend", 5, 100, "07474002"),
        Group("suspend", 4, 100, "07474001"),
        Group("delete", 11, 100, "07474002"),
    ]
    assert held(limits, Group("suspend", 15, 1000), Group("delete", 11, 1000), *schools) == [
        ("suspend", "07474002"),
        ("delete", None),
    ]
    assert held(limits, Group("suspend", 16, 1000), Group("delete", 10, 1000), *schools) == [
        ("suspend", "07474002"),
        ("suspend", None),
    ]


def test_holds_are_told_schools_first_in_the_order_of_writing_and_of_numbers() -> None:
    limits = {**EVERYTHING, "delete": 0, "suspend": 0, "per_partition": {"delete": 0, "suspend": 0}}
    groups = [
        Group("delete", 9, 9, "07474001"),
        Group("suspend", 9, 9, "07474002"),
        Group("suspend", 9, 9, "07474001"),
        Group("delete", 10, 9),
        Group("suspend", 19, 9),
    ]
    assert held(limits, *groups) == [
        ("suspend", "07474001"),
        ("suspend", "07474002"),
        ("delete", "07474001"),
        ("suspend", None),
        ("delete", None),
    ]


def test_the_district_is_told_what_is_left_after_its_held_schools() -> None:
    groups = [Group("suspend", 70, 1000), Group("suspend", 40, 80, "07474001")]
    school, district = holds("google", "users", parse({"suspend": "2%"}, "x"), groups, NOTHING)
    assert (
        school.sentence
        == "google users in school 07474001: 40 suspends planned, 80 rows of ours there (50.0 %,"
        ' limit 20 % = 16); see "make show TARGET=google ACTION=suspend", then "make plan'
        ' ALLOW=google.users.suspend WHY=…" and "make push"'
    )
    assert district.sentence.startswith(
        "google users: 30 suspends planned, 1,000 rows of ours there (3.0 %, limit 2 % = 20); "
    )


def test_a_count_is_told_as_a_count_and_nothing_as_no_share() -> None:
    (hold,) = holds(
        "google", "users", parse({"create": 1200}, "x"), [Group("create", 1201, 0)], NOTHING
    )
    assert hold.sentence.startswith(
        "google users: 1,201 creates planned, 0 rows of ours there (limit 1200); "
    )


def test_a_lost_file_is_told_with_its_share_and_its_word() -> None:
    assert (
        str(
            drop_hold(
                "portfolio",
                "students",
                parse({"drop": "12.5%"}, "x"),
                before=1600,
                after=1399,
                allowed=NOTHING,
            )
        )
        == "portfolio students: 201 of 1,600 rows delivered last time would vanish (12.6 %, limit"
        ' 12.5 %); see "make show TARGET=portfolio", then "make plan'
        ' ALLOW=portfolio.students.drop WHY=…" and "make push"'
    )


# ---------------------------------------------------------------- columns


@pytest.mark.parametrize(
    ("limit", "observed", "planned", "waits"),
    [
        (7, 1000, 7, False),
        (7, 1000, 8, True),
        ("2%", 1000, 20, False),
        ("2%", 1000, 21, True),
        ("2%", 10, 5, False),
        ("2%", 10, 6, True),
    ],
)
def test_a_column_flows_up_to_its_limit_and_five_of_a_small_table(
    limit: object, observed: int, planned: int, waits: bool
) -> None:
    limits = parse({"columns": {"email": limit}}, "x").columns
    group = Group("update", planned, observed, "07474001", "email")
    found = column_holds("google", "users", limits, [group], NOTHING)
    assert [(hold.action, hold.partition, hold.column) for hold in found] == (
        [("update", "07474001", "email")] if waits else []
    )
    assert column_holds("google", "users", {}, [group], NOTHING) == []


@pytest.mark.parametrize(
    ("word", "waits"),
    [
        ("update", False),
        ("google.update", False),
        ("google.users.update", False),
        ("rename", True),
        ("create", True),
    ],
)
def test_a_column_is_let_go_with_the_word_for_updates(word: str, waits: bool) -> None:
    groups = [Group("update", 9, 100, None, "email"), Group("update", 9, 100, None, "name")]
    found = column_holds(
        "google",
        "users",
        {"email": Limit(count=1), "name": Limit(count=1)},
        groups,
        Allowed.parse(word, "looked at"),
    )
    assert [hold.column for hold in found] == (["email", "name"] if waits else [])
    if waits:
        assert found[0].sentence.startswith(
            "google users: 9 changes of email planned, 100 rows of ours there (9.0 %, limit 1); "
        )


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        (0, Limit(count=0)),
        (300, Limit(count=300)),
        ("30%", Limit(share=0.3)),
        (" 2.5 % ", Limit(share=0.025)),
        ("100%", Limit(share=1.0)),
        ("0%", Limit(share=0.0)),
    ],
)
def test_a_limit_is_read_as_it_is_written(text: object, limit: Limit) -> None:
    everywhere = parse(
        {
            "update": text,
            "columns": {"a": text},
            "per_partition": {"rename": text, "columns": {"b": text}},
        },
        "x",
    )
    assert (everywhere.per_run, everywhere.columns) == ({"update": limit}, {"a": limit})
    assert (everywhere.per_partition, everywhere.columns_per_partition) == (
        {"rename": limit},
        {"b": limit},
    )


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"columns": 3}, "users.yml: limits.columns must be a table of limits, not 3"),
        ({"per_partition": 3}, "users.yml: limits.per_partition must be a table of limits, not 3"),
        (
            {"per_partition": {"columns": 3}},
            "users.yml: limits.per_partition.columns must be a table of limits, not 3",
        ),
        ({"per_partition": {"create": "x"}}, "users.yml: per_partition: limits.create is 'x'"),
        ({"per_partition": {"columns": {"a": "x"}}}, "users.yml: per_partition: limits.a is 'x'"),
        ({"columns": {"a": "x"}}, "users.yml: limits.a is 'x'"),
        ({"deliver": 1}, "users.yml: limits has no action 'deliver'"),
        ({"create": "100.5%"}, "limits.create is '100.5%'"),
        ({"create": "5"}, "limits.create is '5'"),
        ({"create": 2.5}, "limits.create is 2.5"),
    ],
)
def test_a_limit_that_cannot_be_read_says_where_it_stands(limits: dict, words: str) -> None:
    with pytest.raises(LimitError) as caught:
        parse(limits, "users.yml")
    assert words in str(caught.value)


def test_a_share_of_what_is_there_is_rounded_up_and_never_by_an_error_of_arithmetic() -> None:
    assert [Limit(share=0.3).allowed(n) for n in (0, 1, 3, 4, 10)] == [0, 1, 1, 2, 3]
    assert Limit(share=0.3).allowed(10, 7) == 7
    assert Limit(count=0).allowed(1000, 7) == 0
    assert Limit().allowed(1000) == 0
    assert [str(one) for one in (Limit(count=12), Limit(share=0.025), Limit())] == [
        "12",
        "2.5 %",
        "0 %",
    ]


# ---------------------------------------------------------------- words


def test_words_are_kept_once_in_order_with_their_reason() -> None:
    assert Allowed.parse(" google.users.suspend, create ,create,", "  summer ") == Allowed(
        ("create", "google.users.suspend"), "summer"
    )
    assert Allowed.parse("", "summer") == Allowed((), "")
    assert Allowed.parse(" , ", "") == Allowed((), "") == Allowed()
    assert Allowed().why == ""


@pytest.mark.parametrize(
    "word",
    [
        "suspend",
        "adopt",
        "create",
        "undelete",
        "rename",
        "update",
        "restore",
        "remove",
        "delete",
        "drop",
        "empty",
        "keys",
        "first",
    ],
)
def test_every_brake_has_its_word(word: str) -> None:
    assert (
        Allowed.parse(f"google.users.{word}", "x").lifts("google", "users", word)
        == f"google.users.{word}"
    )
    assert Allowed.parse(f"google.users.{word}", "x").lifts("google", "groups", word) is None


@pytest.mark.parametrize(
    "words", ["deliver", "google.users", "create.google", "a.google.users.create"]
)
def test_a_word_that_is_no_brakes_is_refused(words: str) -> None:
    with pytest.raises(LimitError, match="write an action"):
        Allowed.parse(words, "x")


# ---------------------------------------------------------------- seasons


def season(
    text: str = "50", first: str = "08-25", last: str = "09-30", **more: str | None
) -> dict[str, str | None]:
    return {
        "target": "t",
        "entity": "e",
        "action": "update",
        "column_name": None,
        "scope": "run",
        "limit_text": text,
        "first_day": first,
        "last_day": last,
    } | more


@pytest.mark.parametrize(
    ("day", "counts"),
    [
        ("2026-08-24", False),
        ("2026-08-25", True),
        ("2026-09-30", True),
        ("2026-10-01", False),
        ("2027-01-01", False),
    ],
)
def test_a_season_counts_from_its_first_to_its_last_day(day: str, counts: bool) -> None:
    assert in_season(parse({"update": 5}, "x"), [season()], day).per_run["update"] == Limit(
        count=50 if counts else 5
    )


@pytest.mark.parametrize(
    ("day", "counts"),
    [
        ("2026-12-14", False),
        ("2026-12-15", True),
        ("2027-01-05", True),
        ("2027-01-06", False),
        ("2026-06-15", False),
    ],
)
def test_a_season_over_the_new_year_counts_on_both_sides_of_it(day: str, counts: bool) -> None:
    assert in_season(parse({"update": 5}, "x"), [season("50", "12-15", "01-05")], day).per_run[
        "update"
    ] == Limit(count=50 if counts else 5)


def test_a_season_of_one_day_is_that_day() -> None:
    assert [
        in_season(parse({"update": 5}, "x"), [season("50", "08-25", "08-25")], f"2026-08-{n}")
        .per_run["update"]
        .count
        for n in (24, 25, 26)
    ] == [5, 50, 5]


def test_a_season_stands_over_one_limit_and_leaves_the_others() -> None:
    before = parse(
        {
            "update": 1,
            "create": 2,
            "columns": {"a": 3},
            "per_partition": {"update": 4, "columns": {"a": 5}},
        },
        "x",
    )
    rows = [
        season("99", first="01-01", last="01-02"),
        season("11"),
        season("12"),
        season("20%", scope="partition"),
        season("30", action=None, column_name="a"),
        season("40%", action=None, column_name="a", scope="partition"),
    ]
    after = in_season(before, rows, "2026-09-01")
    assert after.per_run == {
        "update": Limit(count=12),
        "create": Limit(count=2),
    }  # of two the later
    assert after.per_partition == {"update": Limit(share=0.2)}
    assert after.columns == {"a": Limit(count=30)}
    assert after.columns_per_partition == {"a": Limit(share=0.4)}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (season("lots"), "seeds/limit_seasons.csv (t e update): limits.update is 'lots'"),
        (season(action="explode"), "(t e explode): limits has no action 'explode'"),
        (season("lots", action=None, column_name="email"), "(t e email): limits.email is 'lots'"),
    ],
)
def test_a_season_that_cannot_be_read_says_which(row: dict, words: str) -> None:
    with pytest.raises(LimitError) as caught:
        in_season(parse({}, "x"), [row], "2026-09-01")
    assert words in str(caught.value)
