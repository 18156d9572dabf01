"""Clocks and calendars: the district's day is Vancouver's, whatever the machine's zone is, on every
day of the year.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from common import log, paths, runs, settings, store
from common.runs import Run, business_date
from ingestion import archive
from operations import interventions, retention
from operations.status import _ago


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    for name in ("HOMEROOM_AS_OF", "HOMEROOM_RUN", "DISTRICT__TIME_ZONE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(runs, "git_commit", lambda: "abc")
    return paths.var()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    """Set the machine's clock to a moment of UTC."""

    def to(*when: int) -> datetime:
        moment = datetime(*when, tzinfo=UTC)

        class Clock(datetime):
            @classmethod
            def now(cls, tz=None):
                return moment.astimezone(tz) if tz else moment.astimezone().replace(tzinfo=None)

        for module in (runs, interventions):
            monkeypatch.setattr(module, "datetime", Clock)
        return moment

    return to


@pytest.mark.parametrize(
    ("utc", "day"),
    [
        ((2026, 10, 6, 1, 0), "2026-10-05"),  # six in the evening before
        ((2026, 10, 6, 6, 59), "2026-10-05"),
        ((2026, 10, 6, 7, 0), "2026-10-06"),  # midnight in summer time
        ((2026, 10, 6, 10, 0), "2026-10-06"),  # three in the morning, when nights run
        ((2026, 12, 6, 7, 59), "2026-12-05"),
        ((2026, 12, 6, 8, 0), "2026-12-06"),  # midnight in standard time
        (
            (2026, 3, 8, 7, 59),
            "2026-03-07",
        ),  # the day the clocks go forward begins in standard time
        ((2026, 3, 8, 8, 0), "2026-03-08"),
        ((2026, 3, 9, 6, 59), "2026-03-08"),  # and ends, an hour early, in summer time
        ((2026, 3, 9, 7, 0), "2026-03-09"),
        ((2026, 11, 1, 6, 59), "2026-10-31"),  # the day they go back begins in summer time
        ((2026, 11, 1, 7, 0), "2026-11-01"),
        ((2026, 11, 2, 7, 59), "2026-11-01"),  # and ends, an hour late, in standard time
        ((2026, 11, 2, 8, 0), "2026-11-02"),
    ],
)
def test_the_nights_day_is_the_districts_and_not_the_machines(clock, utc, day):
    clock(*utc)
    assert business_date("nightly", None) == date.fromisoformat(day)


def test_the_districts_zone_is_a_setting(clock, monkeypatch):
    clock(2026, 10, 6, 6, 30)
    assert business_date("nightly", None) == date(2026, 10, 5)
    monkeypatch.setenv("DISTRICT__TIME_ZONE", "America/Edmonton")
    assert business_date("nightly", None) == date(2026, 10, 6)
    for wrong, said in (
        ("Pacific", "no time zone; write it as America/Vancouver"),
        ("", "no time zone; write it as America/Vancouver"),
        ("/etc", "no time zone; write it as America/Vancouver"),
        ("8", "no time zone; write it as America/Vancouver"),
        ("../etc", "`..` in a path is refused"),
    ):
        monkeypatch.setenv("DISTRICT__TIME_ZONE", wrong)
        with pytest.raises(settings.SettingsError, match=re.escape(said)):
            business_date("nightly", None)


def test_only_what_reads_the_sources_works_for_today_and_a_day_that_is_given_goes_before_all(
    clock, monkeypatch
):
    clock(2026, 10, 2, 10, 0)
    friday = Run.open("nightly")
    clock(2026, 10, 4, 10, 0)
    assert {
        verb: business_date(verb, friday).day
        for verb in ("nightly", "intraday", "ingest", "plan", "build", "push", "report")
    } == {"nightly": 4, "intraday": 4, "ingest": 4, "plan": 2, "build": 2, "push": 2, "report": 2}
    assert business_date("plan", None) == date(2026, 10, 4)
    monkeypatch.setenv("HOMEROOM_AS_OF", "2027-09-07")
    assert business_date("plan", friday) == business_date("nightly", None) == date(2027, 9, 7)
    monkeypatch.setenv("HOMEROOM_AS_OF", "7 September")
    with pytest.raises(
        settings.SettingsError, match="HOMEROOM_AS_OF is '7 September', which is no day"
    ):
        business_date("nightly", None)


def test_a_run_is_named_and_dated_by_utc_and_is_for_the_districts_day(clock):
    clock(2026, 10, 6, 1, 0, 5)
    run = Run.open("nightly")
    run.finish(0)
    assert run.run_id[:17] == "20261006T010005Z-" and len(run.run_id) == 21
    recorded = Run.load(run.run_id)
    assert (recorded.started_at, recorded.as_of) == (
        datetime(2026, 10, 6, 1, 0, 5, tzinfo=UTC),
        date(2026, 10, 5),
    )
    assert recorded.read("run.json")["finished_at"] == "2026-10-06T01:00:05+00:00"
    assert archive._began(run.folder) == datetime(2026, 10, 6, 1, 0, 5, tzinfo=UTC).timestamp()


def test_the_sessions_times_are_utc_and_models_are_told_the_districts_day(clock):
    clock(2026, 10, 6, 1, 30)
    store.begin_night(Run.open("nightly"))
    for read_only in (False, True):
        with store.connect(read_only) as connection:
            assert connection.execute("select current_setting('TimeZone')").fetchone() == ("UTC",)
            assert connection.execute(
                "select cast(timestamptz '2026-10-06 01:30:00+00' as date)::varchar"
            ).fetchone() == ("2026-10-06",)
            asked = (
                "select as_of::varchar, started_at::varchar, data_as_of::varchar, rolled_over_on"
                " from raw_homeroom.run_context"
            )
            assert connection.execute(asked).fetchall() == [
                ("2026-10-05", "2026-10-06 01:30:00", "2026-10-05", None)
            ]


@pytest.mark.parametrize(
    ("until", "utc"),
    [
        ("2099-07-01", (2099, 7, 1, 7)),  # midnight in summer
        ("2099-12-01", (2099, 12, 1, 8)),  # and in winter
        ("2099-07-01 18:30", (2099, 7, 2, 1, 30)),
        (
            "2099-07-01T18:30:00+00:00",
            (2099, 7, 1, 18, 30),
        ),  # whoever names a zone is taken at their word
    ],
)
def test_a_pause_is_until_a_moment_of_the_district(until, utc):
    assert interventions.pause(until, "summer").until == datetime(*utc, tzinfo=UTC)


def test_a_pause_is_over_at_its_very_moment_and_cannot_begin_then(clock):
    end = datetime(2099, 7, 1, 7, tzinfo=UTC)
    clock(2099, 7, 1, 6, 59, 59)
    assert interventions.pause("2099-07-01", "summer").sentence.startswith(
        "paused until 2099-07-01 00:00: summer (by "
    )
    assert interventions.current(end - timedelta(seconds=1)) is not None
    assert interventions.current(end) is None
    assert interventions.lines()[-1]["until"] == "2099-07-01T07:00:00+00:00"
    clock(2099, 7, 1, 7)
    with pytest.raises(interventions.InterventionError, match="is past"):
        interventions.pause("2099-07-01", "summer")


def test_days_of_retention_are_counted_in_moments_not_in_calendar_days(var):
    now = datetime(2027, 6, 1, 12, tzinfo=UTC)
    (var / "passwords").mkdir()
    for name, age in (("kept", timedelta(days=90)), ("gone", timedelta(days=90, seconds=1))):
        file = var / "passwords" / f"{name}.google.jsonl"
        file.touch()
        os.utime(file, ((now - age).timestamp(),) * 2)
    os.environ["RETENTION__PASSWORDS_DAYS"] = "90"
    with store.connect():
        pass
    (found,) = [one for one in retention.past(now) if one.name == "passwords"]
    assert [path.name for path in found.files] == ["gone.google.jsonl"]


def test_log_lines_say_utc_and_leave_out_what_is_not_known(capsys, monkeypatch):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2026, 10, 6, 1, 0, 5, tzinfo=UTC).astimezone(tz)

    monkeypatch.setattr(log, "datetime", Clock)
    log.event(
        "landed",
        feed="people",
        rows=3,
        seconds=0.25,
        share=2.0,
        tiny=0.0004,
        nothing=None,
        why="it grew\nmuch",
        empty="",
    )
    assert (
        capsys.readouterr().err
        == '2026-10-06T01:00:05Z landed feed=people rows=3 seconds=0.25 share=2 tiny=0 why="it grew'
        ' much" empty=""\n'
    )


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        (1 / 60, "1 minute"),
        (1.99, "119 minutes"),
        (2, "2 hours"),
        (47.4, "47 hours"),
        (48, "2 days"),
        (30 * 24, "30 days"),
    ],
)
def test_how_long_ago_is_said_in_the_unit_a_person_would_use(hours, said):
    assert _ago(hours) == said


HERE = Path(__file__).parent
ALSO = (
    "test_schedule.py::test_short_runs_take_place_on_school_days_and_nights_as_the_district_says",
    "test_age.py::test_school_nights_are_counted_from_monday_to_friday",
    "test_retention.py::test_what_is_past_its_days_goes_when_told_and_that_is_kept",
    "test_care.py::test_a_pause_ends_by_itself",
)


@pytest.mark.parametrize("zone", ["America/Vancouver", "Pacific/Kiritimati"])
def test_nothing_here_rests_on_the_zone_of_the_machine(zone):
    """The same tests on a machine of the district's zone, and on one that lives a day
    ahead of it.
    """
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-k",
        "not zone_of_the_machine",
    ]
    command += [__file__, *(str(HERE / name) for name in ALSO)]
    ended = subprocess.run(
        command,
        cwd=paths.root(),
        env=os.environ | {"TZ": zone},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-3000:]
