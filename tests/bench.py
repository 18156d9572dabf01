"""Bench: how long a night takes, beside named baselines measured in the same run.

Out: a table of seconds per step for each size of district (first night, second night), rows per second landed beside
bare DuckDB `read_csv` of the same files, API write calls per changed record, and the peak memory of any step.

Alone: `make bench`, or `python -m tests.bench 5000 20000`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from common import paths

STEPS = ("ingest", "observe", "build", "plan", "push", "verify")


def nights_of(students: int, folder: Path) -> list[dict[str, Any]]:
    """Run the demo's two nights and return their summaries, first night first."""
    environment = os.environ | {"HOMEROOM_VAR": str(folder)}
    command = [sys.executable, "-m", "demo", "run", "--students", str(students), "--seed", "1"]
    started = time.monotonic()
    ended = subprocess.run(command, cwd=paths.root(), env=environment, check=False, capture_output=True, text=True)
    if ended.returncode not in (0, 2, 3):
        raise SystemExit(f"the demo of {students:,} students ended with {ended.returncode}:\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}")
    print(f"{students:,} students: {time.monotonic() - started:.0f} s for two nights and the platforms", file=sys.stderr)
    runs = sorted(path for path in (folder / "runs").iterdir() if path.is_dir() and not path.is_symlink())
    return [json.loads((run / "summary.json").read_text(encoding="utf-8")) for run in runs]


def bare_read(folder: Path) -> tuple[int, float]:
    """Rows and seconds of `read_csv` over the same extract files into a DuckDB table, with nothing checked or kept.

    DuckDB reads no CP1252, so those files are put into UTF-8 first, outside the measured time.
    """
    with tempfile.TemporaryDirectory() as scratch:
        files = []
        for path in sorted((folder / "demo" / "extracts").iterdir()):
            content = path.read_bytes()
            try:
                text = content.decode("utf-8-sig")
            except UnicodeDecodeError:
                text = content.decode("cp1252")
            files.append(Path(scratch) / path.name)
            files[-1].write_bytes(text.encode())
        rows, started = 0, time.monotonic()
        with duckdb.connect(str(Path(scratch) / "bare.duckdb")) as connection:
            for number, path in enumerate(files):
                read = "read_csv(?, header=false, all_varchar=true, quote='\"', escape='\"')"
                connection.execute(f"create table feed_{number} as select * from {read}", [str(path)])
                rows += connection.execute(f"select count(*) from feed_{number}").fetchone()[0]
        return rows, time.monotonic() - started


def main(sizes: list[int]) -> None:
    """Measure each size and print the tables."""
    console = Console(width=120)
    steps, rates = Table(title="Seconds per step"), Table(title="Rates")
    for heading in ("students", "night", *STEPS, "sum", "peak MB"):
        steps.add_column(heading, justify="right")
    for heading in ("students", "rows landed", "rows/s, ingest step", "rows/s, bare read_csv", "ratio", "night 2: changes", "write calls", "calls per change"):
        rates.add_column(heading, justify="right")
    for students in sizes:
        with tempfile.TemporaryDirectory(prefix="homeroom-bench-") as scratch:
            folder = Path(scratch) / "var"
            summaries = nights_of(students, folder)
            for number, summary in enumerate(summaries, 1):
                seconds = {step["name"]: step["seconds"] for step in summary["steps"]}
                peak = max(step["peak_megabytes"] or 0 for step in summary["steps"])
                steps.add_row(f"{students:,}", str(number), *(f"{seconds.get(name, 0):.1f}" for name in STEPS),
                              f"{sum(seconds.values()):.0f}", f"{peak:,}")  # fmt: skip
            landed = sum(feed["landed"] or 0 for feed in summaries[0]["feeds"])
            ingest = next(step["seconds"] for step in summaries[0]["steps"] if step["name"] == "ingest")
            rows, bare = bare_read(folder)
            api = [row for row in summaries[1]["targets"] if row["target"] in ("google", "microsoft")]
            changes = sum(sum(row["planned"].values()) - row["held"] for row in api)
            calls = sum(summaries[1]["calls"][target]["write_calls"] for target in ("google", "microsoft"))
            rates.add_row(f"{students:,}", f"{landed:,}", f"{landed / ingest:,.0f}", f"{rows / bare:,.0f}", f"{(ingest / landed) / (bare / rows):.1f}x slower",
                          f"{changes:,}", f"{calls:,}", f"{calls / max(changes, 1):.2f}")  # fmt: skip
    console.print(steps)
    console.print(rates)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or [5000, 20000])
