"""A feed that has grown old, whatever its file is called: told, then held; and the thresholds by
which it is judged.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from library_kit import MONDAY, Library, loans, people, schools, visits

from common import paths
from common.settings import SettingsError, parse
from ingestion.layout import load
from ingestion.tolerance import Tolerance, closed_days, school_nights, tolerance


def test_the_same_file_is_tolerated_then_told_then_held_with_its_age(library: Library) -> None:
    library.good_night()
    seen = {}
    for days in (
        1,
        2,
        3,
        4,
        7,
        13,
        14,
    ):  # Tuesday to Friday, then Monday of the next week, Sunday and Monday after it
        day = MONDAY + timedelta(days)
        library.drop(Visits=visits(day), Loans=loans(20 + days))
        code = library.ingest(day=day)
        entry = library.feed("people")
        seen[days] = (
            code,
            entry["status"],
            entry["age_days"],
            [finding["level"] for finding in library.findings()],
            entry["hold"],
        )
    assert seen == {
        1: (0, "unchanged", 1, [], ""),
        2: (0, "unchanged", 2, [], ""),
        3: (0, "unchanged", 3, ["warning"], ""),
        4: (0, "unchanged", 4, ["warning"], ""),
        7: (0, "unchanged", 5, ["warning"], ""),
        13: (0, "unchanged", 9, ["warning"], ""),
        14: (2, "unchanged", 10, ["critical"], "the same file for 10 school nights, limit 10"),
    }
    assert (
        "People.csv has been the same for 10 school nights; what rests on it is held"
        in library.only()["message"]
    )
    assert library.feed("schools")["age_days"] == 0, (
        "a feed that may stay the same is confirmed by every visit"
    )
    assert library.ask(
        "select age_days, hold from ledger.audit.source_files where feed = 'people' order by"
        " read_at desc limit 1"
    ) == [(10, "the same file for 10 school nights, limit 10")]


def test_the_last_good_load_stays_in_force_for_its_days_and_then_what_rests_on_it_is_held(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUST__LAST_GOOD_DAYS", "5")
    library.good_night()
    library.drop(People=people()[:-9])
    seen = []
    for days in (1, 4, 7, 8):
        day = MONDAY + timedelta(days)
        library.drop(Visits=visits(day), Loans=loans(20 + days))
        assert library.ingest(day=day) == 3
        entry = library.feed("people")
        seen.append((entry["status"], entry["age_days"], entry["hold"]))
    assert seen == [
        ("refused", 1, ""),
        ("refused", 4, ""),
        ("refused", 5, ""),
        ("refused", 6, "refused, what is in force is 6 school nights old, limit 5"),
    ]
    assert len(library.people()) == 40


def test_a_feed_whose_last_good_load_will_not_do_is_held_at_once(library: Library) -> None:
    library.good_night()
    library.drop(Visits=None)
    assert library.ingest() == 3
    assert library.feed("visits")["hold"] == "missing, and an older one will not do"


def test_a_feed_that_was_never_loaded_holds_what_rests_on_it(library: Library) -> None:
    library.drop(Schools=schools(), Loans=loans(), Visits=visits())
    assert library.ingest() == 3
    assert library.feed("people")["hold"] == "missing, and nothing of it is landed"


def test_a_new_file_with_old_content_is_told_by_its_dated_column(library: Library) -> None:
    library.good_night()
    library.drop(Visits=visits(MONDAY, 6), People=people(11), Loans=loans(21))
    assert library.ingest(day=MONDAY + timedelta(4)) == 0
    found = library.only("warning")
    assert (found["code"], found["feed"]) == ("feed_old_content", "visits")
    assert (
        "Visits.csv speaks of 2026-10-05, 4 school nights ago; at most 3 are expected"
        in found["message"]
    )
    assert library.feed("visits")["age_days"] == 4


def test_a_file_named_after_a_day_long_past_holds_what_rests_on_it(library: Library) -> None:
    library.good_night()
    library.drop(Visits=visits(MONDAY, 6), People=people(11), Loans=loans(21))
    assert library.ingest(day=MONDAY + timedelta(14)) == 0, (
        "nobody visits in the holidays: a dated column warns and holds nothing"
    )
    assert library.only("warning")["code"] == "feed_old_content"
    library.drop(Visits=None)
    (library.folder / "Visits-2026-10-05.csv").write_text(visits(MONDAY, 7), encoding="utf-8")
    assert library.ingest(day=MONDAY + timedelta(14)) == 2
    assert library.feed("visits")["hold"] == "its content is 10 school nights old, limit 10"
    assert library.only()["code"] == "feed_old_content_held"


def test_a_file_whose_name_is_of_an_earlier_day_than_what_is_landed_is_refused(
    library: Library,
) -> None:
    library.good_night()
    library.drop(People=None)
    (library.folder / "People_20261005.csv").write_text(people(11), encoding="utf-8")
    assert library.ingest() == 0
    (library.folder / "People_20261005.csv").unlink()
    (library.folder / "People_2026-10-02.csv").write_text(people(12), encoding="utf-8")
    assert library.ingest() == 3
    found = library.only()
    assert found["code"] == "feed_older_content"
    assert (
        "People_2026-10-02.csv speaks of 2026-10-02, and what is landed speaks of 2026-10-05"
        in found["message"]
    )
    assert len(library.people()) == 44


def test_a_feed_that_may_be_empty_may_come_empty_then_and_at_no_other_time(
    library: Library,
) -> None:
    library.good_night(day=date(2027, 6, 23))
    before = library.ask("select * from raw_library.visits order by all")
    library.drop(Visits="")
    assert library.ingest(day=date(2027, 6, 24)) == 3
    assert library.only()["code"] == "feed_empty"
    assert library.ingest(day=date(2027, 6, 25)) == 0
    assert (library.feed("visits")["status"], library.feed("visits")["hold"]) == ("resting", "")
    assert [one for one in library.findings() if one["feed"] == "visits"] == []
    assert library.ask("select * from raw_library.visits order by all") == before
    library.drop(People="")
    assert library.ingest(day=date(2027, 6, 28)) == 3, "people never rest"


def trusting(**said: Any) -> Tolerance:
    """[trust] as somebody wrote it."""
    return parse(Tolerance, said, ("trust",))


@pytest.mark.parametrize(
    "wrong", ["summer", ["06-25"], ["6-25", "9-15"], ["09-15", "06-25"], ["06-25", "13-01"]]
)
def test_a_summer_that_is_none_is_an_error(wrong: object) -> None:
    with pytest.raises(SettingsError, match=r"its first and last day as month-day"):
        trusting(summer=wrong)


def test_no_file_is_older_than_what_is_landed_where_the_clock_has_gone_back(
    library: Library,
) -> None:
    library.good_night()
    library.drop(Visits=visits(MONDAY, 6))
    assert library.ingest(day=MONDAY - timedelta(3)) == 0
    assert library.feed("visits")["status"] == "loaded"


# ---------------------------------------------------------------- settings


def test_school_nights_are_counted_from_monday_to_friday() -> None:
    friday = MONDAY + timedelta(4)
    assert [school_nights(friday, friday + timedelta(days)) for days in range(5)] == [0, 0, 0, 1, 2]
    assert school_nights(MONDAY, MONDAY + timedelta(28)) == 20
    assert school_nights(MONDAY, MONDAY - timedelta(3)) == school_nights(None, MONDAY) == 0


def test_thresholds_come_from_the_feed_then_its_source_then_the_trust_table() -> None:
    feed = next(feed for feed in load("myedbc").feeds if feed.name == "staff_information")
    assert tolerance(trusting(), trusting(), feed) == Tolerance(
        stale_after_days=20, hold_after_days=None
    )
    assert (
        tolerance(
            trusting(min_row_ratio=0.4, last_good_days=2), trusting(min_row_ratio=0.3), feed
        ).min_row_ratio
        == 0.3
    )
    plain = next(feed for feed in load("myedbc").feeds if feed.name == "course_information")
    assert tolerance(trusting(), trusting(), plain).hold_after_days is None


def test_a_table_of_a_database_grows_stale_only_where_it_is_asked_to() -> None:
    table = replace(load("myedbc").feeds[0], tolerance={})
    of_all = trusting(stale_after_days=3, hold_after_days=10)
    read = tolerance(of_all, trusting(), table, is_file=False)
    assert (read.stale_after_days, read.hold_after_days) == (None, None)
    of_source = trusting(stale_after_days=5, hold_after_days=20)
    asked = tolerance(of_all, of_source, table, is_file=False)
    assert (asked.stale_after_days, asked.hold_after_days) == (5, 20)
    file = tolerance(of_all, trusting(), table)
    assert (file.stale_after_days, file.hold_after_days) == (3, 10)


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_row_ratio": 1.5},
        {"good_loads": -1},
        {"last_good_days": False},
        {"stale_after_days": "3"},
        {"minimum_rows": 3},
    ],
)
def test_a_threshold_nobody_can_follow_is_an_error_that_names_it(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        trusting(**wrong)


def test_the_settings_that_are_shipped_name_every_threshold_and_say_the_defaults() -> None:
    import tomllib

    shipped = tomllib.loads((paths.root() / ".dlt" / "config.toml").read_text(encoding="utf-8"))[
        "trust"
    ]
    assert trusting(**shipped).model_dump() == Tolerance().model_dump()
    documented = (paths.root() / "docs" / "trust.md").read_text(encoding="utf-8")
    assert [name for name in shipped if f"`{name}`" not in documented] == []


def test_days_without_school_are_no_school_nights(tmp_path):
    table = tmp_path / "closed_days.csv"
    table.write_text(
        "first_day,last_day,source,reason\n2027-03-15,2027-03-26,,Spring break\n"
        "2027-07-01,2027-09-06,sis,Summer\n",
        encoding="utf-8",
    )
    friday, monday = date(2027, 3, 12), date(2027, 3, 29)
    for source in ("sis", "hr"):
        limit = Tolerance().resting_on(closed_days(table, source))
        assert limit.school_nights(friday, monday) == 1, "spring break is one long weekend"
        assert limit.school_nights(date(2027, 3, 18), date(2027, 3, 26)) == 0
    assert Tolerance().school_nights(friday, monday) == 11, "without rows every weekday is one"
    june, september = date(2027, 6, 30), date(2027, 9, 7)
    found = {
        source: Tolerance().resting_on(closed_days(table, source)).school_nights(june, september)
        for source in ("sis", "hr")
    }
    assert found == {"sis": 1, "hr": 49}, "human resources does not rest in summer"
    assert closed_days(tmp_path / "none.csv", "sis") == frozenset()
    (tmp_path / "district_events.csv").write_text(
        "event,school_number,to_school_number,starts_on,ends_on,why\n"
        "holidays,,,2027-05-20,2027-05-21,Long weekend\nholidays,,,20/05,2027-05-28,Nobody reads\n"
        "rollover,,,2027-07-01,2027-07-14,The year turns\n",
        encoding="utf-8",
    )
    holidays = {date(2027, 5, 20), date(2027, 5, 21)}
    assert closed_days(tmp_path / "none.csv", "sis") == holidays
    assert closed_days(table, "hr") - holidays == {date(2027, 3, day) for day in range(15, 27)}
    table.write_text("first_day,last_day\n15/03/2027,2027-03-26\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="line 2"):
        closed_days(table, "sis")
