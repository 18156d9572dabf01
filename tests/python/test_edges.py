"""The trust gate's numbers: exactly at each limit and one beyond it. What the limits mean:
docs/trust.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from library_kit import Library, loans, people

from common import problems
from common.settings import SettingsError, parse
from ingestion import coverage, events, rejects, table, trust, values
from ingestion.configured import FilesSource
from ingestion.layout import Feed, Reference
from ingestion.model import Fetched, LastGood, RefusedError, Reject, Trusted
from ingestion.scan import Bad
from ingestion.source import FeedResult, NotLanded, Source, Unchanged, _aged, _refuse_older, _stale
from ingestion.tolerance import Tolerance, given, nights, school_nights, tolerance
from ingestion.trust import Rules

MONDAY = date(2026, 10, 5)
AT = datetime(2026, 10, 5, 10, tzinfo=UTC)
FILE = Fetched("People.csv", Path("People.csv"), "f" * 64, 1234, AT)
FEED = Feed(name="people", files=("People*",), columns=("School Number",))


def trusted(rows: int = 0, bad: int = 0, **more: Any) -> Trusted:
    """A file of so many rows, and so many that cannot be read."""
    found = tuple(Reject(line + 2, "reject_quoting", "") for line in range(bad))
    return Trusted(
        FEED,
        FILE,
        "utf-8",
        ",",
        True,
        1,
        {},
        Path("x"),
        ((2, rows),) if rows else (),
        rejects=found,
        **more,
    )


def refused(call, *arguments: Any, **more: Any) -> str:
    """The code of the refusal; '' when it passes."""
    try:
        call(*arguments, **more)
    except RefusedError as error:
        return error.code
    return ""


# ---------------------------------------------------------------- rows


@pytest.mark.parametrize(("bad", "kind"), [(0, ""), (10, ""), (11, "feed_rejects")])
def test_a_tenth_of_the_rows_may_be_unreadable_and_not_one_more(bad, kind):
    assert refused(trust._enough, trusted(100 - bad, bad), Rules()) == kind
    assert refused(trust._enough, trusted(100 - bad, bad), Rules(accept_smaller=True)) == kind, (
        "a person who accepts fewer rows accepts no broken ones"
    )
    assert (
        refused(
            trust._enough, trusted(100 - bad, bad), Rules(tolerance=Tolerance(most_rejected=0.11))
        )
        == ""
    )
    assert refused(
        trust._enough, trusted(100 - bad, bad), Rules(tolerance=Tolerance(most_rejected=0.0))
    ) == ("feed_rejects" if bad else "")


def test_too_many_unreadable_rows_are_told_with_the_numbers_and_the_first_line():
    with pytest.raises(RefusedError) as told:
        trust._enough(trusted(89, 11), Rules())
    assert (
        str(told.value)
        == "People.csv: 11 of 100 rows (11%, limit 10%) cannot be read, the first in line 2 (bad"
        " quoting)"
    )
    assert told.value.line == 2


@pytest.mark.parametrize(
    ("rows", "kind"), [(20, ""), (19, "feed_collapsed"), (1, "feed_collapsed")]
)
def test_half_of_the_largest_of_the_last_five_good_loads_is_enough_and_one_row_less_is_not(
    rows, kind
):
    last = LastGood(rows=30, history=(30, 20, 40, 20, 20, 1000))
    assert refused(trust._enough, trusted(rows), Rules(last)) == kind, (
        "the sixth load before is forgotten"
    )
    assert refused(trust._enough, trusted(rows), Rules(last, accept_smaller=True)) == ""
    assert refused(trust._enough, trusted(rows), Rules(last, Tolerance(min_row_ratio=0.0))) == ""
    assert (
        refused(trust._enough, trusted(rows), Rules(last, Tolerance(good_loads=6)))
        == "feed_collapsed"
    )
    assert refused(trust._enough, trusted(rows), Rules(LastGood(rows=40))) == kind, (
        "a warehouse without a ledger measures by what is landed"
    )
    assert refused(trust._enough, trusted(rows), Rules()) == "", (
        "the first load has nothing to be measured against"
    )


@pytest.mark.parametrize(
    ("history", "against"),
    [
        ((40,), "the last good load"),
        ((), "the last good load"),
        ((30, 40), "the largest of the last 2 good loads"),
    ],
)
def test_a_collapse_says_what_it_was_measured_against(history, against):
    with pytest.raises(RefusedError) as told:
        trust._enough(trusted(1), Rules(LastGood(rows=40, history=history)))
    assert str(told.value) == f"People.csv has 1 row (2% of the 40 of {against}, limit 50%)"
    assert "--accept-smaller people" in problems.action(told.value.code, told.value.values)


@pytest.mark.parametrize(
    ("has_header", "says"),
    [(True, "has only its heading line (1,234 bytes)"), (False, "has no rows (1,234 bytes)")],
)
def test_a_file_without_rows_is_empty_whatever_a_person_accepts(has_header, says):
    with pytest.raises(RefusedError, match="has ") as told:
        trust._enough(
            replace(trusted(), has_header=has_header),
            Rules(tolerance=Tolerance(min_row_ratio=0.0, most_rejected=1.0), accept_smaller=True),
        )
    code = "feed_heading_only" if has_header else "feed_without_rows"
    assert (told.value.code, str(told.value)) == (code, f"People.csv {says}")


@pytest.mark.parametrize(
    ("rows", "repeated", "expected"),
    [
        (30, 10, (0, "")),
        (31, 1, (3, "feed_doubled")),
        (31, 0, (0, "feed_grew")),
        (40, 9, (0, "feed_grew")),
        (40, 10, (3, "feed_doubled")),
    ],
)
def test_a_feed_without_a_key_may_grow_by_half_and_beyond_that_by_rows_of_its_own(
    library: Library, rows, repeated, expected
):
    library.good_night()
    own = loans(rows - repeated)
    library.drop(Loans=own + "".join(own.splitlines(keepends=True)[1 : repeated + 1]))
    assert (
        library.ingest(),
        "".join(finding["code"] for finding in library.findings()),
    ) == expected


def test_a_feed_with_a_key_may_grow_as_it_likes_and_so_may_one_whose_growth_is_not_asked(
    library: Library, monkeypatch: pytest.MonkeyPatch
):
    library.good_night()
    monkeypatch.setenv("TRUST__MAX_ROW_GROWTH", "false")
    library.drop(People=people(40), Loans=loans(20) + loans(20).split("\r\n", 1)[1])
    assert library.ingest() == 0
    assert library.findings() == []
    monkeypatch.delenv("TRUST__MAX_ROW_GROWTH")
    library.drop(People=people(70))
    assert library.ingest() == 0
    assert library.findings() == []


@pytest.mark.parametrize(("odd", "code"), [(4, 0), (5, 3)])
def test_nine_of_ten_values_must_look_as_they_should_and_nine_of_ten_is_enough(
    library: Library, odd, code
):
    """Of forty student numbers thirty-six, exactly; then one fewer."""
    library.good_night()
    content = people()
    for number in range(odd):
        content = content.replace(f'"1000{number}"', f'"Q{number}"')
    library.drop(People=content, Loans=loans(20, first=20000))
    assert library.ingest() == code
    if code:
        found = library.only()
        assert (found["code"], found["line"]) == ("feed_shape", 2)
        assert (
            "5 of 40 values of student_number do not look like one, the first in line 2"
            in found["message"]
        )


# ---------------------------------------------------------------- schools


def schools_held(
    now: dict[str, int], before: dict[str, int], accepted: bool = False, **limits: Any
) -> tuple[str, ...] | str:
    """The schools that are held, or the kind of refusal."""
    try:
        return coverage.of_schools(
            "sis", trusted(1), now, LastGood(schools=before), Tolerance(**limits), accepted=accepted
        ).held
    except RefusedError as error:
        return error.code


@pytest.mark.parametrize(
    ("before", "now", "held"),
    [
        (10, 5, False),  # half of its rows are enough
        (10, 4, True),
        (3, 2, False),
        (3, 1, True),  # a school of three is watched
        (3, 0, True),
        (2, 0, False),  # one of two comes and goes
        (11, 6, False),
        (11, 5, True),
    ],
)
def test_a_school_is_held_below_half_of_its_rows_if_it_had_three(before, now, held):
    others = {"b": 10, "c": 10}
    assert schools_held(others | ({"a": now} if now else {}), others | {"a": before}) == (
        ("a",) if held else ()
    )


def test_a_school_without_any_row_is_held_whatever_share_is_asked_for():
    before = {"a": 10, "b": 10, "c": 10}
    assert schools_held({"a": 1, "b": 10, "c": 10}, before, school_share=0.0) == ()
    assert schools_held({"b": 10, "c": 10}, before, school_share=0.0) == ("a",)
    assert schools_held({"b": 10, "c": 10}, {"a": 0, "b": 10, "c": 10}, school_rows=0) == (), (
        "it had none to lose"
    )
    assert schools_held({"b": 10, "c": 10}, {"a": 1, "b": 10, "c": 10}, school_rows=0) == ("a",)


@pytest.mark.parametrize(
    ("lost", "limit", "result"),
    [
        (1, 0.25, ("s0",)),
        (2, 0.25, "feed_schools_collapsed"),
        (2, 0.5, ("s0", "s1")),
        (3, 0.5, "feed_schools_collapsed"),
    ],
)
def test_so_many_schools_may_collapse_alone_and_one_more_is_a_broken_file(lost, limit, result):
    before = {f"s{at}": 10 for at in range(4)} | {"small": 2}
    now = {school: rows for at, (school, rows) in enumerate(before.items()) if at >= lost}
    assert schools_held(now, before, max_lost_partitions=limit) == result, (
        "schools that are not watched do not count"
    )


def test_what_a_person_accepts_and_what_is_not_measured_holds_no_school():
    before = {"a": 10, "b": 10}
    assert schools_held({"b": 1}, before, accepted=True) == ()
    assert schools_held({"b": 1}, before, min_row_ratio=0.0) == ()
    found = coverage.of_schools(
        "sis", trusted(1), {"b": 1}, LastGood(schools=before), Tolerance(), accepted=True
    )
    assert found.expected == {"b": 1}, "the next load is measured against what was accepted"


@pytest.mark.parametrize(
    ("day", "unwatched"),
    [
        (date(2026, 8, 31), set()),
        (date(2026, 9, 1), {"00000001"}),
        (date(2026, 10, 1), {"00000001", "07474002"}),
        (date(2026, 10, 31), {"00000001", "07474002"}),
        (date(2026, 11, 1), {"00000001", "07474003"}),  # they go back
        (date(2026, 11, 14), {"00000001", "07474003"}),
        (date(2027, 11, 15), {"00000001"}),  # a school that closed stays closed
    ],
)
def test_a_school_an_event_empties_is_watched_in_no_feed(day, unwatched, tmp_path, monkeypatch):
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "district_events.csv").write_text(
        "event,school_number,to_school_number,starts_on,ends_on,why\n"
        "closes,1,2,2026-09-01,2026-09-30,sold\n"
        "moves,07474002,07474003,2026-10-01,2026-10-31,flooded\n"
        "renamed,07474004,,2026-09-01,2026-09-30,honoured\n"
        "closes,07474005,,soon,2026-09-30,refused before anything is built\n"
    )
    monkeypatch.setattr(events.paths, "project", lambda: tmp_path)
    assert events.unwatched(day) == unwatched


def test_what_is_not_watched_is_neither_held_nor_expected_again():
    before = LastGood(schools={"a": 10, "b": 10, "c": 10})
    found = coverage.of_schools(
        "sis", trusted(1), {"c": 10}, before, Tolerance(), accepted=False, unwatched={"a", "b"}
    )
    assert (found.held, found.expected) == ((), {"c": 10})


def test_a_held_school_is_measured_against_its_last_whole_load_and_told_with_its_numbers():
    before = {"b": 1200, "a": 10, "c": 10, "d": 10, "e": 10, "f": 10}
    found = coverage.of_schools(
        "sis",
        trusted(1),
        {"a": 1, "c": 12, "d": 10, "e": 10, "f": 10},
        LastGood(schools=before),
        Tolerance(),
        accepted=False,
    )
    assert found.expected == {"a": 10, "b": 1200, "c": 12, "d": 10, "e": 10, "f": 10}
    assert found.held == ("a", "b")
    assert [finding.message.partition(";")[0] for finding in found.findings] == [
        "sis people: school a has 1 row in People.csv and had 10 in its last good load",
        "sis people: school b has no rows in People.csv and had 1,200 in its last good load",
    ]
    assert [(finding.level, finding.code, finding.school_number) for finding in found.findings] == [
        ("critical", "school_held", "a"),
        ("critical", "school_held", "b"),
    ]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7474001", "07474001"),
        (" 12 ", "00000012"),
        ("07474001", "07474001"),
        ("ABC", "ABC"),
        ("123456789", "123456789"),
    ],
)
def test_a_school_number_has_eight_digits(text, number):
    assert coverage.school_number(text) == number


# ---------------------------------------------------------------- references


@pytest.mark.parametrize(
    ("strangers", "limit", "kind"),
    [(10, 0.10, ""), (11, 0.10, "feed_orphans"), (0, 0.0, ""), (1, 0.0, "feed_orphans")],
)
def test_a_tenth_of_the_rows_may_point_nowhere_and_empty_ones_point_at_nobody(
    strangers, limit, kind
):
    """A hundred rows that name somebody, a hundred that name nobody; spaces around a number are no
    other number.
    """
    values = [f"x{at}" for at in range(strangers)] + [" 7 "] * (100 - strangers) + [None] * 100
    child = trusted(200)
    with table.connected() as connection:
        connection.register("child", pa.table({"c0": values}))

        def asked(query: str, known: pa.Table) -> tuple:
            connection.register("known", known)
            return connection.execute(query).fetchone()

        reference = Reference("number", "students", "number")
        given: dict[str, Any] = {"asked": asked, "tolerance": Tolerance(orphan_share=limit)}
        assert (
            refused(
                coverage.refuse_orphans,
                "library",
                child,
                reference,
                "c0",
                pa.table({"value": ["7", "8"]}),
                **given,
            )
            == kind
        )
        if kind and limit:
            with pytest.raises(
                RefusedError,
                match=(
                    r"11 of 100 rows \(11%, limit 10%\) name a number that students has not, the"
                    r" first in line 2"
                ),
            ):
                coverage.refuse_orphans(
                    "library", child, reference, "c0", pa.table({"value": ["7"]}), **given
                )
        nobody = pa.table({"value": pa.array([], pa.string())})
        assert (
            refused(coverage.refuse_orphans, "library", child, reference, "c0", nobody, **given)
            == ""
        ), "no parent is known"


# ---------------------------------------------------------------- age


def days_before(school_days: int) -> date:
    """A day so many school nights before Monday the 19th."""
    day = date(2026, 10, 19)
    while school_nights(day, date(2026, 10, 19)) < school_days:
        day -= timedelta(1)
    return day


TONIGHT = date(2026, 10, 19)


@pytest.mark.parametrize(
    ("age", "named", "limits", "level"),
    [
        (2, False, {}, ""),
        (3, False, {}, "warning"),
        (9, True, {}, "warning"),
        (10, True, {}, "critical"),
        (10, False, {}, "warning"),  # nobody is absent in the holidays
        (10, True, {"hold_after_days": None}, "warning"),
        (10, True, {"stale_after_days": None}, ""),
        (0, True, {"stale_after_days": 0}, ""),  # what is of today is never old
        (1, True, {"stale_after_days": 0}, "warning"),
    ],
)
def test_old_content_is_told_after_three_school_nights_and_held_after_ten_when_its_name_says_so(
    age, named, limits, level
):
    found = coverage.old_content(
        "sis",
        trusted(1, content_on=days_before(age), content_named=named),
        TONIGHT,
        Tolerance(**limits),
    )
    assert "".join(one.level for one in found) == level
    assert {one.code for one in found} <= {
        "feed_old_content_held" if level == "critical" else "feed_old_content"
    }
    assert all(
        one.message.endswith(
            "3 are expected" if level == "warning" else "so what rests on it is held"
        )
        for one in found
        if not limits
    )
    assert (
        coverage.old_content("sis", trusted(1, content_named=named), TONIGHT, Tolerance(**limits))
        == ()
    ), "a file that speaks of no day"
    if level == "critical":
        assert (
            found[0].message
            == "sis people: People.csv speaks of 2026-10-05, 10 school nights ago; at most 3 are"
            " expected, so what rests on it is held"
        )


def result(status: str) -> FeedResult:
    return FeedResult("sis", "people", status, file="People.csv")


@pytest.mark.parametrize(
    ("age", "named", "limits", "expected"),
    [
        (9, True, {}, (9, "")),
        (10, True, {}, (10, "its content is 10 school nights old, limit 10")),
        (10, False, {}, (10, "")),
        (10, True, {"hold_after_days": None}, (10, "")),
        (10, True, {"stale_after_days": None, "hold_after_days": None}, (0, "")),
    ],
)
def test_a_loaded_file_whose_name_is_ten_school_nights_old_holds_what_rests_on_it(
    age, named, limits, expected
):
    loaded = trusted(1, content_on=days_before(age), content_named=named, held_partitions=("a",))
    aged = _aged(
        result("loaded"),
        loaded,
        LastGood(held_partitions=("b",)),
        Tolerance(**limits),
        as_of=TONIGHT,
        back=False,
    )
    assert (aged.age_days, aged.hold, aged.held_partitions) == (*expected, ("a",))


@pytest.mark.parametrize(
    ("age", "limits", "expected"),
    [
        (9, {}, (9, "")),
        (10, {}, (10, "the same file for 10 school nights, limit 10")),
        (10, {"hold_after_days": None}, (10, "")),
        (10, {"stale_after_days": None, "hold_after_days": None}, (0, "")),
        (1, {"hold_after_days": 1}, (1, "the same file for 1 school night, limit 1")),
    ],
)
def test_the_same_file_for_ten_school_nights_holds_what_rests_on_it(age, limits, expected):
    last = LastGood(
        rows=5, changed_on=days_before(age), met_on=days_before(age), held_partitions=("b",)
    )
    aged = _aged(
        result("unchanged"), Unchanged(FILE), last, Tolerance(**limits), as_of=TONIGHT, back=False
    )
    assert (aged.age_days, aged.hold, aged.held_partitions) == (*expected, ("b",))


@pytest.mark.parametrize(
    ("status", "last_good_days", "rows", "back", "hold"),
    [
        ("refused", 5, 40, False, ""),
        ("missing", 4, 40, False, "missing, what is in force is 5 school nights old, limit 4"),
        ("refused", 0, 40, False, "refused, and an older one will not do"),
        ("missing", 5, 0, False, "missing, and nothing of it is landed"),
        ("missing", 5, 0, True, ""),  # landed again from the archive
        ("missing", 4, 0, True, "missing, what is in force is 5 school nights old, limit 4"),
        ("absent", 0, 0, False, ""),
        ("resting", 0, 40, False, ""),
    ],
)
def test_what_is_not_landed_tonight_waits_unless_the_last_good_load_is_young_enough(
    status, last_good_days, rows, back, hold
):
    last = LastGood(
        rows=rows, changed_on=days_before(5), met_on=days_before(2), held_partitions=("b",)
    )
    limit = Tolerance(last_good_days=last_good_days)
    aged = _aged(
        result(status),
        NotLanded(status, "feed_missing", "it is not there", ""),
        last,
        limit,
        as_of=TONIGHT,
        back=back,
    )
    assert aged.hold == hold
    assert (aged.age_days, aged.held_partitions) == {"absent": (0, ()), "resting": (0, ("b",))}.get(
        status, (5, ("b",))
    )


def test_a_table_that_never_grows_stale_is_as_old_as_the_last_night_it_was_met():
    last = LastGood(rows=40, changed_on=days_before(9), met_on=days_before(2))
    limit = Tolerance(last_good_days=1, stale_after_days=None, hold_after_days=None)
    aged = _aged(
        result("missing"),
        NotLanded("missing", "feed_missing", "gone", ""),
        last,
        limit,
        as_of=TONIGHT,
        back=False,
    )
    assert (aged.age_days, aged.hold) == (
        2,
        "missing, what is in force is 2 school nights old, limit 1",
    )


@pytest.mark.parametrize(
    ("age", "hold", "stale", "levels"),
    [(2, "", 3, []), (3, "", 3, ["warning"]), (3, "held", 3, ["critical"]), (3, "", None, [])],
)
def test_a_file_that_stays_the_same_is_told_from_its_third_night(age, hold, stale, levels):
    source = Source("sis", FilesSource(kind="files"), None)
    one = replace(result("unchanged"), age_days=age, hold=hold)
    limits = {"people": Tolerance(stale_after_days=stale)}
    found = _stale(source, [one], {"people": Unchanged(FILE)}, {"people": LastGood()}, limits)
    assert [finding.level for finding in found] == levels
    assert (
        _stale(
            source,
            [one],
            {"people": NotLanded("refused", "feed_empty", {"file": "x"})},
            {"people": LastGood()},
            limits,
        )
        == []
    ), "a refused one says so itself"


def test_a_school_still_held_is_told_every_night_nothing_new_was_landed():
    source = Source("sis", FilesSource(kind="files"), None)
    one, last = (
        replace(result("unchanged"), held_partitions=("a", "b")),
        {"people": LastGood(schools={"a": 1200})},
    )
    found = _stale(source, [one], {"people": Unchanged(FILE)}, last, {"people": Tolerance()})
    assert [(finding.level, finding.code, finding.school_number) for finding in found] == [
        ("critical", "school_still_held", "a"),
        ("critical", "school_still_held", "b"),
    ]
    assert "school a still lacks its rows (it had 1,200 in its last good load)" in found[0].message
    assert _stale(source, [one], {"people": trusted(1)}, last, {"people": Tolerance()}) == [], (
        "tonight's file tells it itself"
    )


@pytest.mark.parametrize(
    ("seconds", "kind"), [(-1, "feed_repeated"), (0, "feed_repeated"), (1, "")]
)
def test_a_file_of_before_the_last_one_is_refused_unless_it_is_newer_by_its_own_clock(
    seconds, kind
):
    """Exactly as old as what is landed is not newer."""
    again = replace(FILE, modified_at=AT + timedelta(seconds=seconds))
    assert (
        refused(
            _refuse_older,
            again,
            LastGood(earlier=frozenset({FILE.sha256}), modified_at=AT.timestamp()),
        )
        == kind
    )
    assert (
        refused(
            _refuse_older,
            again,
            LastGood(earlier=frozenset({"e" * 64}), modified_at=AT.timestamp()),
        )
        == ""
    )


# ---------------------------------------------------------------- days


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("People_2026-10-05.csv", MONDAY),
        ("People20261005.csv", MONDAY),
        ("2026_10_05-People.csv", MONDAY),
        ("People_2026-09-30.csv", date(2026, 9, 30)),
        ("People_2026-12-31.csv", date(2026, 12, 31)),
        ("People_2026-02-30.csv", None),  # there is no such day
        ("People_2026-13-05.csv", None),
        ("People_2026-00-05.csv", None),
        ("People_2026-10-32.csv", None),
        ("People_2026-10-00.csv", None),
        ("People_1999-10-05.csv", None),
        ("School120261005.csv", None),  # part of a longer number
        ("People_202610051.csv", None),
        ("People.csv", None),
    ],
)
def test_the_day_in_a_files_name(name, day):
    assert coverage.day_in_name(name) == day
    assert coverage.content_day(name, date(2026, 9, 1), MONDAY) == (day or date(2026, 9, 1)), (
        "the name goes before the column"
    )


def test_days_to_come_say_nothing_about_how_old_a_file_is():
    assert coverage.content_day("People.csv", date(2026, 10, 6), MONDAY) == MONDAY
    assert coverage.content_day("People.csv", MONDAY, MONDAY) == MONDAY
    assert coverage.content_day("People.csv", None, MONDAY) is None
    with table.connected() as connection:
        connection.execute(
            "create table written as select unnest(['04-Oct-2026', '2026-10-05', '10/06/2026',"
            " '20261007', '04.Oct.2026', 'x', null]) as day"
        )
        read = values.reading("day", "date")
        connection.execute(f"create table looked as select {read} as day from written")
        newest = {
            until: connection.execute(coverage.newest_query("day", until)).fetchone()[0]
            for until in (MONDAY, MONDAY + timedelta(1), date(2026, 10, 3))
        }
    assert newest == {
        MONDAY: MONDAY,
        MONDAY + timedelta(1): MONDAY,  # 10/06/2026 is two days, and nobody guesses which
        date(2026, 10, 3): None,
    }


@pytest.mark.parametrize(
    ("day", "summer"),
    [
        (date(2027, 6, 24), False),
        (date(2027, 6, 25), True),
        (date(2027, 9, 15), True),
        (date(2027, 9, 16), False),
        (date(2027, 1, 1), False),
    ],
)
def test_summer_has_a_first_and_a_last_day(day, summer):
    assert Tolerance().is_summer(day) is summer
    assert Tolerance(summer=None).is_summer(day) is False


def test_school_nights_over_weeks_and_from_any_day():
    saturday = date(2026, 10, 10)
    assert [school_nights(saturday, saturday + timedelta(days)) for days in range(9)] == [
        0,
        0,
        1,
        2,
        3,
        4,
        5,
        5,
        5,
    ]
    assert [school_nights(MONDAY, MONDAY + timedelta(days)) for days in (6, 7, 8, 13, 14)] == [
        4,
        5,
        6,
        9,
        10,
    ]
    assert (nights(1), nights(0), nights(1200)) == (
        "1 school night",
        "0 school nights",
        "1,200 school nights",
    )


# ---------------------------------------------------------------- settings


def thresholds(table: str, said: dict[str, Any]) -> Tolerance:
    return parse(Tolerance, said, tuple(table.split(".")))


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("min_row_ratio", 0, 0.0),
        ("min_row_ratio", 1, 1.0),
        ("min_row_ratio", 1.01, None),
        ("min_row_ratio", -0.01, None),
        ("min_row_ratio", True, None),
        ("min_row_ratio", False, None),
        ("school_share", 0.5, 0.5),
        ("max_lost_partitions", 2, None),
        ("max_lost_partitions", 0.2, 0.2),
        ("orphan_share", "0.1", None),
        ("orphan_share", 0.2, 0.2),
        ("most_rejected", 0.2, 0.2),
        ("max_row_growth", 1, 1.0),
        ("max_row_growth", 0.99, None),
        ("max_row_growth", 3, 3.0),
        ("max_row_growth", False, ...),
        ("max_row_growth", True, None),
        ("good_loads", 0, 0),
        ("good_loads", 1, 1),
        ("good_loads", 2.0, 2),
        ("good_loads", 2.5, None),
        ("good_loads", -1, None),
        ("good_loads", False, None),
        ("school_rows", 7, 7),
        ("last_good_days", 0, 0),
        ("last_good_days", False, None),
        ("stale_after_days", 0, 0),
        ("stale_after_days", False, ...),
        ("hold_after_days", False, ...),
        ("summer", False, ...),
        ("summer", ["07-01", "08-31"], ("07-01", "08-31")),
        ("summer", ["07-01"], None),
        ("summer", ["07-01", "07-01"], ("07-01", "07-01")),
        ("summer", ["07-02", "07-01"], None),
        ("summer", ["07-01", "08-32"], None),
        ("summer", ["07-01", "08-31", "09-01"], None),
        ("summer", [7, 8], None),
        ("summer", 7, None),
        ("summer", True, None),
    ],
)
def test_a_threshold_is_taken_within_its_range_and_refused_beyond_it(name, value, taken):
    """`...`: switched off. A feed's word goes before its source's, and that before the table of
    all.
    """
    if taken is None:
        with pytest.raises(SettingsError, match=rf"\[feeds.people\] {name} .*; it must be "):
            thresholds("feeds.people", {name: value})
        return
    found = tolerance(
        Tolerance(),
        Tolerance(),
        replace(FEED, tolerance=given(thresholds("feeds.people", {name: value}))),
    )
    expected = None if taken is ... else taken
    assert (getattr(found, name), type(getattr(found, name))) == (expected, type(expected)), (
        "a number of loads is no 1.0"
    )


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("school_share", "a number between 0 and 1"),
        ("max_row_growth", "a number, 1 or more, or false"),
        ("good_loads", "a whole number, 0 or more"),
        ("hold_after_days", "a whole number, 0 or more, or false"),
    ],
)
def test_a_threshold_that_is_refused_says_what_it_must_be(name, wanted):
    with pytest.raises(SettingsError) as told:
        thresholds("sources.none", {name: "x"})
    assert str(told.value) == f"[sources.none] {name} is 'x'; it must be {wanted}"


def test_a_feed_goes_before_its_source_and_that_before_all_and_a_feed_that_never_grows_stale_holds_nothing():  # noqa: E501
    feed = replace(FEED, tolerance={"good_loads": 1})
    assert tolerance(
        Tolerance(good_loads=3, school_rows=3), Tolerance(good_loads=2, school_rows=2), feed
    ) == Tolerance(good_loads=1, school_rows=2)
    assert tolerance(Tolerance(good_loads=3), Tolerance(), FEED) == Tolerance(good_loads=3)
    never = replace(FEED, tolerance={"stale_after_days": None})
    assert tolerance(
        Tolerance(hold_after_days=5), Tolerance(hold_after_days=4), never
    ) == Tolerance(stale_after_days=None, hold_after_days=None)
    held_all_the_same = replace(FEED, tolerance={"stale_after_days": None, "hold_after_days": 5})
    assert tolerance(Tolerance(), Tolerance(), held_all_the_same) == Tolerance(
        stale_after_days=None, hold_after_days=5
    )
    with pytest.raises(
        SettingsError,
        match=r"\[trust\] minimum_rows: no such key; the nearest is min_row_ratio; known",
    ):
        thresholds("trust", {"minimum_rows": 1})


# ---------------------------------------------------------------- rejected rows


@pytest.mark.parametrize(
    ("line", "record", "school"),
    [
        ('"7474001", 10001 ,"Li"\r\n', "10001", "07474001"),
        ('"7474001","Quinn","Li"\r\n', "", "07474001"),  # a name is no key
        ('"Hope","10001"\r\n', "10001", ""),
        ('"7474001"\r\n', "", "07474001"),  # the row ends before its key
        ("\r\n", "", ""),
        ('"7474001","AB12","Li"\n', "AB12", "07474001"),
        ('"7474001","1","Li"\n', "", "07474001"),  # one digit is no key
        ('"74","10001","Li"\n', "10001", ""),
    ],
)
def test_of_a_bad_row_its_key_and_its_school_are_kept_where_they_look_like_one_and_no_other_value(
    line, record, school
):
    feed = replace(FEED, school="school_number", report_key="student_number")
    places = {"school_number": 0, "student_number": 1, "surname": 2}
    bad = Bad(0, len(line), 7, "reject_empty", {"column": "surname"})
    found = rejects.reject(feed, places, bad, line.encode(), delimiter=",", codec="utf-8")
    assert found == Reject(
        7,
        "reject_empty",
        hashlib.sha256(line.strip().encode()).hexdigest(),
        "surname",
        record,
        school,
        {"column": "surname"},
    )


def test_a_feeds_own_shape_says_what_a_key_looks_like_and_a_row_of_any_bytes_can_be_told():
    feed = replace(FEED, school="school_number", report_key="number", shapes={"number": "[0-9]{4}"})
    bad = Bad(0, 0, 7, "reject_quoting")
    told = {
        line: rejects.reject(feed, {"number": 0}, bad, line, delimiter=";", codec="utf-8")
        for line in (b"1234;x", b"12345;x", b"1234;\xff")
    }
    assert [one.record for one in told.values()] == ["1234", "", "1234"]
    assert {one.school_number for one in told.values()} == {""}, "the file has no such column"


def test_a_key_in_a_row_whose_values_moved_is_told_only_when_it_is_known():
    whole, moved, unknown = (
        Reject(2, "reject_empty", "a", "surname", "10001", "99999999"),
        Reject(3, "reject_fields", "b", "", "10002", "07474001"),
        Reject(4, "reject_quoting", "c", "", "10003", "07474002"),
    )
    asked = []

    def known(keys):
        asked.append(set(keys))
        return {"10002"}

    keyless = Reject(5, "reject_quoting", "d", "", "", "07474001")
    assert rejects.told((whole, moved, unknown, keyless), known, {"07474001"}) == (
        whole,
        moved,
        replace(unknown, record="", school_number=""),
        keyless,
    )
    assert asked == [{"10002", "10003"}]
    assert rejects.told((whole,), known, set()) == (whole,)
    assert len(asked) == 1, "nobody is asked for a row that is whole"


def test_the_five_commonest_reasons_are_told_the_commonest_first():
    columns = [name for number, name in enumerate("abcdef", 1) for _ in range(number)]
    found = tuple(
        Reject(at, "reject_empty", "", values={"column": column})
        for at, column in enumerate(columns, 2)
    )
    told = rejects.finding("sis", FEED, FILE, found, 1)
    assert (
        "(6 without f, 5 without e, 4 without d, 3 without c, 2 without b), in lines 2, "
        in told.message
    )
    assert (told.code, told.level, told.action) == (
        "rows_rejected",
        "warning",
        (
            "mend these records at the source, then have the extract run again; raw_sis.rejects"
            " lists them all"
        ),
    )


@pytest.mark.parametrize(("count", "listed"), [(20, "20, 21"), (21, "20, 21 and 1 more")])
def test_twenty_rejected_lines_are_listed_and_the_rest_is_counted(count, listed):
    found = tuple(Reject(line + 2, "reject_quoting", "") for line in range(count))
    told = rejects.finding("sis", FEED, FILE, found, 1)
    assert (
        told.message
        == f"sis people: {count} rows of People.csv rejected ({count} with a quotation mark that is"
        f" not closed), in lines {', '.join(str(line) for line in range(2, 20))}, {listed}; the"
        " other 1 row were landed"
    )


def test_one_rejected_row_says_whose_it_is_in_every_field_of_its_finding():
    one = Reject(7, "reject_empty", "", "surname", "10001", "07474001", {"column": "surname"})
    feed = replace(FEED, report_key="student_number")
    told = rejects.finding("sis", feed, FILE, (one,), 39)
    assert (
        "1 row of People.csv rejected (1 without surname), in line 7 (student number 10001, school"
        " 07474001); the other 39 rows" in told.message
    )
    assert (told.line, told.column, told.school_number, told.key) == (
        7,
        "surname",
        "07474001",
        "10001",
    )
    two = rejects.finding(
        "sis",
        feed,
        FILE,
        (
            one,
            replace(one, line=9, record="10002", school_number="07474002", column="school_number"),
        ),
        38,
    )
    assert (two.line, two.column, two.school_number, two.key) == (7, "", "", "")


@pytest.mark.parametrize(
    ("code", "values", "plain"),
    [
        ("reject_empty", {"column": "surname"}, "without surname"),
        ("reject_empty", {"column": "student_number"}, "without student number"),
        (
            "reject_rounded",
            {"column": "student_number"},
            "with a student number whose digits a spreadsheet rounded away",
        ),
        ("reject_fields", {"fields": 5, "expected": 4}, "with 5 columns instead of 4"),
        ("reject_quoting", {}, "with a quotation mark that is not closed"),
        ("reject_encoding", {"encoding": "UTF-8", "byte": ""}, "with letters that are not UTF-8"),
    ],
)
def test_a_reason_is_said_in_a_secretarys_words(code, values, plain):
    one = Reject(1, code, "", values=values)
    assert rejects._plain(one) == plain
    assert rejects.is_whole(one) is (code in ("reject_empty", "reject_rounded"))
