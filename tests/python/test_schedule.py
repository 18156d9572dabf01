"""How a machine is told to run the nights: units systemd accepts, days off, short runs by day, the image's own steps."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from common import paths
from common.runs import Run
from operations import night, schedule, status


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
    assert sorted(made) == ["homeroom-attendance.service", "homeroom-attendance.timer", "homeroom-nightly.service", "homeroom-nightly.timer"]
    service = parsed(made["homeroom-nightly.service"])["Service"]
    assert service["ExecStart"] == f"{paths.root()}/.venv/bin/python -m operations nightly --scheduled"
    assert (service["User"], service["Environment"], service["ReadWritePaths"]) == ("homeroom", f"HOMEROOM_VAR={paths.var()}", str(paths.var()))
    assert service["TimeoutStartSec"] == "540min", "an hour more than the night gives itself"
    assert parsed(made["homeroom-attendance.service"])["Service"]["ExecStart"].endswith("-m operations intraday attendance")
    night_timer, day_timer = made["homeroom-nightly.timer"], made["homeroom-attendance.timer"]
    assert re.findall("OnCalendar=(.*)", night_timer) == ["*-*-* 03:00:00 America/Vancouver"]
    assert re.findall("OnCalendar=(.*)", day_timer) == ["Mon..Fri *-*-* 09:30:00 America/Vancouver", "Mon..Fri *-*-* 13:15:00 America/Vancouver"]
    assert "Persistent=true" in night_timer and "Persistent=false" in day_timer
    assert "$" not in "".join(made.values())


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd-analyze")
def test_systemd_accepts_the_units_and_would_not_accept_others(tmp_path):
    """`systemd-analyze verify` also wants the command to exist, so a program that does stands in for the environment's."""
    made = schedule.units("root", python=os.path.realpath(sys.executable))
    files = []
    for name, content in made.items():
        files.append(tmp_path / name)
        files[-1].write_text(content, encoding="utf-8")
    assert schedule.verify(files) == ""
    for time in re.findall("OnCalendar=(.*)", "".join(made.values())):
        assert subprocess.run(["systemd-analyze", "calendar", time], capture_output=True, check=False).returncode == 0, time
    files[0].write_text(made[files[0].name].replace("KillMode=mixed", "KillMode=gently"), encoding="utf-8")
    assert "gently" in schedule.verify(files)


def test_install_writes_the_units_and_says_what_to_type_next(tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "verify", lambda files: "")
    after = schedule.install(tmp_path / "units", schedule.owner())
    assert after[0] == "systemctl daemon-reload && systemctl enable --now homeroom-nightly.timer homeroom-attendance.timer"
    assert len(list((tmp_path / "units").iterdir())) == 4
    with pytest.raises(schedule.ScheduleWrong, match="there is no user nobody-of-that-name"):
        schedule.install(tmp_path / "units", "nobody-of-that-name")
    monkeypatch.setattr(schedule, "verify", lambda files: "homeroom-nightly.service: Unknown key")
    with pytest.raises(schedule.ScheduleWrong, match="systemd does not accept them: homeroom-nightly"):
        schedule.install(tmp_path / "units", schedule.owner())
    owner = schedule.owner()
    monkeypatch.setattr(schedule, "owner", lambda: "somebody-else")
    with pytest.raises(schedule.ScheduleWrong, match=f"belongs to somebody-else and the nights would run as {owner}, who could not write there: sudo chown"):
        schedule.install(tmp_path / "units", owner)


def test_cron_and_windows_get_the_same_times():
    lines = schedule.cron().splitlines()
    assert lines[0] == "CRON_TZ=America/Vancouver"
    assert [line.split(" cd ")[0] for line in lines[1:]] == ["0 3 * * *", "30 9 * * 1-5", "15 13 * * 1-5"]
    assert lines[2].endswith(f"-m operations intraday attendance >> {paths.var()}/attendance.log 2>&1")
    windows = schedule.windows().splitlines()
    assert [re.search(r"/SC (.*) /ST (\S+)", line).groups() for line in windows] == [
        ("DAILY", "03:00"), ("WEEKLY /D MON,TUE,WED,THU,FRI", "09:30"), ("WEEKLY /D MON,TUE,WED,THU,FRI", "13:15"),
    ]  # fmt: skip


def test_short_runs_take_place_on_school_days_and_nights_as_the_district_says(monkeypatch):
    nightly, attendance = schedule.entries()
    days = {"a Monday": date(2026, 10, 5), "Saturday": date(2026, 10, 10), "Thanksgiving": date(2026, 10, 12), "Christmas": date(2026, 12, 25)}
    assert {name: bool(schedule.not_today(attendance, day)) for name, day in days.items()} == {
        "a Monday": False, "Saturday": True, "Thanksgiving": True, "Christmas": True,
    }  # fmt: skip
    assert not any(schedule.not_today(nightly, day) for day in days.values())
    monkeypatch.setenv("SCHEDULE__NIGHTS_ON_CLOSED_DAYS", "false")
    assert [name for name, day in days.items() if schedule.not_today(schedule.entries()[0], day)] == ["Thanksgiving", "Christmas"]


def test_a_closed_day_ends_well_without_a_run(monkeypatch, capsys):
    monkeypatch.setattr(schedule, "nightly", lambda **_: pytest.fail("a run began"))
    assert schedule.intraday("attendance", date(2026, 12, 25)) == 0
    assert "no attendance run today: 2026-12-25 is a closed day (2026-12-21/2027-01-01)" in capsys.readouterr().out


def test_a_short_run_reads_builds_and_writes_only_what_its_targets_need(monkeypatch):
    asked = {}
    monkeypatch.setattr(schedule, "nightly", lambda **more: asked.update(more) or 0)
    assert schedule.intraday("attendance", date(2026, 10, 5)) == 0
    assert asked["verb"] == "intraday"
    commands = {name: command for name, command, _ in asked["steps"]}
    assert commands["build"] == ("operations", "build", "--select", "+path:models/exports/callout")
    assert [commands[name][-2:] for name in ("plan", "push", "verify")] == [("--target", "callout")] * 3
    assert "backup" not in commands and set(night.CLOSING) <= set(commands)
    with pytest.raises(schedule.ScheduleWrong, match=r"no \[schedule.intraday.lunch\] .* there are attendance"):
        schedule.intraday("lunch", date(2026, 10, 5))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SCHEDULE__NIGHT", "3am", r"\[schedule.night\] is '3am'"),
        ("SCHEDULE__NIGHT", '"25:00"', "write times of the day"),
        ("SCHEDULE__CLOSED", '["Christmas"]', "write days as"),
        ("SCHEDULE__INTRADAY__ATTENDANCE__TARGETS", '["callouts"]', "must list targets of the settings"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(monkeypatch, name, value, says):
    monkeypatch.setenv(name, value)
    with pytest.raises(schedule.ScheduleWrong, match=says):
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


def test_the_container_file_names_what_is_there():
    text = (paths.root() / "deploy" / "Containerfile").read_text(encoding="utf-8")
    assert text.index("USER homeroom") < text.index("ENTRYPOINT")
    for command in re.findall(r'"operations", "(\w+)"', text):
        assert subprocess.run([sys.executable, "-m", "operations", command, "--help"], cwd=paths.root(), capture_output=True, check=False).returncode == 0
    assert "sh /app/deploy/image.sh /app" in text


def test_the_images_steps_are_a_script_that_installs_the_locked_packages_and_nothing_else(tmp_path):
    """The steps themselves, on a bare folder, with a Python that writes down what it is asked."""
    app, bin_ = tmp_path / "app", tmp_path / "bin"
    for folder in (app / ".venv" / "bin", bin_):
        folder.mkdir(parents=True)
    log = tmp_path / "asked.txt"
    for program in (bin_ / "python3", app / ".venv" / "bin" / "python"):
        program.write_text(f'#!/bin/sh\necho "$@" >> {log}\n', encoding="utf-8")
        program.chmod(0o755)
    subprocess.run(["sh", str(paths.root() / "deploy" / "image.sh"), str(app)], check=True, env={"PATH": f"{bin_}:/usr/bin:/bin"})
    assert log.read_text(encoding="utf-8").splitlines() == [
        "-m venv .venv",
        "-m pip install -q --disable-pip-version-check --no-deps --no-compile --require-hashes -r requirements.txt",
        "-m operations --help",
    ]
