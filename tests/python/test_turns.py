"""A verb typed by hand knows of the night: it waits or refuses with who holds what, has a run of
its own, and changes nothing of what a night says of itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from night_kit import finding, night
from rich.console import Console

from common import findings, lock, paths, store, turns
from common.runs import BY_NIGHT, NightsRunError, Run
from operations import alerts, backup, metrics, page, report
from operations import night as nights

ROOT = paths.root()


@pytest.fixture(autouse=True)
def var(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    for name in ("HOMEROOM_RUN", "HOMEROOM_EXIT_CODE", turns.INHERITED):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(turns, "WAIT_SECONDS", 0.2)
    return paths.var()


def typed(*command: str, wait: float = 0.2, **given: str) -> subprocess.CompletedProcess[str]:
    """A verb as a person types it, in a process of its own, that waits a moment only."""
    code = (
        f"import sys; from common import turns; turns.WAIT_SECONDS = {wait};"
        f" from {command[0]} import __main__ as verbs; sys.argv = {list(command)!r};"
        " ended = getattr(verbs, 'main', verbs.app)(); sys.exit(ended)"
    )
    if command[0] == "reverse_etl":
        code = code.replace(
            "ended = getattr(verbs, 'main', verbs.app)(); sys.exit(ended)",
            "\nwith verbs._sentences():\n    verbs.app()",
        )
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | given,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


WRITES = [
    ("ingestion",),
    ("reverse_etl", "observe"),
    ("operations", "build"),
    ("reverse_etl", "plan"),
    ("reverse_etl", "release", "--why", "x", "--only", "k"),
    ("reverse_etl", "undo", "--", "20261001T090000Z-0000"),
    ("reverse_etl", "push"),
    ("reverse_etl", "verify"),
    ("operations", "report"),
    ("operations", "alert"),
    ("operations", "backup"),
    ("operations", "restore", "latest"),
    ("operations", "retention", "--really"),
    ("operations", "compact"),
    ("operations", "alone", "true"),
]


def state(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "night.lock"
    }


@pytest.mark.parametrize("verb", WRITES, ids=" ".join)
def test_while_a_night_is_under_way_a_verb_refuses_with_who_it_is_and_at_which_step(var, verb):
    with store.connect():
        pass
    night(0)
    backup.backup()
    if verb[1:2] in (("retention",), ("compact",)):
        with store.connect() as connection:  # something to let go, and air
            connection.execute("create table air as select random() as x from range(3000000)")
            connection.execute("checkpoint")
            connection.execute("drop table air")
            connection.execute("checkpoint")
        os.environ["RETENTION__RUNS_DAYS"] = "1"
    with nights.lock() as held:
        run = Run.open("nightly")
        lock.tell(held, run=run.run_id, step="push")
        before = state(var)
        # what a person may type, or have in the environment
        for given in ({}, {"HOMEROOM_RUN": run.run_id}, {"HOMEROOM_EXIT_CODE": "0"}):
            os.environ.pop(turns.INHERITED, None)
            ended = typed(*verb, **given)
            said = ended.stdout + ended.stderr
            assert ended.returncode == 2, said
            assert "a night is under way for 0 min" in said and "at push for" in said, said
            assert f"in process {os.getpid()}" in said and "Traceback" not in said
        assert state(var) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "verb",
    [
        ("ingestion",),
        ("reverse_etl", "observe"),
        ("operations", "build"),
        ("reverse_etl", "plan"),
        ("reverse_etl", "push"),
        ("operations", "report"),
        ("operations", "alert"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("how", ["is over", "was killed"])
def test_no_verb_writes_into_the_run_of_a_night(var, verb, how):
    with store.connect():
        pass
    run = Run.open("nightly")
    run.write("plan.json", {"plan_id": "p", "exports": []})
    if how == "is over":
        run.finish(3)
    before = state(run.folder)
    for given in ({}, {"HOMEROOM_RUN": run.run_id}, {"HOMEROOM_EXIT_CODE": "0"}):
        said = typed(*verb, **given)
        assert "Traceback" not in said.stderr
        # whoever tells again says so in the night's list of what was told
        assert {
            name: content for name, content in state(run.folder).items() if name != "alerts.json"
        } == before


def test_a_verb_has_a_run_of_its_own_and_leaves_a_killed_night_to_the_next_one():
    killed = Run.open("nightly")
    mine = Run.current("plan")
    assert mine.run_id != killed.run_id and not killed.facts()["finished_at"]
    assert Run.current("push").run_id == mine.run_id
    with pytest.raises(NightsRunError):
        killed.mine()
    time.sleep(1.1)  # runs of one second are in no order
    tonight = Run.open("nightly")
    assert Run.load(killed.run_id).facts()["status"] == "abandoned"
    assert Run.load(mine.run_id).facts()["status"] == "abandoned"
    assert Run.latest_night() == tonight


def test_a_verb_waits_for_the_night_when_that_ends_in_time():
    over = threading.Event()

    def live() -> None:
        with nights.lock():
            over.wait(60)

    thread = threading.Thread(target=live)
    thread.start()
    while not turns.under_way():
        time.sleep(0.01)
    threading.Timer(1, over.set).start()
    ended = typed("operations", "alone", "true", wait=60)
    thread.join()
    assert ended.returncode == 0, ended.stderr


def test_a_night_waits_for_a_verb_and_not_for_another_night(monkeypatch):
    begun = threading.Event()

    def work() -> None:
        with turns.taken("build"):
            begun.set()
            time.sleep(1.5)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(60)
    with nights.lock():
        assert not thread.is_alive()
        with pytest.raises(nights.NightRunningError, match="a night is under way"), nights.lock():
            pass
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.1)
    with (
        turns.taken("build"),
        pytest.raises(nights.NightRunningError, match="make build is under way"),
        nights.lock(),
    ):
        pass


def test_a_step_of_a_night_proves_its_turn_by_the_lock_it_inherits_and_nobody_else_can(var):
    code = "from common import turns; import sys; sys.exit(0 if turns.of_a_night() else 1)"

    def is_one(**more) -> bool:
        command = [sys.executable, "-c", code]
        return subprocess.run(command, cwd=ROOT, check=False, **more).returncode == 0

    assert not turns.of_a_night()
    with nights.lock() as held:
        assert turns.of_a_night()
        assert is_one(pass_fds=(held,))
        assert not is_one(), "the word alone, without the lock"
        with (var / "night.lock").open() as mine:
            given = os.environ | {turns.INHERITED: str(mine.fileno())}
            assert not is_one(pass_fds=(mine.fileno(),), env=given), "a file of one's own"
    for word in ("", "x", "0", "99999"):
        os.environ[turns.INHERITED] = word
        assert not turns.of_a_night()
    del os.environ[turns.INHERITED]


def test_what_a_verb_found_opens_no_incident_beats_no_heart_and_is_no_page_of_the_latest_night():
    last, summary = night(0)
    page.write(last, summary)
    metrics.write(summary)
    before = (paths.pages() / "latest.html").read_bytes(), paths.metrics().read_bytes()
    mine, _ = night(1, exit_code=1, verb="build", found=(finding("critical"),))
    code = report.report(mine, 1, Console(quiet=True))
    alerts.send(mine, report.summarise(mine))
    assert code == 0 and alerts.open_incidents() == []
    assert before == ((paths.pages() / "latest.html").read_bytes(), paths.metrics().read_bytes())
    assert findings.read(last) == []


@pytest.mark.parametrize("verb", ["ingest", "plan", *BY_NIGHT])
def test_where_no_target_was_read_back_nothing_says_that_all_is_equal(verb, capsys):
    run = Run.open(verb)
    with run.step("ingest"):
        pass
    report.report(run, 0)
    said = capsys.readouterr().out + page.page_of(run).read_text(encoding="utf-8")
    assert "no target was read back" in said
    assert "equals its export" not in said
    assert ("Night of" in said.splitlines()[1]) is (verb in BY_NIGHT)


def test_who_only_reads_is_given_the_published_copy_while_a_night_is_under_way(var):
    with store.connect() as connection:
        connection.execute("create schema core; create table core.x as select 1 as x")
    night(0)
    report.publish()
    code = (
        'from common import store\nwith store.to_read() as it:\n    print(it.execute("select'
        " count(*) from duckdb_databases() where path like '%published%'\").fetchone()[0])"
    )
    command = [sys.executable, "-c", code]
    with nights.lock():
        os.environ.pop(turns.INHERITED)
        said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert said.stdout == "1\n"


def test_two_backups_at_once_are_made_one_after_the_other(var):
    with store.connect():
        pass
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "operations", "backup"], cwd=ROOT, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for one in started:
        _, said = one.communicate(timeout=120)
        assert one.returncode == 0 or b"one backup a second is enough" in said, said
    for made in backup.backups():
        with backup._proven(made):
            assert json.loads((made / backup.MANIFEST).read_text())["files"]
    assert not list((var / "backups").glob(".*.part"))
