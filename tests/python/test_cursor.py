"""A cursor never moves past the moment its file was read, whatever a row is stamped with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common import problems
from common.findings import Finding
from ingestion import cursor, table
from ingestion.layout import Column, Feed

READ_AT = datetime(2026, 10, 7, 4, 30, tzinfo=UTC)  # the evening of the 6th in the district
HERE = ZoneInfo("America/Vancouver")
EPOCH, YEAR_1, YEAR_1601 = (datetime(year, 1, 1, tzinfo=UTC) for year in (1970, 1, 1601))


def _steps(per_second: int, since: datetime = EPOCH):
    return lambda at: str((at - since) // timedelta(microseconds=1) * per_second // 1_000_000)


# how a system may write the moment of a change
FORMS = {
    "date": lambda at: f"{at.astimezone(HERE):%Y-%m-%d}",
    "timestamp here": lambda at: f"{at.astimezone(HERE):%Y-%m-%d %H:%M:%S.%f}",
    "timestamp in UTC": lambda at: f"{at:%Y-%m-%d %H:%M:%S}",
    "with a zone": lambda at: at.isoformat(),
    "with another zone": lambda at: at.astimezone(HERE).isoformat(" "),
    "text with Z": lambda at: f"{at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
    "seconds": _steps(1),
    "seconds and a fraction": lambda at: f"{at.timestamp():.3f}",
    "milliseconds": _steps(1_000),
    "microseconds": _steps(1_000_000),
    "nanoseconds": _steps(1_000_000_000),
    "ticks": _steps(10_000_000, YEAR_1),
    "FILETIME": _steps(10_000_000, YEAR_1601),
    "a day in figures": lambda at: f"{at.astimezone(HERE):%Y%m%d}",
    "a moment in figures": lambda at: f"{at:%Y%m%d%H%M%S}",
}
# what no clock says
NEVER = [
    "infinity",
    "9999-12-31",
    "9999-12-31 23:59:59.999999+00",
    "unknown",
    "999999999999999999999",
]


def stand(stamps: list[str | None], read_at: datetime = READ_AT) -> cursor.Stand:
    with table.connected() as connection:
        connection.execute("create table stamps (changed_at varchar)")
        connection.execute("insert into stamps select unnest(?)", [stamps])
        path = Path(cursor.paths.var() / "stamps.csv")
        connection.execute(f"copy stamps to '{path}' (format csv, header true, force_quote *)")
    return cursor._stand(path, ["changed_at"], "changed_at", read_at)


@pytest.fixture(autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path_factory.mktemp("var")))


PAST = st.lists(
    st.datetimes(datetime(2024, 1, 1), datetime(2026, 10, 6), timezones=st.just(UTC)), min_size=4
)
FUTURE = st.lists(
    st.datetimes(datetime(2026, 10, 9), datetime(2262, 1, 1), timezones=st.just(UTC)),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=15, deadline=None)
@given(past=PAST, future=FUTURE, never=st.lists(st.sampled_from(NEVER), max_size=2))
def test_rows_stamped_in_the_future_leave_the_cursor_where_the_others_put_it(
    form: str, past: list[datetime], future: list[datetime], never: list[str]
) -> None:
    past = past + past[:1] * (len(future) + len(never))  # most stamps are as they should be
    write = FORMS[form]
    found = stand([*map(write, past), *map(write, future), *never, None])
    assert found.value == stand([write(at) for at in past]).value, "as if they were not there"
    assert found.ahead == len(future) + len(never)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=15, deadline=None)
@given(after=st.timedeltas(timedelta(seconds=1), timedelta(days=3000)))
def test_a_file_of_nothing_but_future_stamps_is_read_from_the_beginning(
    form: str, after: timedelta
) -> None:
    day = timedelta(days="date" in form or "day" in form or form.startswith("timestamp"))
    assert stand([FORMS[form](READ_AT + day + after)]).value is None


def test_a_change_between_two_readings_is_behind_a_stamp_that_has_come_since() -> None:
    """The row of noon was read in the morning: at night noon is past, and what changed before
    noon has not been read all the same.
    """
    read_at = datetime(2026, 10, 6, 8, tzinfo=UTC)
    found = stand(["2026-10-05 20:00:00+00", "2026-10-06 12:00:00+00"], read_at)
    assert found == cursor.Stand("2026-10-05 19:50:00.000000+00:00", 1)


def test_a_time_without_a_zone_is_taken_for_the_earlier_of_what_it_may_mean() -> None:
    """21:30 here is 04:30 of the next day in UTC: 23:00 may be to come."""
    found = stand(["2026-10-06 20:00:00", "2026-10-06 23:00:00"])
    assert found == cursor.Stand("2026-10-06 19:50:00.000000", 0), "and nobody is told it is wrong"


def test_numbers_that_count_changes_and_words_are_as_they_were() -> None:
    assert stand(["7", "41", "1000000007"]).value == "1000000007"
    assert stand(["1.5", "1.25"]).value == "1.5"
    assert stand(["v0001", "v0002"]).value == "v0002"
    assert stand(["5 October 2026", "6 October 2026"]).value is None, "in no order as text"
    assert stand([None]) == stand([]) == cursor.Stand(None)


def test_the_finding_says_where_the_cursor_stays_and_quotes_no_row() -> None:
    notes: list[Finding] = []
    feed = Feed("staff", (Column("at", "at"),))
    cursor._told("hr", feed, "at", cursor.Stand("2026-10-05", 2), notes)
    assert [(note.code, note.level) for note in notes] == [("cursor_ahead", "warning")]
    assert "2 rows are stamped in at later" in notes[0].message
    assert "(at 2026-10-05)" in notes[0].message
    assert problems.action("cursor_ahead", notes[0].values)
