"""Holds: whose changes wait, and whose flow beside them; rule by rule, on tables made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import duckdb
import pytest
from ledger_kit import change, export, held, ledger, stand

from reverse_etl import holds
from reverse_etl.exports import RefusalError
from reverse_etl.limits import Allowed, parse
from reverse_etl.model import Export, FileFormat

NOTHING = Allowed()
USERS = export()
SEEN = {"fake": {"status": "ok", "observed_at": "2026-01-02T03:04:05+00:00"}}
AT = 1767323045.0  # the same moment


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with ledger() as made:
        yield made


def never(target: str) -> float:
    return 0.0


# ---------------------------------------------------------------- the whole export


def of_night(
    feeds: list[dict], one: Export = USERS, seen: dict | None = None, written: float = 0.0
) -> str | None:
    one = replace(one, feeds=(("myedbc", "students"), ("hr", "staff")))
    why = holds.of_night(one, feeds, SEEN if seen is None else seen, lambda _: written)
    return str(why) if why else None


def feed(name: str = "students", source: str = "myedbc", **more: str) -> dict:
    return {"source": source, "feed": name, "status": "loaded"} | more


@pytest.mark.parametrize(
    "feeds",
    [
        [feed(status="refused", hold="")],  # ingestion says that what is in force is good enough
        [feed(status="loaded")],
        [feed(status="unchanged")],
        [feed("sections", status="refused")],
        [feed("students", "hr", status="missing")],  # not one this export is made from
        [],
    ],
)
def test_an_export_flows_while_its_own_feeds_are_good_enough(feeds: list[dict]) -> None:
    assert of_night(feeds) is None


def test_a_feed_nobody_may_trust_holds_what_is_made_from_it_and_is_named_with_its_reason() -> None:
    assert (
        of_night(
            [
                feed(status="loaded", hold="3 days old"),
                feed("staff", "hr", status="missing"),
                feed("sections", status="refused"),
            ]
        )
        == "fake users rests on feed myedbc.students (3 days old), hr.staff (missing) tonight;"
        ' nothing of it is written until the feed is good again, see "make report" for what is'
        " wrong with the file"
    )
    assert "myedbc.students (refused)" in (of_night([feed(status="refused")]) or "")
    file = replace(USERS, file=FileFormat("users.csv"))
    assert "myedbc.students (missing)" in (of_night([feed(status="missing")], file) or "")
    assert (
        of_night([], file, {}) is None
    )  # what a vendor holds is what was delivered: nothing is observed


def test_a_target_is_written_only_as_it_was_seen() -> None:
    assert (
        of_night([], seen={"other": SEEN["fake"]})
        == 'fake was not observed in this run; run "make observe", then "make plan"'
    )
    assert "(no reason given)" in (of_night([], seen={"fake": {"status": "failed"}}) or "")
    assert "(ConnectTimeout)" in (
        of_night([], seen={"fake": {"status": "failed", "error": "ConnectTimeout"}}) or ""
    )
    assert of_night([], written=AT) is None
    assert "was written to after it was observed at 2026-01-02T03:04:05;" in (
        of_night([], written=AT + 0.001) or ""
    )


STAFF, STUDENTS = ("hr", "staff"), ("myedbc", "students")


def test_a_change_to_one_person_goes_though_the_feed_of_others_is_old(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """Of the account by its own column, of memberships by what the accounts say of the subject."""
    columns = ("person_id", "email", "school", "population")
    users = replace(
        export("users", columns),
        kind="population",
        feeds=(STUDENTS, STAFF),
        context=("population",),
    )
    users = replace(users, feeds_of={"staff": (STAFF,), "student": (STUDENTS,)})
    members = replace(export("members", ("member_id", "person_id", "school")), subject="person_id")
    members = replace(members, feeds=users.feeds, feeds_of=users.feeds_of)
    stand(
        connection,
        users,
        wanted=[("boss", "e", "s", "staff"), ("kid", "e", "s", "student"), ("who", "e", "s", None)],
        written=[("gone", "e", "s", "staff"), ("kid", "e", "s", "staff")],
    )
    holds.kinds(connection, [users, members])
    for person in ("boss", "kid", "who", "gone", "new"):
        change(connection, person)
        change(connection, f"m-{person}", entity="members", subject=person)
    change(connection, "nobody", subject=None)
    feeds = [feed(status="loaded", hold="10 nights old"), feed("staff", "hr")]
    assert holds.of_other_kinds(users, feeds) == {"staff"}
    why = holds.of_night(users, feeds, SEEN, never)
    assert why
    for one in (users, members):
        said = holds.by_kind(connection, one, why, holds.of_other_kinds(one, feeds))
        assert "only what is of staff is written" in said
    assert held(connection) == ["kid", "m-kid", "m-new", "m-who", "new", "nobody", "who"]
    both = [feed(status="missing"), feed("staff", "hr", status="missing")]
    assert holds.of_other_kinds(users, both) == frozenset()
    assert holds.of_other_kinds(replace(users, file=FileFormat("users.csv")), feeds) == frozenset()
    assert holds.of_other_kinds(replace(users, subject=None), feeds) == frozenset()


# ---------------------------------------------------------------- subjects and partitions


def test_whoever_an_export_says_is_under_a_hold_is_set_aside_from_objects_and_links_not_from_files(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    holds.protect(connection, [USERS])
    assert holds.set_aside(connection, USERS) == 0  # before the first build
    people = export("users", ("person_id", "email", "school", "hold"), hold="hold", target="hr")
    rooms = replace(export("rooms", ("room", "hold"), hold="hold"), context=("hold",))
    stand(
        connection,
        people,
        wanted=[("p1", "a", "s", "legal"), ("p2", "b", "s", None), ("p4", "c", "s", "legal")],
    )
    stand(connection, rooms, wanted=[("r1", "fire"), ("r2", None)])
    holds.protect(connection, [people, rooms, replace(people, hold=None)])
    for entity, target in (("users", "fake"), ("groups", "fake"), ("users", "other")):
        for person in ("p1", "p2", "p3"):
            change(connection, person, entity=entity, target=target)
    for room in ("r1", "r2"):
        change(connection, room, entity="rooms", subject=None)
    change(connection, "r1", entity="users", subject=None)  # another entity's key
    assert holds.set_aside(connection, replace(USERS, file=FileFormat("users.csv"))) == 0
    assert holds.set_aside(connection, USERS) == 1
    assert holds.set_aside(connection, rooms) == 1
    left = connection.execute(
        "select target, entity, array_to_string(list(key order by key), ' ') from changes"
        " group by all order by all"
    ).fetchall()
    assert left == [
        ("fake", "groups", "p1 p2 p3"),
        ("fake", "rooms", "r2"),
        ("fake", "users", "p2 p3 r1"),
        ("other", "users", "p1 p2 p3"),
    ]


def test_a_hold_nobody_can_read_yet_protects_nobody(connection: duckdb.DuckDBPyConnection) -> None:
    users = replace(USERS, hold="hold")
    stand(connection, USERS, wanted=[("p1", "a", "s")])  # a table of before the column
    holds.protect(connection, [users])
    change(connection, "p1")
    assert holds.set_aside(connection, users) == 0


def test_a_school_without_its_rows_keeps_those_it_has_and_those_who_stood_in_it_when_we_last_wrote(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    users = replace(USERS, feeds=(("myedbc", "students"),))
    stand(
        connection,
        users,
        written=[("p2", "e2", "held"), ("p3", "e3", "open"), ("p5", "e5", "held")],
    )
    members = export("members", ("member_id", "person_id", "school"))
    stand(connection, members, written=[("m4", "p4", "held"), ("m9", None, "held")])
    stand(connection, export("units", ("unit_id",)))  # knows no school
    change(connection, "p1", partition="held")
    change(connection, "p2", partition="open")  # moved away only because his school's rows are gone
    change(connection, "p3", partition="open")
    change(connection, "p4", partition="open")  # stood there in another entity
    change(connection, "p5", partition="held", hold="something else")
    change(connection, "p6", subject=None, partition=None)
    change(connection, "p2", entity="groups", partition="held")
    change(connection, "p2", target="other", partition="held")
    feeds = [
        feed(held_partitions=["held", "empty"]),
        feed("sections", held_partitions=["open"]),
        feed("students", "hr", held_partitions=["open"]),
    ]  # type: ignore[arg-type]
    assert holds.by_partition(connection, users, feeds) == [
        "fake users: 3 changes of school held held, because its rows are missing from"
        " myedbc.students; the other schools go on"
    ]
    assert connection.execute(
        "select target, entity, key, said(hold) from changes where hold is not null order by all"
    ).fetchall() == [
        *(
            ("fake", "users", key, "school held has lost its rows in myedbc.students")
            for key in ("p1", "p2", "p4")
        ),
        ("fake", "users", "p5", "something else"),
    ]


def test_a_school_that_lost_its_rows_in_two_feeds_names_both_and_one_change_is_one(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    users = replace(USERS, feeds=(("myedbc", "students"), ("myedbc", "sections")))
    stand(connection, users)
    change(connection, "p1", partition="s2")
    change(connection, "p2", partition="s1")
    feeds = [feed(held_partitions=["s2", "s1"]), feed("sections", held_partitions=["s2"])]  # type: ignore[arg-type]
    assert [
        sentence.split(", because")[0] for sentence in holds.by_partition(connection, users, feeds)
    ] == ["fake users: 1 change of school s1 held", "fake users: 1 change of school s2 held"]
    assert connection.execute("select said(hold) from changes where key = 'p1'").fetchall() == [
        ("school s2 has lost its rows in myedbc.students, myedbc.sections",)
    ]


# ---------------------------------------------------------------- files


def member(name: str, archive: str | None = None, target: str = "vendor", **more: object) -> Export:
    return export(
        name, ("id",), target=target, file=FileFormat(f"{name}.csv", archive), context=(), **more
    )


def test_exports_travel_in_the_file_they_name() -> None:
    one, two, three = (
        member("a", "all_{date}.zip"),
        member("b", "all_{date}.zip"),
        member("c_{district}_{date}"),
    )
    assert holds.files([one, USERS, two, three]) == {
        ("vendor", "all_{date}.zip"): [one, two],
        ("vendor", "c_{district}_{date}.csv"): [three],
    }


def test_a_stopped_member_stops_its_archive_and_no_other_file() -> None:
    exports = [
        member("a", "all.zip"),
        member("b", "all.zip"),
        member("c"),
        member("a", "all.zip", "other"),
        USERS,
    ]
    no_rows = holds.refused("no rows")
    stopped = {("vendor", "b"): no_rows, ("fake", "users"): holds.refused("unseen")}
    assert list(holds.spread_over_files(exports, stopped, [])) == [
        ("vendor", "a", no_rows),
        ("vendor", "b", no_rows),
    ]
    dated = [
        member("a", "{date}all.zip"),
        member("b", "xall.zip"),
        member("c", "all_{district}.zip"),
        member("d", "all_x.zip"),
    ]
    stopped = {("vendor", "a"): no_rows, ("vendor", "c"): no_rows}
    assert [entity for _, entity, _ in holds.spread_over_files(dated, stopped, [])] == ["a", "c"]


def test_an_export_nobody_can_read_stops_every_file_of_its_target_because_it_may_belong_to_any() -> (  # noqa: E501
    None
):
    exports = [
        member("a", "all.zip"),
        member("b", "all.zip"),
        member("c"),
        member("a", "all.zip", "other"),
        USERS,
    ]
    lost = [
        RefusalError("d", "vendor", "d", "d.yml: no such setting"),
        RefusalError("groups", "fake", "groups", "groups.yml: no"),
    ]
    assert list(holds.spread_over_files(exports, {}, lost)) == [
        ("vendor", entity, holds.refused("d.yml: no such setting")) for entity in ("a", "b", "c")
    ]


def limits_of_file(
    connection: duckdb.DuckDBPyConnection, one: Export, before: int, allowed: Allowed = NOTHING
) -> list[str]:
    return holds.by_limits(connection, one, before, allowed)


def test_a_file_is_judged_by_the_rows_it_would_have(connection: duckdb.DuckDBPyConnection) -> None:
    one = replace(member("a"), limits=parse({"drop": 2}, "x"), target="fake", entity="users")
    stand(connection, one, wanted=[("1",)])
    for n in range(5):
        change(connection, f"r{n}", "remove", new={})
    for n in range(3):
        change(connection, f"c{n}", "create")
    change(connection, "h", "remove", hold="waits")
    change(connection, "r", "remove", entity="groups")
    change(connection, "r", "remove", target="other")
    assert limits_of_file(connection, one, 10) == []
    change(connection, "r9", "remove")
    (sentence,) = limits_of_file(connection, one, 10)
    assert sentence.startswith(
        "fake users: 3 of 10 rows delivered last time would vanish (30.0 %, limit 2)"
    )
    assert connection.execute(
        "select count(*) from changes where said(hold) = ?", [sentence]
    ).fetchone() == (9,)
    assert connection.execute(
        "select said(hold) from changes where key = 'h' or entity = 'groups' or target = 'other'"
        " order by all"
    ).fetchall() == [("waits",), (None,), (None,)]


@pytest.mark.parametrize(
    ("when_empty", "wanted", "waits"),
    [("skip", [], False), ("send", [], True), ("skip", [("1",)], True)],
)
def test_an_empty_file_that_is_not_sent_loses_nothing(
    connection: duckdb.DuckDBPyConnection, when_empty: str, wanted: list, waits: bool
) -> None:
    one = replace(
        member("a"), file=FileFormat("a.csv", when_empty=when_empty), target="fake", entity="users"
    )
    stand(connection, one, wanted=wanted)
    for n in range(9):
        change(connection, f"r{n}", "remove")
    assert bool(limits_of_file(connection, one, 10)) is waits
    assert len(held(connection)) == (9 if waits else 0)


# ---------------------------------------------------------------- limits on accounts


def test_a_limit_counts_what_is_still_to_go_and_not_what_waits_or_was_released(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    users = replace(USERS, limits=parse({"update": 2, "create": 9}, "x"))
    stand(connection, users)
    for key in ("a", "b"):
        change(connection, key)
    change(connection, "held", hold="waits")
    change(connection, "released", released=True)
    change(connection, "x", entity="groups")
    change(connection, "x", target="other")
    assert holds.by_limits(connection, users, 100, NOTHING) == []
    change(connection, "c")
    change(connection, "d", "create")
    (sentence,) = holds.by_limits(connection, users, 100, NOTHING)
    assert "3 updates planned, 100 rows of ours there (3.0 %, limit 2)" in sentence
    assert held(connection) == ["a", "b", "c", "held"]
    assert connection.execute("select said(hold) from changes where key = 'held'").fetchone() == (
        "waits",
    )
    assert held(connection, "other") == []


def test_a_school_is_measured_by_the_rows_of_ours_it_has(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    # 10 are there: 6 of school a (one by its row, five by what was written), 3 of b, one of none
    users = replace(USERS, limits=parse({"suspend": 100, "per_partition": {"suspend": "50%"}}, "x"))
    stand(
        connection,
        users,
        wanted=[("p0", "e", "a"), ("p6", "e", "b"), ("gone", "e", "a")],
        there=[(f"r{n}", f"p{n}", "e", "seen") for n in range(10)],
        written=[
            ("p0", "e", "b"),
            *((f"p{n}", "e", "a") for n in range(1, 6)),
            ("p6", "e", "a"),
            ("p7", "e", "b"),
            ("p8", "e", "b"),
        ],
    )
    for n in range(3):
        change(connection, f"p{n}", "suspend", partition="a")
    for n in (6, 7):
        change(connection, f"p{n}", "suspend", partition="b")
    change(connection, "p9", "suspend")
    assert holds.by_limits(connection, users, 10, NOTHING) == []
    change(connection, "p3", "suspend", partition="a")
    (sentence,) = holds.by_limits(connection, users, 10, NOTHING)
    assert (
        "in school a: 4 suspends planned, 6 rows of ours there (66.7 %, limit 50 % = 3)" in sentence
    )
    assert held(connection) == ["p0", "p1", "p2", "p3"]


def test_a_row_is_its_schools_once_and_before_it_was_ever_written(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    users = replace(USERS, limits=parse({"suspend": 100, "per_partition": {"suspend": 0}}, "x"))
    there = [
        ("r1", "p1", "e", "seen"),
        ("twin", "p1", "e", "seen"),
        ("r2", "p2", "e", "seen"),
        ("r3", "p3", "e", "seen"),
    ]
    stand(
        connection,
        users,
        wanted=[("p1", "e", "a"), ("p2", "e", "a")],
        there=there,
        written=[("p2", "e", "b"), ("p3", "e", "a")],
    )
    change(connection, "p1", "suspend", partition="a")
    (sentence,) = holds.by_limits(connection, users, 4, NOTHING)
    assert "in school a: 1 suspends planned, 3 rows of ours there" in sentence


def test_a_column_is_limited_where_no_school_is_named_too(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    users = replace(
        USERS,
        partition=None,
        limits=parse(
            {"update": 100, "columns": {"email": 1}, "per_partition": {"columns": {"email": 9}}},
            "x",
        ),
    )
    stand(connection, users)
    for n in range(2):
        change(connection, f"p{n}", new={"email": "new"}, partition="a")
    assert len(holds.by_limits(connection, users, 50, NOTHING)) == 1
    connection.execute("update changes set hold = null")
    assert (
        len(
            holds.by_limits(
                connection,
                replace(users, limits=parse({"update": 100, "columns": {"email": 1}}, "x")),
                50,
                NOTHING,
            )
        )
        == 1
    )
    assert held(connection) == ["p0", "p1"]


def test_a_school_counts_only_its_own_changes_that_are_still_to_go(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    users = replace(
        USERS,
        limits=parse(
            {"suspend": "50%", "create": 100, "per_partition": {"suspend": 1, "create": 1}}, "x"
        ),
    )
    stand(connection, users)
    change(connection, "p1", "suspend", partition="a")
    change(connection, "p2", "suspend", partition="a", hold="waits")
    change(connection, "p3", "suspend", partition="a", released=True)
    change(connection, "p4", "suspend", partition="b")
    change(connection, "p5", "suspend")
    change(connection, "p6", "suspend")
    change(connection, "p7", partition="a")
    change(connection, "p8", "suspend", partition="a", entity="groups")
    change(connection, "p9", "suspend", partition="a", target="other")
    change(connection, "n1", "create", partition="a")
    assert holds.by_limits(connection, users, 100, NOTHING) == []
    change(connection, "n2", "create", partition="a")
    (sentence,) = holds.by_limits(connection, users, 100, NOTHING)
    assert "in school a: 2 creates planned, 0 rows of ours there (limit 1)" in sentence
    assert held(connection) == ["n1", "n2", "p2"]


def test_schools_are_watched_only_where_the_export_names_one(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    users = replace(USERS, limits=parse({"suspend": 100}, "x"))
    stand(
        connection,
        users,
        there=[(f"r{n}", f"p{n}", "e", None) for n in range(9)],
        written=[(f"p{n}", "e", "a") for n in range(9)],
    )
    for n in range(9):
        change(connection, f"p{n}", "suspend", partition="a")
    assert holds.by_limits(connection, replace(users, partition=None), 9, NOTHING) == []
    assert len(holds.by_limits(connection, users, 9, NOTHING)) == 1


def test_a_column_is_limited_in_what_is_written_of_it_by_school_first(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    limits = parse(
        dict.fromkeys(("create", "update", "rename", "suspend", "restore", "remove"), 100)
        | {"columns": {"email": 3}, "per_partition": {"suspend": 100, "columns": {"email": 1}}},
        "x",
    )
    users = replace(USERS, limits=limits)
    stand(connection, users)
    email, other = {"email": "new"}, {"name": "new"}
    for n, action in enumerate(("update", "rename", "suspend", "restore")):
        change(connection, f"a{n}", action, new=email)
    for n in range(2):
        change(connection, f"b{n}", new=email, partition="b")
    change(connection, "c", new=email, partition="c")
    change(connection, "new", "create", new=email, partition="b")
    change(connection, "other", new=other, partition="b")
    change(connection, "let go", new=email, partition="b", released=True)
    change(connection, "waits", new=email, partition="b", hold="waits")
    said = holds.by_limits(connection, users, 50, NOTHING)
    assert [sentence.split(" rows")[0] for sentence in said] == [
        "fake users in school b: 2 changes of email planned, 0",
        "fake users: 5 changes of email planned, 50",
    ]
    assert held(connection) == ["a0", "a1", "a2", "a3", "b0", "b1", "c", "waits"]
    reasons = dict(
        connection.execute("select key, said(hold) from changes where hold is not null").fetchall()
    )
    assert (reasons["b0"], reasons["c"], reasons["waits"]) == (said[0], said[1], "waits")


def test_a_share_of_a_column_in_a_school_is_of_the_rows_it_has(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    users = replace(
        USERS, limits=parse({"update": 100, "per_partition": {"columns": {"email": "50%"}}}, "x")
    )
    stand(
        connection,
        users,
        there=[(f"r{n}", f"p{n}", "e", "") for n in range(20)],
        written=[(f"p{n}", "e", "a") for n in range(20)],
    )
    for n in range(10):
        change(connection, f"p{n}", new={"email": "new"}, partition="a")
    assert holds.by_limits(connection, users, 400, NOTHING) == []
    change(connection, "p10", new={"email": "new"}, partition="a")
    (sentence,) = holds.by_limits(connection, users, 400, NOTHING)
    assert (
        "in school a: 11 changes of email planned, 20 rows of ours there (55.0 %, limit 50 % = 10)"
        in sentence
    )


def test_a_column_without_a_school_to_stand_in_is_limited_as_a_whole_only(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    users = replace(
        USERS, limits=parse({"update": 100, "per_partition": {"columns": {"email": 0}}}, "x")
    )
    stand(connection, users)
    for n in range(9):
        change(connection, f"p{n}", new={"email": "new"}, partition="a" if n else None)
    assert holds.by_limits(connection, replace(users, partition=None), 50, NOTHING) == []
    assert len(holds.by_limits(connection, users, 50, NOTHING)) == 1
    assert held(connection) == [f"p{n}" for n in range(1, 9)]


# ---------------------------------------------------------------- what waits for a word


def asked(
    connection: duckdb.DuckDBPyConnection, one: Export, desired: int, observed: int, words: str = ""
) -> list[str]:
    allowed = Allowed.parse(words, "looked at")
    return [str(why) for why in holds.refusals(connection, one, desired, observed, allowed)]


def test_an_emptied_export_waits_where_something_of_ours_is_there(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    stand(connection, USERS, written=[("p1", "e", "a"), ("p2", "e", "a")])
    connection.execute("create temp table decided as select 1 where false")
    (sentence,) = asked(connection, USERS, 0, 2)
    assert sentence.startswith(
        "fake users: its export holds no row, and 2 objects we wrote are there; nothing of it is"
        " written until somebody looked: "
    )
    assert '"make plan ALLOW=fake.users.empty WHY=…"' in sentence
    assert asked(connection, replace(USERS, when_empty="write"), 0, 2) == []
    assert asked(connection, USERS, 0, 2, "fake.users.empty") == []
    assert len(asked(connection, USERS, 0, 2, "first,keys,create")) == 1
    connection.execute("delete from ledger.applied.fake__users")
    assert asked(connection, USERS, 0, 2) == []
    assert asked(connection, member("a"), 0, 2) == []  # a file is judged by the rows it loses


@pytest.mark.parametrize(
    ("carrying", "strangers", "words", "said"),
    [
        (49, 49, "", None),
        (
            50,
            0,
            "",
            (
                "nothing was ever written here by this ledger, and 50 of 60 objects carry our key"
                " already: is it the right ledger?"
            ),
        ),
        (
            49,
            50,
            "",
            (
                "this would be the first push, and 50 objects that are not ours are there already:"
                " are they the same people?"
            ),
        ),
        (50, 50, "first", None),
        (50, 50, "fake.users.create", None),
        (50, 50, "keys,empty,update", "nothing was ever written"),
    ],
)
def test_a_first_push_waits_where_a_crowd_was_there_before_us(
    connection: duckdb.DuckDBPyConnection,
    carrying: int,
    strangers: int,
    words: str,
    said: str | None,
) -> None:
    stand(
        connection,
        USERS,
        wanted=[(f"p{n}", "e", "a") for n in range(60)],
        there=[(f"r{n}", f"p{n}", "e", "a") for n in range(carrying)],
    )
    connection.execute(
        "create temp table decided (key text, action text, d row(_key text), o row(_key text,"
        " remote_id text), a row(_key text))"
    )
    connection.execute(
        "create schema raw_fake; create table raw_fake.users as select * from"
        f" range({carrying + strangers})"
    )
    found = asked(connection, USERS, 60, carrying, words)
    assert (found == []) if said is None else (said in found[0])
    assert asked(connection, USERS, 0, carrying, words) == []  # nothing is to be written
    connection.execute("insert into ledger.applied.fake__users (_key) values ('p1')")
    assert asked(connection, USERS, 60, carrying, words) == []  # it is not the first


def test_where_strangers_were_never_counted_nobody_waits_for_them(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    stand(connection, USERS, wanted=[("p1", "e", "a")])
    connection.execute(
        "create temp table decided (key text, action text, d row(_key text), o row(_key text,"
        " remote_id text), a row(_key text))"
    )
    assert asked(connection, USERS, 1, 0) == []


def came_back(
    connection: duckdb.DuckDBPyConnection,
    written: str,
    found: str,
    *,
    ids: tuple[str, str] = ("r1", "r2"),
    **more: object,
) -> list[str]:
    """One object we made under one key, and one there under another that is neither wanted nor
    known.
    """
    given = {
        "action": "create",
        "status": "applied",
        "known": True,
        "target": "fake",
        "entity": "users",
        "missing": "create",
        "wanted": None,
        "ours": None,
    } | more
    stand(
        connection,
        USERS,
        wanted=[(written, "e", "a")],
        there=[(ids[1], found, "e", "a")],
        written=[("other", "e", "a")],
    )
    connection.execute(
        "delete from ledger.audit.planned_changes; delete from ledger.audit.outcomes"
    )
    connection.execute(
        "insert into ledger.audit.planned_changes (change_id, target, entity, key, action) values"
        " ('c', ?, ?, ?, ?)",
        [given["target"], given["entity"], written, given["action"]],
    )
    connection.execute(
        "insert into ledger.audit.outcomes (change_id, status, remote_id) values ('c', ?, ?)",
        [given["status"], ids[0]],
    )
    connection.execute(
        """
        create or replace temp table decided as
        select ? as key, ? as action, {_key: ?} as d, null::row(_key text, remote_id text) as o,
        {_key: ?} as a
        union all select ?, null, {_key: ?}, {_key: ?, remote_id: ?}, {_key: ?}""",
        [
            written,
            given["missing"],
            written,
            written if given["known"] else None,
            found,
            given["wanted"],
            found,
            ids[1],
            given["ours"],
        ],
    )
    return asked(connection, USERS, 1, 1)


@pytest.mark.parametrize(
    ("written", "found", "same"),
    [
        ("School-7", "school7", True),
        ("007", "7", True),
        ("a|07", "A|7", True),
        ("A b", "ab", True),
        ("70", "7", False),
        ("a", "b", False),
        ("1|0", "10", False),
    ],
)
def test_a_key_that_came_back_in_another_form_is_known_by_what_it_says(
    connection: duckdb.DuckDBPyConnection, written: str, found: str, same: bool
) -> None:
    said = came_back(connection, written, found)
    assert bool(said) is same
    if same:
        assert (
            f"1 keys came back in another form than they were written ({written} came back as"
            f" {found})" in said[0]
        )
        assert "ALLOW=fake.users.keys" in said[0]


def test_a_key_that_came_back_as_another_is_known_by_the_id_its_object_was_given(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert came_back(connection, "p1", "quite another", ids=("r1", "r1")) != []
    assert (
        came_back(connection, "p1", "quite another", ids=("r1", "r1"), known=False) != []
    )  # written tonight, not yet read back
    assert came_back(connection, "p1", "quite another") == []
    for more in (
        {"status": "failed"},
        {"action": "update"},
        {"target": "other"},
        {"entity": "groups"},
    ):
        assert came_back(connection, "p1", "quite another", ids=("r1", "r1"), **more) == [], more
        assert came_back(connection, "07", "7", known=False, **more) == [], more


def test_a_key_that_is_wanted_or_was_not_missed_came_back_as_nothing_else(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert came_back(connection, "07", "7", wanted="7") == []
    assert came_back(connection, "07", "7", ours="7") == []
    assert came_back(connection, "07", "7", missing="update") == []
    assert came_back(connection, "p1", "quite another", ids=("r1", "r1"), missing="update") == []


def test_a_key_known_by_its_form_and_by_its_id_is_one(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert "1 keys came back" in came_back(connection, "07", "7", ids=("r1", "r1"))[0]


def test_of_several_keys_the_first_is_told(connection: duckdb.DuckDBPyConnection) -> None:
    assert came_back(connection, "07", "7") != []
    connection.execute(
        "insert into decided select '02', 'create', {_key: '02'}, null, {_key: '02'}"
    )
    connection.execute(
        "insert into decided select '2', null, null, {_key: '2', remote_id: 'r9'}, null"
    )
    assert (
        "2 keys came back in another form than they were written (02 came back as 2)"
        in asked(connection, USERS, 2, 2)[0]
    )
