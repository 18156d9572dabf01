"""How a machine is told to run the nights: units systemd accepts, days off, short runs by day, the
image's own steps.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from conftest import ROOT

from common import paths, settings
from common.runs import Run
from operations import configured, night, schedule, status


@pytest.fixture(autouse=True)
def var(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("SCHEDULE__INTRADAY__ATTENDANCE__AT", '["09:30", "13:15"]')
    monkeypatch.setenv("SCHEDULE__INTRADAY__ATTENDANCE__TARGETS", '["callout"]')
    monkeypatch.setenv("SCHEDULE__CLOSED", '["2026-10-12", "2026-12-21/2027-01-01"]')
    return tmp_path / "var"


def parsed(text: str) -> configparser.RawConfigParser:
    """A unit; a key that stands twice keeps all its values."""

    class Several(dict):
        def __setitem__(self, key, value):
            if isinstance(value, list) and isinstance(self.get(key), list):
                value = self[key] + value
            super().__setitem__(key, value)

    unit = configparser.RawConfigParser(strict=False, dict_type=Several, delimiters=("=",))
    unit.optionxform = str
    unit.read_string(text)
    return unit


def test_there_is_a_service_and_a_timer_for_the_night_and_for_every_short_run():
    made = schedule.units("homeroom")
    assert sorted(made) == [
        "homeroom-attendance.service",
        "homeroom-attendance.timer",
        "homeroom-nightly.service",
        "homeroom-nightly.timer",
    ]
    service = parsed(made["homeroom-nightly.service"])["Service"]
    assert (
        service["ExecStart"] == f"{paths.root()}/.venv/bin/python -m operations nightly --scheduled"
    )
    assert (service["User"], service["Environment"], service["ReadWritePaths"]) == (
        "homeroom",
        f"HOMEROOM_VAR={paths.var()}",
        str(paths.var()),
    )
    assert service["TimeoutStartSec"] == "540min", "an hour more than the night gives itself"
    assert parsed(made["homeroom-attendance.service"])["Service"]["ExecStart"].endswith(
        "-m operations intraday attendance"
    )
    night_timer, day_timer = made["homeroom-nightly.timer"], made["homeroom-attendance.timer"]
    assert re.findall("OnCalendar=(.*)", night_timer) == ["*-*-* 03:00:00 America/Vancouver"]
    assert re.findall("OnCalendar=(.*)", day_timer) == [
        "Mon..Fri *-*-* 09:30:00 America/Vancouver",
        "Mon..Fri *-*-* 13:15:00 America/Vancouver",
    ]
    assert "Persistent=true" in night_timer and "Persistent=false" in day_timer
    assert "$" not in "".join(made.values())


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="this machine has no systemd-analyze"
)
def test_systemd_accepts_the_units_and_would_not_accept_others(tmp_path):
    """`systemd-analyze verify` also wants the command to exist, so a program that does stands in
    for the environment's.
    """
    made = schedule.units("root", python=os.path.realpath(sys.executable))
    files = []
    for name, content in made.items():
        files.append(tmp_path / name)
        files[-1].write_text(content, encoding="utf-8")
    assert schedule.verify(files) == ""
    for at in re.findall("OnCalendar=(.*)", "".join(made.values())):
        assert (
            subprocess.run(
                ["systemd-analyze", "calendar", at], capture_output=True, check=False
            ).returncode
            == 0
        ), at
    files[0].write_text(
        made[files[0].name].replace("KillMode=mixed", "KillMode=gently"), encoding="utf-8"
    )
    assert "gently" in schedule.verify(files)


def test_install_writes_the_units_and_says_what_to_type_next(tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "verify", lambda files: "")
    after = schedule.install(tmp_path / "units", schedule.owner())
    assert (
        after[0] == "systemctl daemon-reload && systemctl enable --now homeroom-nightly.timer"
        " homeroom-attendance.timer"
    )
    assert len(list((tmp_path / "units").iterdir())) == 4
    with pytest.raises(schedule.ScheduleError, match="there is no user nobody-of-that-name"):
        schedule.install(tmp_path / "units", "nobody-of-that-name")
    monkeypatch.setattr(schedule, "verify", lambda files: "homeroom-nightly.service: Unknown key")
    with pytest.raises(
        schedule.ScheduleError, match="systemd does not accept them: homeroom-nightly"
    ):
        schedule.install(tmp_path / "units", schedule.owner())
    owner = schedule.owner()
    monkeypatch.setattr(schedule, "owner", lambda: "somebody-else")
    with pytest.raises(
        schedule.ScheduleError,
        match=(
            f"belongs to somebody-else and the nights would run as {owner}, who could not write"
            " there: sudo chown"
        ),
    ):
        schedule.install(tmp_path / "units", owner)


def when(zone: str) -> list[str]:
    """The lines of cron that start something, on a machine whose clock shows that zone's time."""
    before = os.environ.get("TZ")
    try:
        os.environ["TZ"] = zone
        time.tzset()
        return [line for line in schedule.cron().splitlines() if re.match(r"[\d*]", line)]
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()


def test_cron_and_windows_get_the_same_times():
    lines = when("America/Vancouver")
    assert [line.split(" umask ")[0] for line in lines] == [
        "0 3 * * *",
        "30 9 * * 1-5",
        "15 13 * * 1-5",
    ]
    assert lines[1].endswith(
        f"-m operations intraday attendance >> {paths.var()}/attendance.log 2>&1"
    )
    windows = schedule.windows().splitlines()
    assert [re.search(r"/SC (.*) /ST (\S+)", line).groups() for line in windows] == [
        ("DAILY", "03:00"),
        ("WEEKLY /D MON,TUE,WED,THU,FRI", "09:30"),
        ("WEEKLY /D MON,TUE,WED,THU,FRI", "13:15"),
    ]


def test_crons_table_says_all_that_debians_cron_takes_from_it_and_nothing_it_does_not_know():
    own, system = schedule.cron().splitlines(), schedule.cron("homeroom").splitlines()
    for table, mailed in ((own, schedule.owner()), (system, "homeroom")):
        assert {"SHELL=/bin/sh", "PATH=/usr/local/bin:/usr/bin:/bin"} <= set(table)
        assert f"MAILTO={mailed}" in table
        assert "CRON_TZ" not in "".join(table), "Debian's cron takes no notice of it"
    fields = [line.split()[5] for line in system if re.match(r"[\d*]", line)]
    assert fields == ["homeroom"] * 3, "only a file of /etc/cron.d says who"
    assert "homeroom" not in [line.split()[5] for line in own if re.match(r"[\d*]", line)]


@pytest.mark.parametrize("zone", ["America/Vancouver", "Etc/UTC"])
def test_a_line_of_cron_does_in_a_shell_what_it_says(zone, tmp_path, monkeypatch):
    """As cron hands it to the shell: a percent sign that is not escaped would end it."""
    home, state = tmp_path / "a home", tmp_path / "50% of it"
    (home / ".venv" / "bin").mkdir(parents=True)
    program = home / ".venv" / "bin" / "python"
    program.write_text('#!/bin/sh\necho "$HOMEROOM_VAR: $*"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("HOMEROOM_VAR", str(state))
    monkeypatch.setattr(schedule.paths, "root", lambda: home)
    monkeypatch.setenv("HOMEROOM_PROJECT", str(ROOT))
    line = when(zone)[0]
    assert not re.search(r"(?<!\\)%", line)
    command = line.split(None, 5)[5].replace("\\%", "%")
    hour = datetime.now(settings.zone()).strftime("%H:%M")
    for due in (False, True):
        typed = command.replace('= "03:00"', f'= "{hour if due else "xx"}"')
        ended = subprocess.run(
            ["/bin/sh", "-c", typed],
            env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
            umask=0,
            check=False,
        )
        assert ended.returncode == 0
        if zone == "Etc/UTC" and not due:
            assert list(state.iterdir()) == [], "it is another time there"
    log = state / "nightly.log"
    said = f"{state}: -m operations nightly --scheduled\n"
    assert log.read_text(encoding="utf-8") in (said, said * 2)
    assert {path.stat().st_mode & 0o077 for path in state.iterdir()} == {0}


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="this machine has no systemd-analyze"
)
def test_systemd_finds_little_that_the_service_could_do_beyond_its_work(tmp_path):
    unit = tmp_path / "homeroom-nightly.service"
    unit.write_text(schedule.units("homeroom")[unit.name], encoding="utf-8")
    looked = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "Overall exposure level" not in looked.stdout:
        pytest.skip("this machine's systemd-analyze cannot look at a file")
    assert float(re.search(r"Overall exposure level .*: ([\d.]+)", looked.stdout)[1]) <= 2.5


def test_the_service_may_write_to_the_folder_of_backups_wherever_it_is(monkeypatch, tmp_path):
    monkeypatch.setattr(schedule, "verify", lambda files: "")

    def writable() -> str:
        text = schedule.units("homeroom")["homeroom-nightly.service"]
        return parsed(text)["Service"]["ReadWritePaths"]

    assert writable() == str(paths.var())
    monkeypatch.setenv("BACKUP__FOLDER", str(paths.var() / "elsewhere"))
    assert writable() == str(paths.var())
    monkeypatch.setenv("BACKUP__FOLDER", "/mnt/backups")
    assert writable() == f"{paths.var()} -/mnt/backups"
    assert schedule.install(tmp_path / "units", schedule.owner())[0] == (
        f"install -d -o {schedule.owner()} -m 0700 /mnt/backups"
    )
    monkeypatch.setenv("BACKUP__FOLDER", "/mnt/two words")
    with pytest.raises(schedule.ScheduleError, match="cannot carry the backup folder"):
        schedule.units("homeroom")


def test_a_project_of_somebodys_own_is_named_wherever_a_run_is_started(monkeypatch, tmp_path):
    house = "".join((*schedule.units("homeroom").values(), schedule.cron(), schedule.windows()))
    assert "HOMEROOM_PROJECT" not in house
    shutil.copytree(ROOT / ".dlt", tmp_path / "own" / ".dlt")
    monkeypatch.setenv("HOMEROOM_PROJECT", str(tmp_path / "own"))
    told = f"HOMEROOM_VAR={paths.var()} HOMEROOM_PROJECT={tmp_path}/own"
    assert f"Environment={told}\n" in schedule.units("homeroom")["homeroom-nightly.service"]
    assert f" {told} flock " in schedule.cron() and f" env {told} .venv" in schedule.windows()


def test_units_are_for_everybody_to_read_and_are_not_written_for_a_state_folder_that_is(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(schedule, "verify", lambda files: "")
    schedule.install(tmp_path / "units", schedule.owner())
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "units").iterdir()} == {0o644}
    paths.var().chmod(0o755)
    with pytest.raises(schedule.ScheduleError, match=f"chmod -R go-rwx {paths.var()}"):
        schedule.install(tmp_path / "others", schedule.owner())
    assert not (tmp_path / "others").exists()


def test_short_runs_take_place_on_school_days_and_nights_as_the_district_says(monkeypatch):
    nightly, attendance = schedule.entries()
    days = {
        "a Monday": date(2026, 10, 5),
        "Saturday": date(2026, 10, 10),
        "Thanksgiving": date(2026, 10, 12),
        "Christmas": date(2026, 12, 25),
    }
    assert {name: bool(schedule.not_today(attendance, day)) for name, day in days.items()} == {
        "a Monday": False,
        "Saturday": True,
        "Thanksgiving": True,
        "Christmas": True,
    }
    assert not any(schedule.not_today(nightly, day) for day in days.values())
    monkeypatch.setenv("SCHEDULE__NIGHTS_ON_CLOSED_DAYS", "false")
    assert [
        name for name, day in days.items() if schedule.not_today(schedule.entries()[0], day)
    ] == ["Thanksgiving", "Christmas"]


def test_a_break_has_a_first_and_a_last_day_and_a_single_day_is_alone():
    days = [
        date(2026, 10, 11),
        date(2026, 10, 12),
        date(2026, 10, 13),
        date(2026, 12, 20),
        date(2026, 12, 21),
        date(2027, 1, 1),
        date(2027, 1, 2),
    ]
    assert [schedule.closed(day) for day in days] == [
        "",
        "2026-10-12 is a closed day (2026-10-12)",
        "",
        "",
        "2026-12-21 is a closed day (2026-12-21/2027-01-01)",
        "2027-01-01 is a closed day (2026-12-21/2027-01-01)",
        "",
    ]


def test_short_runs_rest_on_saturday_and_sunday_and_a_night_never_for_a_weekend(monkeypatch):
    monkeypatch.setenv("SCHEDULE__NIGHTS_ON_CLOSED_DAYS", "false")
    nightly, attendance = schedule.entries()
    week = [date(2026, 10, 5 + day) for day in range(8)]
    assert [schedule.not_today(attendance, day) for day in week] == [
        *[""] * 5,
        "2026-10-10 is a Saturday",
        "2026-10-11 is a Sunday",
        "2026-10-12 is a closed day (2026-10-12)",
    ]
    assert [bool(schedule.not_today(nightly, day)) for day in week] == [False] * 7 + [True]
    assert schedule.next_days(2, date(2026, 10, 9)) == [
        (date(2026, 10, 9), ["nightly 03:00", "attendance 09:30", "attendance 13:15"]),
        (date(2026, 10, 10), ["nightly 03:00"]),
    ]


def test_the_shipped_nights_hour_comes_once_on_every_day_of_the_year(monkeypatch):
    """Clocks go forward and back at two: an hour that is left out or comes twice is no hour for a
    night.
    """
    shipped = (
        tomllib.loads((paths.root() / ".dlt" / "config.toml").read_text(encoding="utf-8"))
        .get("schedule", {})
        .get("night", "03:00")
    )
    (given,) = configured.times(shipped)
    zone, hour = settings.zone(), datetime.strptime(given, "%H:%M").time()
    for number in range(366):
        moment = datetime.combine(date(2026, 7, 1) + timedelta(number), hour, zone)
        assert moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == moment.replace(
            tzinfo=None
        ), moment
        assert moment.utcoffset() == moment.replace(fold=1).utcoffset(), moment


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("00:00", ("00:00",)),
        ("23:59", ("23:59",)),
        (["09:30", "13:15"], ("09:30", "13:15")),
        ("24:00", None),
        ("03:60", None),
        ("3:00", None),
        ("", None),
        ([], None),
        (["09:30", 13], None),
        (None, None),
        (3, None),
        ("03:00 ", None),
    ],
)
def test_times_of_the_day_are_four_digits_and_a_colon(given, taken):
    if taken is None:
        with pytest.raises(
            ValueError, match=r'write times of the day as "03:00" or \["09:30", "13:15"\]'
        ):
            configured.times(given)
    else:
        assert configured.times(given) == taken


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        (
            "SCHEDULE__INTRADAY__9AM",
            '{ at = "09:00", targets = ["callout"] }',
            r"\[schedule.intraday.9am\] must have a plain name",
        ),
        (
            "SCHEDULE__INTRADAY__LUNCH",
            '"12:00"',
            r"\[schedule.intraday\] lunch is .12:00.; it must be a table",
        ),
        (
            "SCHEDULE__INTRADAY__ATTENDANCE__TARGETS",
            "[]",
            r"targets is \[\]; it must be a list of texts",
        ),
        (
            "SCHEDULE__INTRADAY__ATTENDANCE__TARGETS",
            '"callout"',
            "targets is 'callout'; it must be a list of texts",
        ),
        (
            "SCHEDULE__INTRADAY__ATTENDANCE__TARGETS",
            '["callout", "bus"]',
            "it must list targets of the settings",
        ),
        (
            "SCHEDULE__INTRADAY__ATTENDANCE__AT",
            '["12:00", "25:00"]',
            r"\[schedule.intraday.attendance\] at is ",
        ),
    ],
)
def test_a_short_run_that_cannot_be_followed_is_named(monkeypatch, name, value, says):
    monkeypatch.setenv(name, value)
    with pytest.raises(settings.SettingsError, match=says):
        schedule.entries()


def test_a_short_runs_steps_wait_for_what_they_rest_on_as_a_nights_do(monkeypatch):
    entry = schedule.Entry("attendance", ("09:30",), ("callout", "portfolio"), on_closed_days=False)
    assert schedule.steps(entry) == (
        ("ingest", ("ingestion",), ()),
        (
            "build",
            (
                "operations",
                "build",
                "--select",
                "+path:models/exports/callout +path:models/exports/portfolio",
            ),
            (),
        ),
        (
            "plan",
            ("reverse_etl", "plan", "--target", "callout", "--target", "portfolio"),
            ("build",),
        ),
        (
            "push",
            ("reverse_etl", "push", "--target", "callout", "--target", "portfolio"),
            ("build", "plan"),
        ),
        (
            "verify",
            ("reverse_etl", "verify", "--target", "callout", "--target", "portfolio"),
            ("build", "plan"),
        ),
        ("report", ("operations", "report"), ()),
        ("alert", ("operations", "alert"), ()),
    )
    of_a_night = {name: (words, needs) for name, words, needs in night.STEPS}
    for name, words, needs in schedule.steps(entry):
        assert (
            words[: len(of_a_night[name][0])] == of_a_night[name][0]
            and needs == of_a_night[name][1]
        )
    assert (entry.command, schedule.entries()[0].command) == (
        "intraday attendance",
        "nightly --scheduled",
    )


def test_a_closed_day_ends_well_without_a_run(monkeypatch, capsys):
    monkeypatch.setattr(schedule, "nightly", lambda **_: pytest.fail("a run began"))
    assert schedule.intraday("attendance", date(2026, 12, 25)) == 0
    assert (
        "no attendance run today: 2026-12-25 is a closed day (2026-12-21/2027-01-01)"
        in capsys.readouterr().out
    )


def test_a_short_run_reads_builds_and_writes_only_what_its_targets_need(monkeypatch):
    asked = {}
    monkeypatch.setattr(schedule, "nightly", lambda **more: asked.update(more) or 0)
    assert schedule.intraday("attendance", date(2026, 10, 5)) == 0
    assert asked["verb"] == "intraday"
    commands = {name: command for name, command, _ in asked["steps"]}
    assert commands["build"] == ("operations", "build", "--select", "+path:models/exports/callout")
    assert [commands[name][-2:] for name in ("plan", "push", "verify")] == [
        ("--target", "callout")
    ] * 3
    assert "backup" not in commands and set(night.CLOSING) <= set(commands)
    with pytest.raises(
        schedule.ScheduleError, match=r"no \[schedule.intraday.lunch\] .* there are attendance"
    ):
        schedule.intraday("lunch", date(2026, 10, 5))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SCHEDULE__NIGHT", "3am", r"\[schedule\] night is '3am'"),
        ("SCHEDULE__NIGHT", '"25:00"', "write times of the day"),
        ("SCHEDULE__CLOSED", '["Christmas"]', "write days as"),
        (
            "SCHEDULE__INTRADAY__ATTENDANCE__TARGETS",
            '["callouts"]',
            "must list targets of the settings",
        ),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(monkeypatch, name, value, says):
    monkeypatch.setenv(name, value)
    with pytest.raises(settings.SettingsError, match=says):
        schedule.entries()
        schedule.closed(date(2026, 10, 5))


def test_health_is_for_machines(monkeypatch):
    assert status.health() == (True, "no night has run yet")
    monkeypatch.setenv("HOMEROOM_AS_OF", "2026-10-05")
    run = Run.open("nightly")
    for code, good in ((0, True), (2, True), (3, True), (1, False)):
        run.finish(code)
        assert status.health()[0] is good
    run.finish(0)
    run.write("run.json", run.read("run.json") | {"finished_at": "2026-10-01T03:30:00+00:00"})
    assert status.health()[0] is False
    assert "no night has ended for" in status.health()[1]
