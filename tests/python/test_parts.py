"""Runs that are not nights: what a part reads, builds and writes, when it is due, whom it waits
for, what is kept of it, and what is told.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import findings, lock, paths, settings, turns
from common.findings import Finding
from common.runs import Run
from operations import alerts, night, page, parts, report, series, watch
from operations.configured import Part
from reverse_etl import __main__ as writer
from reverse_etl import settle

ROOT = paths.root()
SETTINGS = """
[sources.west]
kind = "sql"
[sources.drop]
kind = "files"
location = "drop"
[targets.shop]
kind = "rest"
[targets.desk]
kind = "sql"
[targets.off]
kind = "sql"
enabled = false
"""
STOCK = """
[[schedules]]
name = "stock"
every = "5 minutes"
feeds = ["west.stock", "drop"]
targets = ["shop", "off"]
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose settings a test writes, and its state."""
    folder = tmp_path / "project"
    (folder / ".dlt").mkdir(parents=True)
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("HOMEROOM_PROJECT", str(folder))
    for name in ("HOMEROOM_RUN", "HOMEROOM_EXIT_CODE", turns.INHERITED, turns.PART):
        monkeypatch.delenv(name, raising=False)
    write(folder, STOCK)
    yield folder
    settings._files.cache_clear()


def write(project: Path, text: str) -> None:
    (project / ".dlt" / "config.toml").write_text(SETTINGS + text, encoding="utf-8")
    settings._files.cache_clear()


def a_part(**given: Any) -> Part:
    return Part.model_validate({"name": "stock", "targets": ["shop"], **given})


def lived(part: str = "stock", code: int = 0, found: tuple[Finding, ...] = ()) -> Run:
    """A run of a part that is over, noted and told."""
    run = Run.open("part", part) if part else Run.open("nightly")
    with run.step("plan") as step:
        step.exit_code = code
    findings.record(run, list(found))
    report.close(run, code)
    if part:
        series.note(run, report.summarise(run))
    time.sleep(1.01)  # runs of one second are in no order
    return run


# ---------------------------------------------------------------- what it is


def test_a_part_reads_its_feeds_and_serves_those_of_its_targets_that_are_on():
    (stock,) = parts.parts()
    commands = {name: words for name, words, _ in parts.steps(stock)}
    assert commands["ingest"] == ("ingestion", "--feed", "west.stock", "--feed", "drop")
    assert commands["build"][-1] == "+path:models/exports/shop"
    assert {commands[name][-2:] for name in ("plan", "push", "verify")} == {("--target", "shop")}
    assert set(night.CLOSING) <= set(commands) and "backup" not in commands
    assert stock.when == "every 5 minutes"


def test_a_part_reads_what_its_targets_hold_before_it_builds(monkeypatch: pytest.MonkeyPatch):
    """As a night does: a rule may stand on it, as documents and incidents do."""
    (stock,) = parts.parts()
    monkeypatch.setattr(parts.observe, "api_targets", lambda names: names)
    steps = parts.steps(stock)
    assert [name for name, _, _ in steps][:3] == ["ingest", "observe", "build"]
    assert steps[1][1] == ("reverse_etl", "observe", "--target", "shop")


def test_a_part_with_all_its_targets_off_is_no_part(project: Path):
    write(project, STOCK.replace('["shop", "off"]', '["off"]'))
    assert parts.parts() == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (STOCK.replace("5 minutes", "often"), 'write how often as "30 seconds", "5 minutes"'),
        (STOCK.replace("5 minutes", "0 minutes"), "write how often"),
        (STOCK.replace('"stock"', '"9 am"'), "it must be a plain name"),
        (STOCK.replace('"stock"', '"nightly"'), "taken by another kind of run"),
        (STOCK + STOCK, "two have that name"),
        (STOCK.replace('"shop"', '"shp"'), "'shp', which is no target; the nearest is shop"),
        (STOCK.replace('"west.', '"wst.'), "there is no source wst; the nearest is west"),
        (STOCK.replace('["shop", "off"]', "[]"), "targets"),
        (STOCK.replace("every", "evry"), "evry: no such key; the nearest is every"),
        (STOCK.replace('every = "5 minutes"', 'at = ["25:00"]'), "write times of the day"),
        (
            STOCK.replace("every", "on_arrival = true\nevery").replace(', "drop"', ""),
            "none of its feeds comes from a folder",
        ),
        ('schedules = "often"\n', r"\[\[schedules\]\]"),
    ],
)
def test_a_part_that_cannot_be_followed_is_named(project: Path, text: str, says: str):
    write(project, "" if text.startswith("schedules") else text)
    if text.startswith("schedules"):
        (project / ".dlt" / "config.toml").write_text(text + SETTINGS, encoding="utf-8")
        settings._files.cache_clear()
    with pytest.raises(settings.SettingsError, match=says):
        parts.parts()


def test_a_name_no_part_has_is_told_with_those_there_are():
    with pytest.raises(parts.PartError, match="name = 'stok'; there are stock"):
        parts.run("stok")


# ---------------------------------------------------------------- when it is due


@given(every=st.integers(1, 7200), since=st.one_of(st.none(), st.integers(0, 20_000)))
def test_every_so_often_is_counted_from_one_beginning_to_the_next(every: int, since: int | None):
    now = datetime(2026, 10, 5, 12, 0, tzinfo=UTC)
    begun = None if since is None else now - timedelta(seconds=since)
    one = a_part(every=f"{every} seconds")
    assert parts.due(one, now, begun) is (since is None or since >= every)


@pytest.mark.parametrize(
    ("here", "begun", "due"),
    [
        ("09:29", None, False),
        ("09:30", None, True),
        ("09:45", "09:31", False),
        ("10:29", None, True),
        ("10:31", None, False),
    ],
)
def test_a_given_time_comes_once_and_is_of_no_use_an_hour_later(here, begun, due):
    def moment(time_of_day: str) -> datetime:
        return datetime.fromisoformat(f"2026-10-05T{time_of_day}").replace(tzinfo=settings.zone())

    one = a_part(at=["09:30"])
    assert parts.due(one, moment(here), moment(begun) if begun else None) is due


# ---------------------------------------------------------------- whom it waits for

HOLD = """
import sys, time
from pathlib import Path
from common import turns, lock
name, targets, there = sys.argv[1], sys.argv[2].split(","), Path(sys.argv[3])
turns.WAIT_SECONDS = turns.PATIENCE_SECONDS = 0.3
try:
    with turns.part(name, targets), turns.lent():
        there.joinpath(name).touch()
        sys.stdin.read()
except lock.LockHeldError as error:
    sys.exit(str(error))
"""


def holding(name: str, targets: str, there: Path) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, name, targets, str(there)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (there / name).exists() and process.poll() is None:
        time.sleep(0.02)
    return process


@pytest.mark.slow
def test_parts_that_share_no_target_write_side_by_side_and_those_that_do_take_turns(tmp_path: Path):
    first = holding("a", "shop,books", tmp_path)
    second = holding("b", "desk", tmp_path)
    assert first.poll() is None and second.poll() is None, "both write"
    refused = holding("c", "desk,till", tmp_path)
    assert refused.wait() == 1 and "a run of b is under way" in refused.stderr.read()
    again = holding("a", "till", tmp_path)
    assert again.wait() == 1 and "a run of a is under way" in again.stderr.read()
    with pytest.raises(night.NightRunningError), night.lock(targets=("shop",), part="d"):
        pass
    for process in (first, second):
        process.communicate("")
    with night.lock(targets=("shop", "desk")):
        assert turns.of_a_night()


def test_who_writes_to_a_target_is_waited_for_by_a_night_which_then_has_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    part = holding("a", "shop", tmp_path)
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.1)
    with (
        pytest.raises(night.NightRunningError, match="a run of a is under way"),
        night.lock(targets=("desk", "shop")),
    ):
        pass
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 60.0)
    threading.Timer(0.5, lambda: part.communicate("")).start()
    with night.lock(targets=("desk", "shop")):
        refused = holding("b", "desk", tmp_path)
        assert refused.wait() == 1


def test_a_turn_that_was_lent_is_had_back_and_says_whose_it_is():
    with night.lock(part="a", targets=("shop",)) as held:
        lock.tell(held, run="r", step="push")
        with turns.lent():
            with lock.lock(turns.path(), "make build"):
                assert turns.of_a_night(), "a step of the part is one all the same"
        assert turns.under_way().endswith("at push for 0 s")
    assert turns.under_way() == "" and not turns.of_a_night()


def test_a_night_lends_its_turn_to_nobody():
    with night.lock(), turns.lent(), pytest.raises(lock.LockHeldError):
        with lock.lock(turns.path(), "make build"):
            pass


def test_what_another_run_writes_at_this_moment_is_for_that_run_to_take_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = Run.open("part", "a").folder / "journal"
    folder.mkdir()
    for target in ("shop", "desk"):
        (folder / f"{target}.jsonl").write_text('{"line":"plan","plan_id":"p"}\n', "utf-8")
    taken: list[str] = []
    monkeypatch.setattr(settle, "_settle", lambda _, path: taken.append(path.stem) or 0)
    process = holding("a", "shop", tmp_path)
    settle.settle(None)
    process.communicate("")
    assert taken == ["desk"]


# ---------------------------------------------------------------- its runs


def test_the_newest_run_is_never_a_parts_and_a_part_closes_nobodys_run():
    typed = Run.open("plan")
    first = Run.open("part", "stock")
    assert Run.latest() == typed and not typed.facts()["finished_at"]
    assert (paths.runs() / "latest-stock").resolve() == first.folder
    time.sleep(1.01)
    other, second = Run.open("part", "market"), Run.open("part", "stock")
    assert first.facts()["status"] == "abandoned" and not other.facts()["finished_at"]
    assert Run.latest_night("stock") == second and Run.latest_night() is None
    assert Run.current("push") == typed


def test_a_night_closes_the_run_of_a_part_that_died_and_not_of_one_that_lives(tmp_path: Path):
    dead, alive = Run.open("part", "dead"), Run.open("part", "alive")
    process = holding("alive", "desk", tmp_path)
    Run.open("nightly")
    process.communicate("")
    assert dead.facts()["status"] == "abandoned" and not alive.facts()["finished_at"]


def test_a_run_rests_on_what_was_said_last_of_each_feed():
    def said(run: Run, **statuses: str) -> None:
        run.write(
            "feeds.json",
            [{"source": "west", "feed": feed, "status": one} for feed, one in statuses.items()],
        )

    old, whole = lived(""), lived("")
    said(old, gone="refused")
    said(whole, items="loaded", stock="loaded", bins="loaded")
    said(lived(), stock="refused")
    said(lived("market"), bins="missing")
    now = lived()
    said(now, items="unchanged")
    found = {one["feed"]: one["status"] for one in writer._feeds(now)}
    assert found == {"items": "unchanged", "stock": "refused", "bins": "missing"}


def test_what_wrote_nothing_leaves_a_line_once_it_is_old(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(series, "KEPT", 2)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    runs = []
    for number in range(5):
        run = Run.open("part", "stock")
        run = Run(f"2026100{number + 1}T090000Z-000{number}", run.folder, run.as_of, run.started_at)
        place = run.folder.with_name(run.run_id)
        run.folder.rename(place)
        run = Run(run.run_id, place, run.as_of, run.started_at)
        run.write("run.json", run.facts() | {"run_id": run.run_id})
        report.close(run, 0)
        series.note(run, report.summarise(run))
        runs.append(run)
    (runs[0].folder / "journal").mkdir()
    paths.incidents().write_text(
        json.dumps([{"condition": "c", "sentence": "s", "since": "d", "run_id": runs[1].run_id}])
    )
    series.forget("stock")
    assert [run.folder.exists() for run in runs] == [True, True, False, True, True]
    (one,) = series.every()
    assert (one.runs, one.name, one.states["done"]) == (5, "stock", 5)


# ---------------------------------------------------------------- what is told


@pytest.fixture
def messages(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The subjects of what was sent."""
    write(project, STOCK + '\n[alerts.routes.all]\nemail = "it@x.example"\nalways = true\n')
    sent: list[str] = []
    monkeypatch.setitem(alerts.CHANNELS, "email", lambda _, message: sent.append(message.text))
    return sent


def told(run: Run) -> None:
    alerts.send(run, report.summarise(run))


def test_alerts_say_what_is_new_and_what_is_over_and_nothing_in_between(messages: list[str]):
    bad = Finding("source_unreachable", {"why": "no route", "feeds": "stock"}, source="west")
    for code, found in ((0, ()), (3, (bad,)), (3, (bad,)), (3, (bad,)), (0, ()), (0, ())):
        told(lived(code=code, found=found))
    assert len(messages) == 2
    assert "west" in messages[0] and "Recovered" in messages[1]
    assert alerts.open_incidents() == []


def test_an_incident_of_a_part_is_closed_by_that_part_alone(messages: list[str]):
    told(lived(code=1))
    told(lived("market"))
    told(lived(""))
    assert [one["condition"] for one in alerts.open_incidents()] == ["night_failed.stock"]
    told(lived())
    assert alerts.open_incidents() == []


def test_pages_show_a_part_as_a_series_and_not_as_nights():
    run = lived("")
    page.write(run, report.summarise(run))
    for _ in range(2):
        one = lived(code=2)
    page.write(one, report.summarise(one))
    index = (paths.pages() / "index.html").read_text("utf-8")
    assert "Parts that run by themselves" in index
    assert 'data-label="Runs">2<' in index and 'data-label="Not well">2<' in index
    assert run.run_id in index and one.run_id not in index
    assert "Run of stock" in (paths.pages() / "latest-stock.html").read_text("utf-8")
    assert run.run_id in (paths.pages() / "latest.html").read_text("utf-8")


# ---------------------------------------------------------------- watch


def started(project: Path, tmp_path: Path, text: str, seconds: float = 60) -> subprocess.Popen:
    """A watch whose runs write their name and number into a file, and end when told to."""
    write(project, text)
    code = (
        "import sys, time, os\nfrom pathlib import Path\nfrom operations import watch, parts\n"
        f"there = Path({str(tmp_path)!r})\n"
        "def run(name):\n"
        "    with (there / 'runs').open('a') as file: file.write(f'{name} {os.getpid()}\\n')\n"
        "    while (there / 'hold').exists(): time.sleep(0.02)\n"
        "    return 0\n"
        "parts.run = run\nwatch.WARM = ()\nwatch.TICK = 0.05\n"
        f"sys.exit(watch.watch({seconds}))\n"
    )
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)


def ran(tmp_path: Path, many: int = 1) -> list[str]:
    """The names of what ran, once there are so many."""
    deadline, path = time.monotonic() + 30, tmp_path / "runs"
    while time.monotonic() < deadline:
        if path.exists() and len(lines := path.read_text().splitlines()) >= many:
            return [line.split()[0] for line in lines]
        time.sleep(0.02)
    return []


def test_a_watch_begins_what_is_due_holds_nothing_while_idle_and_ends_well(
    project: Path, tmp_path: Path
):
    process = started(project, tmp_path, STOCK.replace("5 minutes", "1 hour"))
    assert ran(tmp_path) == ["stock"]
    time.sleep(0.3)
    assert turns.under_way() == "" and lock.holder(turns.of_target("shop")) == ""
    assert ran(tmp_path) == ["stock"], "an hour is not over"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_a_watch_waits_for_what_is_under_way_when_it_is_asked_to_stop(
    project: Path, tmp_path: Path
):
    (tmp_path / "hold").touch()
    process = started(project, tmp_path, STOCK.replace("5 minutes", "1 second"))
    assert ran(tmp_path) == ["stock"]
    time.sleep(1.5)
    assert ran(tmp_path) == ["stock"], "one of a part at a time"
    child = int((tmp_path / "runs").read_text().split()[1])
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_file_that_arrives_begins_a_run_once_it_is_whole(project: Path, tmp_path: Path):
    drop = project / "drop"
    drop.mkdir()
    process = started(project, tmp_path, STOCK.replace('every = "5 minutes"', "on_arrival = true"))
    time.sleep(1)
    (drop / "stock.csv.part").write_text("half")
    time.sleep(0.3)
    assert not (tmp_path / "runs").exists()
    (drop / "stock.csv.part").rename(drop / "stock.csv")
    assert ran(tmp_path) == ["stock"]
    time.sleep(0.5)
    assert ran(tmp_path) == ["stock"]
    (drop / "stock.csv").write_text("another")
    assert ran(tmp_path, 2) == ["stock", "stock"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_while_somebody_writes_to_a_target_its_part_waits_and_begins_after_that(
    project: Path, tmp_path: Path
):
    other = holding("night", "shop", tmp_path)
    process = started(project, tmp_path, STOCK)
    time.sleep(1)
    assert not (tmp_path / "runs").exists()
    other.communicate("")
    assert ran(tmp_path) == ["stock"]
    process.send_signal(signal.SIGTERM)
    process.wait(30)


def test_without_a_part_that_begins_by_itself_there_is_nothing_to_watch(project: Path):
    write(project, STOCK.replace('every = "5 minutes"', ""))
    with pytest.raises(parts.PartError, match="says every, at, on_arrival or on_call"):
        watch.watch(1)
