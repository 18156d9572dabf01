"""What is refused and is right all the same: lists in summer, files of nothing, a person's word."""

from __future__ import annotations

import re
from datetime import date

import pytest
from library_kit import MONDAY, Library, loans, people, schools, visits

from ingestion.layout import load
from ingestion.tolerance import ACCEPT, Tolerance

JUNE = date(2027, 6, 24)
SUMMER = date(2027, 6, 28)
NOTHING = ("", "Student Number,Visited\r\n", "\r\n\r\n")


def layout(library: Library, **feeds: str) -> None:
    """The library's layout, with a line more at some feeds."""
    path = library.folder.parent / "library.toml"
    text = path.read_text(encoding="utf-8")
    for name, line in feeds.items():
        text = text.replace(f"[feeds.{name}]\n", f"[feeds.{name}]\n{line}\n")
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    "half",
    [{"Loans": loans(4)}, {"Loans": loans(20, first=70000)}, {"Loans": ""}],
    ids=["shrunk", "of whom nobody knows", "empty"],
)
def test_lists_rest_in_summer_also_when_they_shrink(library: Library, half: dict) -> None:
    layout(library, loans="may_be_empty = true")
    library.good_night(day=JUNE)
    before = library.ask("select * from raw_library.loans order by all")
    library.drop(**half)
    assert library.ingest(day=SUMMER) == 0
    assert (library.feed("loans")["status"], library.feed("loans")["hold"]) == ("resting", "")
    assert [one for one in library.findings() if one["feed"] == "loans"] == []
    assert library.ask("select * from raw_library.loans order by all") == before
    assert library.ingest(day=date(2027, 9, 16)) == 3, "when school has begun it is refused"


def test_a_list_that_lacks_one_school_rests_whole_in_summer(library: Library) -> None:
    layout(library, people="may_be_empty = true")
    library.good_night(day=JUNE)
    library.drop(People=people(s7474001=0))
    assert library.ingest(day=SUMMER) == 0
    assert library.feed("people")["status"] == "resting"
    assert library.feed("people")["held_partitions"] == []
    assert len(library.people()) == 40


@pytest.mark.parametrize("nothing", NOTHING, ids=["no byte", "headings", "empty lines"])
def test_no_row_is_an_answer_after_days_without_school_and_on_no_other(
    library: Library, nothing: str
) -> None:
    layout(library, visits="empty_after_closed_days = true")
    library.good_night(day=date(2026, 12, 17))
    library.drop(Visits=nothing, People=people(11), Loans=loans(21))
    assert library.ingest(day=date(2026, 12, 18)) == 3, "the last day before the break"
    assert library.feed("visits")["status"] == "refused"
    assert library.ingest(day=date(2027, 1, 4)) == 0, "the Monday after it"
    assert library.feed("visits")["status"] == "loaded"
    assert library.ask("select count(*) from raw_library.visits") == [(0,)]
    assert [one for one in library.findings() if one["feed"] == "visits"] == []
    library.drop(Visits=visits(date(2027, 1, 5), 3), People=people(12), Loans=loans(22))
    assert library.ingest(day=date(2027, 1, 5)) == 0
    assert library.ask("select count(*) from raw_library.visits") == [(3,)]
    library.drop(Visits=nothing, People=people(13), Loans=loans(23))
    assert library.ingest(day=date(2027, 1, 11)) == 3, "any other Monday"


def test_a_day_is_quiet_by_the_districts_own_calendar() -> None:
    limit = Tolerance().resting_on(frozenset({date(2027, 3, 17), date(2027, 3, 18)}))
    days = {day: limit.is_quiet(date(2027, 3, day)) for day in range(15, 24)}
    quiet = {day for day, is_quiet in days.items() if is_quiet}
    assert quiet == {17, 18, 19, 20, 21}


def test_absences_may_be_empty_then_as_shipped_and_class_lists_may_not() -> None:
    feeds = {feed.name for feed in load("myedbc").feeds if feed.empty_after_closed_days}
    assert feeds == {"student_daily_absences", "student_period_absences"}
    for system, lists in (
        ("myedbc", {"class_information_enhanced", "student_schedule"}),
        ("oneroster", {"classes", "enrollments"}),
    ):
        assert lists == {feed.name for feed in load(system).feeds if feed.may_be_empty} - feeds


BROKEN = "Student Number,Book\r\n" + "10000,One\r\n" * 4 + "10000,One,more\r\n" * 6
REFUSED = {  # word: (what is dropped, rows of it that are landed)
    "empty": ("people", "", 0),
    "smaller": ("people", people(2), 8),
    "orphans": ("loans", loans(20, first=70000), 20),
    "rejects": ("loans", BROKEN.replace("10000,One\r\n" * 4, loans(14)[21:]), 14),
    "doubled": ("loans", loans(20) + loans(20)[21:], 40),
}


@pytest.mark.parametrize("word", REFUSED)
def test_whatever_is_refused_is_accepted_with_its_word_and_is_no_news_the_next_night(
    library: Library, word: str
) -> None:
    feed, content, rows = REFUSED[word]
    library.good_night()
    library.drop(**{feed.title(): content})
    assert library.ingest() == 3
    said = library.only()
    named = re.search(
        r"--accept(?:-smaller (?P<one>\w+)| (?P<feed>\w+)=(?P<word>\w+))", said["action"]
    )
    assert named, said["action"]
    assert (named["one"] or named["feed"], named["word"] or "smaller") == (feed, word)
    others = {one for one in ACCEPT if one != word} - {"smaller"}
    assert library.ingest(*(f"--accept={feed}={one}" for one in sorted(others))) == 3
    assert library.ingest(f"--accept={feed}={word}") == 0
    assert library.ask(f"select count(*) from raw_library.{feed}") == [(rows,)]
    assert "feed_accepted" in {one["code"] for one in library.findings("info")}
    assert library.ask(
        "select accepted from ledger.audit.source_files where feed = "
        f"'{feed}' order by read_at desc limit 1"
    ) == [(True,)]
    assert library.ingest() == 0
    assert library.feed(feed)["status"] == "unchanged"


def test_an_older_file_and_another_shape_are_accepted_with_their_words(library: Library) -> None:
    library.good_night()
    library.drop(People=None)
    (library.folder / "People_2026-10-02.csv").write_text(people(9), encoding="utf-8")
    (library.folder / "Loans_2026-10-05.csv").write_text(loans(19), encoding="utf-8")
    library.drop(Loans=None)
    assert library.ingest() == 0
    (library.folder / "Loans_2026-10-05.csv").unlink()
    (library.folder / "Loans_2026-10-01.csv").write_text(loans(18), encoding="utf-8")
    assert library.ingest() == 3
    assert "--accept loans=older" in library.only()["action"]
    assert library.ingest("--accept=loans=older") == 0
    (library.folder / "People_2026-10-02.csv").write_text(
        people().replace('"10', '"A0').replace('"20', '"B0'), encoding="utf-8"
    )
    assert library.ingest("--accept=people=smaller") == 3
    assert "--accept people=shape" in library.only()["action"]


def test_a_word_nobody_knows_and_a_feed_that_is_none_are_said(library: Library) -> None:
    library.drop(Schools=schools(), People=people(), Loans=loans(), Visits=visits(MONDAY))
    assert library.ingest("--accept=people=anything") == 1
    assert library.ingest("--accept=nobody=empty") == 1
    assert library.ingest("--accept=people") == 1


def test_files_are_no_live_table(library: Library) -> None:
    library.good_night()
    assert library.ask("select distinct is_live from ledger.audit.source_files") == [(False,)]
