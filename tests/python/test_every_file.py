"""Every file of the state, cut to half and to nothing, turned into a folder and into random bytes,
one by one: the night after has no traceback, ends well only if it said what was wrong, and whoever
watches hears how it ended.

Some files of a small state, and nights of few steps, in `make test`; all of them, and those of a
whole district with every step, in `make month`.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ROOT, District
from inbox import Inbox, open_inbox

from common import files, findings, store
from common.runs import Run
from demo.platforms import running
from ingestion import archive
from operations import interventions
from operations import night as nights

# What is made anew by every night, and holds nothing another place does not hold: nobody need be
# told of it.
MADE_ANEW = re.compile(
    r"pages/.*|metrics\.prom|ballast|.*\.lock|target/.*|logs/.*|tmp/.*|dlt/.*|inbox/.*|demo/.*"
    r"|published/(incidents\.json|runs/.*)|runs/[^/]+/journal/[^/]+\.settled|replaced/.*|damaged/.*"
)
# What only `make replay` of that night reads, and says so.
EVIDENCE = re.compile(r"runs/[^/]+/(memory/.*|dbt/.*|exports\.(json|parquet)|observed\.json)")
SAID = {
    "document_damaged",
    "warehouse_damaged",
    "ledger_damaged",
    "ledger_gone",
    "published_damaged",
    "archive_damaged",
    "archive_healed",
    "backup_damaged",
}
pytestmark = pytest.mark.slow

SHORT: tuple[nights.Step, ...] = (
    ("ingest", ("ingestion",), ()),
    ("build", ("operations", "alone", "true"), ()),
    *(step for step in nights.STEPS if step[0] in ("backup", *nights.CLOSING)),
)
LIVE = """
from operations import night
from test_every_file import SHORT

raise SystemExit(night.nightly(steps=SHORT))
"""


def half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def nothing(path: Path) -> None:
    os.truncate(path, 0)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def random_bytes(path: Path) -> None:
    path.write_bytes(random.Random(0).randbytes(path.stat().st_size))


def every_file(var: Path) -> list[str]:
    """The files of a state, one for each kind: of an older run and of the latest."""
    kinds: dict[str, str] = {}
    runs = sorted(path.name for path in (var / "runs").glob("2*"))
    for path in sorted(path for path in var.rglob("*") if path.is_file() and not path.is_symlink()):
        name = str(path.relative_to(var))
        if not path.stat().st_size or MADE_ANEW.fullmatch(name):
            continue
        kind = re.sub(r"[0-9a-f]{64}", "SHA", re.sub(r"\d{8}T\d+Z(?!-)", "MOMENT", name))
        for run in runs:
            kind = kind.replace(run, "latest" if run == runs[-1] else "older")
        kinds[kind] = name
    return sorted(kinds.values())


def judged(var: Path, name: str, code: int, said: str, beats: list[str]) -> list[str]:
    """What is wrong with how the night after went."""
    wrong = []
    if "Traceback (most recent call last)" in said:
        wrong.append("a traceback: " + said[said.index("Traceback") :][-600:])
    run = Run.latest_night()
    assert run is not None
    codes = {one["code"] for one in findings.read(run)}
    quiet = MADE_ANEW.fullmatch(name) or EVIDENCE.fullmatch(name)
    if not (codes & SAID or quiet):
        wrong.append(f"ended with {code} and said {sorted(codes)}")
    facts = run.facts()
    if not facts["finished_at"]:
        wrong.append("its run is not closed")
    well = code != 1 and bool(facts["steps"])
    if beats != (["/alive"] if well else ["/failed"]):
        wrong.append(f"ended with {code} and the heart beat {beats}")
    return wrong


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inbox]:
    with open_inbox(tmp_path_factory.mktemp("inbox")) as opened:
        yield opened


def environment(var: Path, inbox: Inbox) -> dict[str, str]:
    return os.environ | {
        "HOMEROOM_VAR": str(var),
        "HOMEROOM_RUN": "",
        "NIGHT__RETRY_AFTER_MINUTES": "false",
        "NIGHT__FREE_MEGABYTES": "1",
        "ALERTS__HEARTBEAT__URL": f"{inbox.web}/alive",
        "ALERTS__HEARTBEAT__FAILED_URL": f"{inbox.web}/failed",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'python'}",
    }


def lived(var: Path, inbox: Inbox, command: list[str], **more: str) -> tuple[int, str, list[str]]:
    """One night: its code, what it printed, and how the heart beat."""
    inbox.requests.clear()
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment(var, inbox) | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    beats = [path for _, path, _, _ in inbox.requests if path in ("/alive", "/failed")]
    return ended.returncode, ended.stdout + ended.stderr, beats


def trial(
    monkeypatch: pytest.MonkeyPatch,
    var: Path,
    name: str,
    damage: Callable[[Path], None],
    inbox: Inbox,
    *command: str,
    **more: str,
) -> list[str]:
    """Cut a file of a state and live a night on it: what is wrong with how that went."""
    monkeypatch.setenv("HOMEROOM_VAR", str(var))
    damage(var / name)
    return judged(var, name, *lived(var, inbox, list(command), **more))


# ---------------------------------------------------------------- a small state


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, inbox: Inbox) -> Path:
    """Two nights of few steps, with something of each kind in the state."""
    var = tmp_path_factory.mktemp("small") / "var"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMEROOM_VAR", str(var))
        landing = var.parent / "landing"
        landing.mkdir()
        with store.connect() as connection:
            connection.execute("create schema core; create table core.t as select 1 as one")
        interventions.record("not_run", details="a pause")
        for _ in range(2):
            code, said, _ = lived(var, inbox, ["-c", LIVE], **nowhere(landing))
            assert code == 3, said  # no feed came
            original = landing / "gone.csv"
            original.write_text(f"key,name\n{code},Quinn\n" * 50, encoding="utf-8")
            sha256 = files.sha256(original)
            archive.store("sis", "people", original, sha256)
            with store.connect() as connection:
                connection.execute(
                    "insert into ledger.audit.source_files (run_id, source, feed, status, sha256,"
                    " bytes, read_at) values ('r', 'sis', 'people', 'loaded', ?, ?, now())",
                    [sha256, original.stat().st_size],
                )
            original.unlink()
    return var


def nowhere(landing: Path) -> dict[str, str]:
    """Settings of a district whose sources have no file."""
    return {"SOURCES__MYEDBC__LOCATION": str(landing), "HOMEROOM_AS_OF": "2026-10-05"}


# Of each reader of the state one file, in `make test`.
SOME = re.compile(
    r"archive/.*|backups/[^/]+/manifest\.json|incidents\.json|interventions\.jsonl"
    r"|ledger\.duckdb|warehouse\.duckdb|published/.*|runs/[^/]+/(run|summary)\.json"
)


def wrong_of(
    small: Path,
    inbox: Inbox,
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    every: list[tuple[str, Callable[[Path], None]]],
) -> dict[str, list[str]]:
    wrong: dict[str, list[str]] = {}
    given = nowhere(small.parent / "landing")
    for number, (name, damage) in enumerate(every):
        var = folder / str(number) / "var"
        shutil.copytree(small, var, symlinks=True)
        if found := trial(monkeypatch, var, name, damage, inbox, "-c", LIVE, **given):
            wrong[f"{name} {damage.__name__}"] = found
        shutil.rmtree(var)
    return wrong


def test_after_a_file_of_a_small_state_was_cut_a_night_says_so_and_the_heart_beats_right(
    small: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    names = [name for name in every_file(small) if SOME.fullmatch(name)]
    latest = max(name for name in names if name.startswith("runs/")).split("/")[1]
    names = [name for name in names if not name.startswith("runs/") or latest in name]
    assert len(names) == 9, names
    some = [(name, (half, nothing)[number % 2]) for number, name in enumerate(names)]
    assert wrong_of(small, inbox, monkeypatch, tmp_path, some) == {}


@pytest.mark.long
def test_after_any_file_of_a_small_state_was_cut_a_night_says_so_and_the_heart_beats_right(
    small: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    damages = (half, nothing, a_folder, random_bytes)
    every = [(name, damage) for name in every_file(small) for damage in damages]
    assert len(every) >= 72
    assert wrong_of(small, inbox, monkeypatch, tmp_path, every) == {}


# ---------------------------------------------------------------- a whole district


@pytest.mark.long
def test_after_any_file_of_a_district_was_cut_a_whole_night_says_so_and_the_heart_beats_right(
    two_nights: District, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    wrong: dict[str, list[str]] = {}
    for number, name in enumerate(every_file(two_nights.var)):
        for damage in (half, nothing):
            district = two_nights.copy(tmp_path / f"{number}{damage.__name__}" / "var")
            with running(district.var / "demo") as platforms:
                found = trial(
                    monkeypatch,
                    district.var,
                    name,
                    damage,
                    inbox,
                    *("-m", "operations", "nightly"),
                    **platforms.environment,
                    HOMEROOM_AS_OF=two_nights.summaries()[-1]["as_of"],
                )
            if found:
                wrong[f"{name} {damage.__name__}"] = found
            shutil.rmtree(district.var)
    assert wrong == {}
