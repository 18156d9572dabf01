"""A night that is disturbed ends as one that was not: whichever step is killed, and whatever
somebody types meanwhile.

The next school day of a district that lived two nights is lived once in peace. Then, again and
again from that same eve: a step is killed, the night and its step are killed, or a verb is typed at
a random moment. The short form of the verbs is test_turns, that of the kills test_kill and
test_care.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import District
from test_kill import assert_no_duplicates, platform_state

from common.runs import Run
from demo.district import date_of
from demo.platforms import Platforms, running
from operations import night as nights

pytestmark = pytest.mark.long

TIMES = 50
STEPS = [name for name, _, _ in nights.STEPS]
READS = (("operations", "status"), ("operations", "health"), ("operations", "audit", "1"))
# As make types them. Whoever only reads is answered; who writes waits, refuses, or does its own.
TYPED: tuple[tuple[str, ...], ...] = (
    ("operations", "build"),
    ("ingestion",),
    ("operations", "report"),
    ("operations", "backup"),
    ("reverse_etl", "plan"),
    *READS,
    ("reverse_etl", "verify"),
    ("operations", "pause", "--until", "2099-01-01", "--why", "a test"),
    ("operations", "resume"),
    ("reverse_etl", "release", "--why", "a test", "--only", "nobody"),
    ("reverse_etl", "push"),
    ("reverse_etl", "observe"),
    ("reverse_etl", "show"),
    ("operations", "alert"),
    ("operations", "retention", "--really"),
    ("operations", "compact"),
    ("operations", "check"),
    ("operations", "explain", "1000001"),
    ("operations", "alone", "true"),
    ("operations", "restore", "nothing"),
    ("reverse_etl", "undo", "--", "nothing"),
)
WRITE_DAY = "from demo.nights import District; District.there().tomorrow().write()"


@pytest.fixture(scope="module")
def eve(two_nights: District, tmp_path_factory: pytest.TempPathFactory) -> District:
    """The files of the next school day have come, and its night has not begun."""
    district = two_nights.copy(tmp_path_factory.mktemp("eve") / "var")
    command = [sys.executable, "-c", WRITE_DAY]
    subprocess.run(command, cwd=district.root, env=district.environment(), check=True)
    return district


def start(district: District, platforms: Platforms, *command: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=district.root,
        env=district.environment(
            **platforms.environment | {"NIGHT__RETRY_AFTER_MINUTES": "false"},
            HOMEROOM_AS_OF=date_of(2).isoformat(),
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def night(district: District, platforms: Platforms) -> int:
    lived = start(district, platforms, "operations", "nightly")
    said, _ = lived.communicate(timeout=1800)
    assert "Traceback (most recent call last)" not in said, said[-3000:]
    return lived.returncode


def ended(district: District) -> dict[str, Any]:
    """What a day comes to: what the platforms and vendors hold, and what the exports say."""
    exports = [
        name
        for (name,) in district.ask(
            "select table_name from duckdb_tables() where schema_name = 'exports' order by 1"
        )
    ]
    return platform_state(district) | {
        name: sorted(map(repr, district.ask(f'select * from exports."{name}"'))) for name in exports
    }


def told(district: District, run: dict[str, Any]) -> dict[str, Any]:
    """What a night says of itself, but for its times."""
    found = (district.var / "runs" / run["run_id"] / "findings.jsonl").read_text(encoding="utf-8")
    return {
        "exit code": run["exit_code"],
        "steps": [(step["name"], step["status"]) for step in run["steps"]],
        "codes": sorted(json.loads(line)["code"] for line in found.splitlines()),
        "targets": [
            [one[name] for name in ("target", "entity", "desired", "planned", "applied", "held")]
            for one in run["targets"]
        ],
    }


def nightly(district: District) -> list[dict[str, Any]]:
    return [one for one in district.summaries() if one["verb"] == "nightly"]


@pytest.fixture(scope="module")
def peace(
    eve: District, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], dict[str, Any], float]:
    """The day as it ends when nobody disturbs it, what its night says, and how long it takes."""
    district = eve.copy(tmp_path_factory.mktemp("peace") / "var")
    with running(district.var / "demo") as platforms:
        begun = time.monotonic()
        code = night(district, platforms)
    assert code in (0, 2), code
    return ended(district), told(district, nightly(district)[-1]), time.monotonic() - begun


def at_step(district: District, name: str, lived: subprocess.Popen) -> int:
    """Wait until the night is at that step; the process that does it."""
    before = {run["run_id"] for run in nightly(district)}
    while lived.poll() is None:
        time.sleep(0.02)
        try:
            holder = json.loads((district.var / "night.lock").read_text(encoding="utf-8"))
        except ValueError:  # it is just being written
            continue
        if holder.get("step") == name and holder.get("run") not in before:
            for child in children(lived.pid):
                return child
    pytest.fail(f"the night was over before {name}")


def children(process: int) -> list[int]:
    try:
        return [
            int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()
        ]
    except OSError:
        return []


@pytest.mark.parametrize("both", [False, True], ids=["the step", "the night and its step"])
@pytest.mark.parametrize("step", STEPS)
def test_after_a_step_was_killed_the_next_night_ends_as_if_nothing_had_been(
    eve: District, peace: tuple, tmp_path: Path, step: str, both: bool
):
    chance = random.Random(f"{step} {both}")
    district = eve.copy(tmp_path / "var")
    with running(district.var / "demo") as platforms:
        lived = start(district, platforms, "operations", "nightly")
        child = at_step(district, step, lived)
        time.sleep(chance.random() * 3)
        for process in [lived.pid, child] if both else [child]:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:  # it was quicker
                continue
        said, _ = lived.communicate(timeout=1800)
        assert "Traceback (most recent call last)" not in said, said[-3000:]
        again = night(district, platforms)
    assert again == peace[1]["exit code"]
    assert_no_duplicates(district)
    assert ended(district) == peace[0]


@pytest.mark.parametrize("seed", range(TIMES))
def test_whatever_is_typed_during_a_night_it_ends_as_if_undisturbed(
    eve: District, peace: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
):
    as_ever, says, seconds = peace
    chance, verb = random.Random(seed), TYPED[seed % len(TYPED)]
    district = eve.copy(tmp_path / "var")
    with running(district.var / "demo") as platforms:
        lived = start(district, platforms, "operations", "nightly")
        time.sleep(chance.random() * seconds)
        typed = start(district, platforms, *verb)
        answer, _ = typed.communicate(timeout=1800)
        said, _ = lived.communicate(timeout=1800)
    assert "Traceback (most recent call last)" not in said + answer, (verb, said, answer)
    assert told(district, nightly(district)[-1]) == says, (verb, answer[-2000:])
    assert ended(district) == as_ever, verb
    assert typed.returncode in ((0,) if verb in READS else (0, 2, 3)), (verb, answer)
    assert typed.returncode != 2 or len(answer.split()) > 5, "a refusal is a sentence"
    monkeypatch.setenv("HOMEROOM_VAR", str(district.var))
    assert [run for run in Run.every() if not run.facts()["finished_at"] and run.is_nights] == []
