"""Known vulnerabilities of the locked packages: what was not answered for is never called clean."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT

from scripts import audit_deps


def package(name: str, *advisories: str, **more: Any) -> dict[str, Any]:
    vulns = [{"id": one, "fix_versions": ["2.0"]} for one in advisories]
    return {"name": name, "version": "1.0", "vulns": vulns} | more


SKIPPED = {"name": "duckdb", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("packages", "code", "says"),
    [
        ([package("a"), package("b")], 0, "none of 2 locked packages has a known vulnerability"),
        ([package("a"), package("b", "PYSEC-1")], 1, "b 1.0: PYSEC-1; mended in 2.0"),
        ([package("a"), SKIPPED], 3, "answered for 1 of 2 packages (duckdb without an answer)"),
        ([package("a", "PYSEC-1"), SKIPPED], 1, "a 1.0: PYSEC-1"),
        ([SKIPPED], 3, "answered for 0 of 1 packages"),
        ([], 3, "none was asked"),
    ],
)
def test_only_a_whole_answer_without_a_vulnerability_is_good_news(
    packages: list[dict[str, Any]], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit_deps.told({"dependencies": packages}) == code
    printed = capsys.readouterr()
    assert says in printed.out + printed.err


@pytest.mark.parametrize(
    "trouble",
    [
        OSError("no network"),
        subprocess.CalledProcessError(1, "pip"),
        subprocess.TimeoutExpired("pip", 600),
    ],
)
def test_where_the_tool_cannot_be_had_it_is_one_sentence_and_no_success(
    trouble: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(folder: Path) -> Path:
        raise trouble

    monkeypatch.setattr(audit_deps, "_tool", none)
    assert audit_deps.main() == 3
    said = capsys.readouterr().err
    assert "could not be asked" in said and "this says nothing about the locked versions" in said


def test_a_tool_that_dies_without_an_answer_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "pip-audit"
    program.write_text("#!/bin/sh\necho 'ConnectionError' >&2; exit 1\n", encoding="utf-8")
    program.chmod(0o700)
    monkeypatch.setattr(audit_deps, "_tool", lambda folder: program)
    assert audit_deps.main() == 3


def test_both_lock_files_are_asked_about_as_they_are_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "pip-audit"
    program.write_text(
        f'#!/bin/sh\necho "$*" > {tmp_path}/words; echo \'{{"dependencies": []}}\'\n',
        encoding="utf-8",
    )
    program.chmod(0o700)
    assert audit_deps.asked(program) == {"dependencies": []}
    words = (tmp_path / "words").read_text(encoding="utf-8").split()
    assert "--require-hashes" in words and "--disable-pip" in words
    assert {Path(word).name for word in words if word.endswith(".txt")} == set(audit_deps.LOCKS)


def test_it_is_asked_every_week() -> None:
    jobs = (ROOT / ".github" / "workflows" / "audit.yml").read_text(encoding="utf-8")
    weekly = yaml.safe_load(jobs)
    ((when,),) = [[one["cron"] for one in weekly[True]["schedule"]]]  # YAML's "on"
    assert when.split()[2:4] == ["*", "*"] and when.split()[4].isdecimal()
    (job,) = weekly["jobs"].values()
    assert job["steps"][-1] == {"run": "make audit-deps"}
