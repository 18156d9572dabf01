"""Mutants: faults put in one at a time, and the tests that notice them.

    python -m tests.mutants                              everything, a table per folder, survivors
                                                         by file and line
    python -m tests.mutants models/identity macros       files or folders
    python -m tests.mutants --changed                    what differs from main's last commit, or is
                                                         not committed
    python -m tests.mutants models/core/students.sql:40-60

SQL is judged by dbt's own unit tests, macros and data tests also by the Python tests that ask them,
seeds and YAML by the table of what ships, Python by the tests that run its lines (found by one run
of the room's tests, which takes minutes). Nothing in the checkout is touched. Survivors that no
test could notice stand with their reason in tests/mutants/equivalent.csv. Exit code 1 when one
survives that does not.
"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer

from tests.mutants import judging, python, shipped, sql
from tests.mutants.kinds import Mutant, Result

ROOT = Path(__file__).resolve().parents[2]
app = typer.Typer(
    help=__doc__, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)
ROOMS = ("common", "ingestion", "reverse_etl", "operations")
FOLDERS = ("models", "macros", "seeds", "tests/dbt", *ROOMS)
# tests in Python that ask macros and data tests themselves
ASKED = {
    "macros": (
        "test_macros",
        "test_identity_macros",
        "test_letter_map",
        "test_data_tests",
        "test_materializations",
    ),
    "tests/dbt": ("test_data_tests",),
}
MADE = {
    ".sql": sql.mutants,
    ".csv": shipped.mutants,
    ".yml": shipped.mutants,
    ".py": lambda file, _: python.mutants(ROOT / file),
}


@app.command()
def main(
    where: Annotated[
        list[str] | None, typer.Argument(help="Files, folders, or file:first-last.")
    ] = None,
    *,
    changed: Annotated[
        bool, typer.Option(help="Only files that differ from the last commit of main.")
    ] = False,
    warehouse: Annotated[
        Path | None,
        typer.Option(
            help="A state folder whose warehouse has the tables; made empty when left out."
        ),
    ] = None,
    every: Annotated[int, typer.Option(help="Judge every Nth mutant only.")] = 1,
) -> None:
    """Put faults in, one at a time, and say which of them the tests do not notice."""
    chosen = list(_chosen(_changed() if changed else where or FOLDERS))[::every]
    if not chosen:
        print("mutants: none there")
        return
    results, broken = _of_sql([one for one in chosen if one.file.endswith(".sql")], warehouse)
    if rows := [one for one in chosen if one.file.endswith((".csv", ".yml"))]:
        results += shipped.judge(rows, ROOT)
    for room in ROOMS:
        results += _of_python(
            room,
            [one for one in chosen if one.file.endswith(".py") and one.file.startswith(f"{room}/")],
        )
    for sentence in broken:
        print(f"fails without any fault: {sentence}")
    raise typer.Exit(_report(results) or (1 if broken else 0))


def _chosen(where: Iterable[str]) -> Iterable[Mutant]:
    for name in where:
        file, _, lines = name.partition(":")
        first, _, last = lines.partition("-")
        path = ROOT / file
        for found in sorted(path.rglob("*")) if path.is_dir() else [path]:
            for one in MADE.get(found.suffix, _none)(
                str(found.relative_to(ROOT)),
                found.read_text(encoding="utf-8") if found.is_file() else "",
            ):
                if not lines or int(first) <= one.line <= int(last or first):
                    yield one


def _none(*_: str) -> list[Mutant]:
    return []


def _changed() -> list[str]:
    asked = [
        ["git", "diff", "--name-only", "--diff-filter=d", "main"],
        ["git", "ls-files", "--others", "--exclude-standard"],
    ]
    names = {
        name
        for words in asked
        for name in subprocess.run(
            words, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
    }
    return sorted(name for name in names if name.startswith(FOLDERS))


def _of_sql(chosen: list[Mutant], warehouse: Path | None) -> tuple[list[Result], list[str]]:
    if not chosen:
        return [], []
    var = warehouse or sql.empty_warehouse(ROOT)
    with sql.session(ROOT, var) as call:
        found, broken = call(
            lambda bench: (
                list(bench.judge(one for one in chosen if not one.file.startswith("tests/"))),
                bench.broken,
            )
        )
    for folder, files in ASKED.items():
        left = [
            result.mutant
            for result in found
            if result.verdict == "survived" and result.mutant.file.startswith(folder)
        ]
        left += [one for one in chosen if folder == "tests/dbt" and one.file.startswith(folder)]
        again = (
            {
                result.mutant: result
                for result in judging.judge_texts(
                    left, [f"tests/python/{file}.py" for file in files]
                )
            }
            if left
            else {}
        )
        found = [again.pop(result.mutant, result) for result in found] + list(again.values())
    return found, broken


def _of_python(room: str, chosen: list[Mutant]) -> list[Result]:
    """Two processes, each begun anew: what one has imported must not be what another's
    tests meet.
    """
    if not chosen:
        return []
    tests = [*python.tests_of(f"{room}/"), "tests/python/test_shipped.py"]
    print(
        f"{room}: {len(tests)} files of tests are run once, to see which of their tests run which"
        " lines",
        file=sys.stderr,
        flush=True,
    )
    with ProcessPoolExecutor(
        2, mp_context=get_context("spawn"), max_tasks_per_child=1
    ) as processes:
        known = processes.submit(judging.known, tests).result()
        halves = [
            processes.submit(judging.judge, chosen[start::2], tests, known) for start in (0, 1)
        ]
        return sorted(
            (result for half in halves for result in half.result()),
            key=lambda result: result.mutant,
        )


def _equivalent() -> dict[str, str]:
    """What no test could notice, and why: by file, line as it stands, and what was done to it."""
    with (ROOT / "tests" / "mutants" / "equivalent.csv").open(encoding="utf-8", newline="") as file:
        return {row["mutant"]: row["reason"] for row in csv.DictReader(file)}


def named(one: Mutant) -> str:
    """A mutant's name that stays when lines above it come and go: with its line as it stands, and
    the part of the model it is in.
    """
    lines = (ROOT / one.file).read_text(encoding="utf-8").splitlines()
    part = next(
        (
            found[1]
            for line in reversed(lines[: one.line])
            if (found := re.match(r"(?:with )?(\w+) as \(|\s*def (\w+)", line))
        ),
        "",
    )
    return (
        re.sub(r":\d+: ", f" ({part}): " if part else ": ", str(one), count=1)
        + f" | {lines[one.line - 1].strip()}"
    )


def _report(results: list[Result]) -> int:
    known = _equivalent()
    table: dict[str, Counter[str]] = {}
    for result in results:
        verdict = (
            "equivalent"
            if result.verdict == "survived" and named(result.mutant) in known
            else result.verdict
        )
        table.setdefault(str(Path(result.mutant.file).parent), Counter())[verdict] += 1
        if verdict == "survived":
            print(f"survived  {result.mutant}")
    print(
        f"\n{'folder':32} {'mutants':>8} {'killed':>7} {'survived':>9} {'equivalent':>11} {'no program':>11} {'score':>7}"  # noqa: E501
    )
    for folder, counts in sorted(
        {**table, "all": sum(table.values(), Counter())}.items(),
        key=lambda row: (row[0] == "all", row[0]),
    ):
        counted = counts["killed"] + counts["survived"]
        score = f"{100 * counts['killed'] / counted:.1f} %" if counted else "-"
        print(
            f"{folder:32} {sum(counts.values()):8} {counts['killed']:7} {counts['survived']:9} {counts['equivalent']:11} {counts['broken']:11} {score:>7}"  # noqa: E501
        )
    return 1 if any(counts["survived"] for counts in table.values()) else 0


if __name__ == "__main__":
    sys.exit(app())
