"""Bench: how long a night takes, beside named baselines measured in the same run.

Out: a table of seconds per step for each size of district (first night, second night, a night
without any change), rows per second landed beside bare DuckDB `read_csv` of the same files, API
write calls per changed record, the share of a full ingestion that a night without any change costs,
the seconds of processor of that whole night, and the peak memory of any step. `landing` writes one
big extract and compares landing it, and the whole of ingestion (fetch, hash, gate, archive, land),
with `read_csv` into a table, each in a process of its own. `names` gives so many new people account
names in one build. `quiet` lives the same quiet night by this code and by that of a revision, in
turn, and prints what each costs the processor, their ratio, and which exports differ.

Alone: `make bench`, `python -m tests.bench 5000 20000`, `python -m tests.bench landing 5000000`,
`python -m tests.bench names 600000`, or `python -m tests.bench quiet 5000 <revision>`.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from common import paths
from ingestion import layout
from tests import bench_engine

STEPS = ("ingest", "observe", "build", "plan", "push", "verify")


def lived(folder: Path, *words: str, root: Path | None = None) -> float:
    """One verb of the demo by the code at `root`; the seconds of processor it took, its platforms
    included.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(
        [sys.executable, "-m", "demo", *words],
        cwd=root or paths.root(),
        env=os.environ | {"HOMEROOM_VAR": str(folder)},
        check=False,
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.returncode not in (0, 2, 3):
        raise SystemExit(
            f"demo {' '.join(words)} ended with"
            f" {ended.returncode}:\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"
        )
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def nights_of(students: int, folder: Path) -> tuple[list[dict[str, Any]], float]:
    """Run the demo's two nights, and a third on the extracts of the second; return their summaries,
    first night first, and the seconds of processor of the third, its platforms included.
    """
    started = time.monotonic()
    lived(folder, "run", "--students", str(students), "--seed", "1")
    quiet = lived(folder, "again")
    print(
        f"{students:,} students: {time.monotonic() - started:.0f} s for three nights and the"
        " platforms",
        file=sys.stderr,
    )
    runs = sorted(
        path for path in (folder / "runs").iterdir() if path.is_dir() and not path.is_symlink()
    )
    summaries = [json.loads((run / "summary.json").read_text(encoding="utf-8")) for run in runs]
    return summaries, quiet


def exports_of(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Of every export its columns, how many rows it has and a hash over them, whatever their
    order.
    """
    with duckdb.connect(
        str(folder / "published" / "warehouse.duckdb"), read_only=True
    ) as connection:
        run = connection.execute
        tables = run("select table_name from duckdb_tables() where schema_name = 'exports'")
        found = {}
        for (table,) in tables.fetchall():
            columns = run(f'select * from exports."{table}" limit 0').description
            names = ", ".join(f'"{name}"' for name, *_ in columns)
            rows = run(f'select count(*), sum(hash(hash({names}))) from exports."{table}"')
            found[table] = (names, *rows.fetchone())
    return found


def quiet_nights(students: int, revision: str, console: Console, turns: int = 3) -> None:
    """The quiet night of this code beside that of a revision, in turn."""
    table = Table(title=f"A quiet night at {students:,} students, seconds of processor")
    for heading in ("turn", revision, "now", "ratio"):
        table.add_column(heading, justify="right")
    with tempfile.TemporaryDirectory(prefix="homeroom-bench-") as scratch:
        then = Path(scratch) / "then"
        git = ["git", "-C", str(paths.root()), "worktree"]
        subprocess.run([*git, "add", "-q", "--detach", str(then), revision], check=True)
        try:
            sides = {
                revision: (Path(scratch) / "var_then", then),
                "now": (Path(scratch) / "var_now", paths.root()),
            }
            for folder, root in sides.values():
                lived(folder, "run", "--students", str(students), "--seed", "1", root=root)
                lived(folder, "again", root=root)  # what read the night before reads this one
            for turn in range(turns):
                took = [lived(folder, "again", root=root) for folder, root in sides.values()]
                table.add_row(
                    str(turn + 1), *(f"{one:.0f}" for one in took), f"{took[1] / took[0]:.2f}"
                )
            before, now = (exports_of(folder) for folder, _ in sides.values())
        finally:
            subprocess.run([*git, "remove", "--force", str(then)], check=True)
    console.print(table)
    common = before.keys() & now.keys()
    differ = sorted(name for name in common if before[name] != now[name])
    console.print(
        f"{len(common) - len(differ)} exports equal by row hash"
        + (f", {len(differ)} differ: {', '.join(differ)}" if differ else "")
    )


def bare_read(folder: Path) -> tuple[int, float]:
    """Rows and seconds of `read_csv` over the same extract files into a DuckDB table, with nothing
    checked or kept.

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
                connection.execute(
                    f"create table feed_{number} as select * from {read}", [str(path)]
                )
                rows += connection.execute(f"select count(*) from feed_{number}").fetchone()[0]
        return rows, time.monotonic() - started


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds by the clock, seconds of processor, most memory in megabytes;
    seconds of landing by its own log.
    """

    wall: float
    processor: float
    megabytes: int
    landing: float = 0.0


def cost_of(*words: str, **environment: str) -> Cost:
    """Run `python <words>` to its end."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=paths.root(),
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        log.seek(0)
        landed = re.search(r" source_landed .*seconds=([0-9.]+)", log.read())
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(
            f"python {' '.join(words[:3])} ended with {os.waitstatus_to_exitcode(status)}"
        )
    return Cost(
        wall,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss // 1024,
        float(landed[1]) if landed else 0.0,
    )


def big_extract(rows: int, path: Path) -> None:
    """A student schedule of so many lines, as MyEducation BC writes it: eight classes per student,
    60 schools, all quoted.
    """
    headings = next(
        feed for feed in layout.load("myedbc").feeds if feed.name == "student_schedule"
    ).columns
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(column.heading for column in headings) + "\r\n")
        for at in range(rows):
            student, course = at // 8, at * 7 % 400
            school = 7400001 + student % 60
            values = (
                "2026",
                school,
                1000000 + student,
                "",
                f"{student % 12 + 1:02}",
                f"{student % 30:03}",
                school,
                f"M{course:04}",
                f"M{course:04}",
                f"Course {course}",
                f"C {course}",
                at % 8 + 1,
                "1",
                "1",
                at % 9,
                f"T{school}M{course:04}{at % 9}",
                20000 + at % 3000,
                f"Zoë, {at % 3000}",
                "Y",
                "Active",
            )
            file.write(",".join(f'"{value}"' for value in values) + "\r\n")


def landing(rows: int, console: Console) -> None:
    """One big file: the whole of ingestion beside a bare read, then the night in which it did not
    change; twice, the better counts.
    """
    table = Table(title=f"Landing {rows:,} rows of 20 columns")
    for heading in ("", "wall s", "processor s", "peak MB"):
        table.add_column(heading, justify="right")
    with tempfile.TemporaryDirectory(prefix="homeroom-bench-") as scratch:
        folder = Path(scratch) / "drop"
        folder.mkdir()
        file = folder / "StudentSchedule.csv"
        big_extract(rows, file)
        costs: dict[str, list[Cost]] = {
            "bare read_csv": [],
            "first night": [],
            "unchanged night": [],
        }
        for attempt in range(2):
            read = (
                f"create table t as select * from read_csv('{file}', header = true, all_varchar ="
                " true)"
            )
            bare = (
                f"import duckdb; duckdb.connect('{scratch}/bare{attempt}.duckdb').execute({read!r})"
            )
            costs["bare read_csv"].append(cost_of("-c", bare))
            settings = {
                "HOMEROOM_VAR": f"{scratch}/var{attempt}",
                "SOURCES__MYEDBC__LOCATION": str(folder),
                "SOURCES__MYEDBC__FEEDS": '["student_schedule"]',
            }
            for name in ("first night", "unchanged night"):
                costs[name].append(cost_of("-m", "ingestion", "--source", "myedbc", **settings))
    best = {
        name: Cost(
            min(one.wall for one in some),
            min(one.processor for one in some),
            max(one.megabytes for one in some),
            min(one.landing for one in some),
        )
        for name, some in costs.items()
    }
    for name, one in best.items():
        table.add_row(name, f"{one.wall:.1f}", f"{one.processor:.1f}", f"{one.megabytes:,}")
    bare_one, first, again = best.values()
    table.add_row("landing, in the first night", f"{first.landing:.1f}", "", "")
    table.add_row("landing : bare", f"{first.landing / bare_one.wall:.1f}x", "", "")
    table.add_row(
        "first night : bare",
        f"{first.wall / bare_one.wall:.1f}x",
        f"{first.processor / bare_one.processor:.1f}x",
        "",
    )
    table.add_row(
        "unchanged : first night",
        f"{again.wall / first.wall:.0%}",
        f"{again.processor / first.processor:.0%}",
        "",
    )
    console.print(table)


def minting(target: Path, people: int) -> tuple[int, Cost]:
    """Names given and what it took, by the models as dbt compiled them into `target`, on 2 threads
    and 4 GB at most.
    """
    sys.path.insert(0, str(paths.root() / "tests" / "python"))
    from mint import Mint

    mint = Mint(target, [{}, {"population": "staff", "pattern": "{f}{last}"}])
    run = mint.connection.execute
    run("set threads = 2; set memory_limit = '4GB'")
    # some 150,000 different names, a third of the people under the two hundred commonest; accents,
    # apostrophes, hyphens
    run(
        f"""
        insert into warehouse.identity.person_records
        select 'p' || left(sha256(n::text), 15), case when n % 9 = 0 then 'staff' else 'student'
        end, n::text, (n % 40)::text, first, last, first, last,
               date '2026-09-08'
        from (
            select n, 'Élo' || chr((97 + k % 26)::integer) || chr((97 + k // 26 % 26)::integer) ||
            case when k % 7 = 0 then '-Zoë' else '' end as first,
                   'O’' || chr((97 + k % 25)::integer) || 'ḵł' || chr((97 + k // 200 % 26)::integer)
                   || chr((97 + k // 5200 % 26)::integer) as last
            from (select n, case when n % 3 = 0 then hash(n) % 200 else hash(n) % 150000
            end::bigint as k from range({people}) as r(n)))"""
    )
    run(
        "insert into warehouse.identity.lifecycle select person_id, true, 'enrolled' from"
        " warehouse.identity.person_records"
    )
    started, processor = time.monotonic(), time.process_time()
    given = mint.night()
    cost = Cost(
        time.monotonic() - started,
        time.process_time() - processor,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )
    mint.close()
    return given, cost


def names(people: int, console: Console) -> None:
    """The naming models of a small demo's build, over a crowd of new people."""
    with tempfile.TemporaryDirectory(prefix="homeroom-bench-") as scratch:
        nights_of(60, Path(scratch) / "var")
        given, cost = minting(Path(scratch) / "var" / "target", people)
    console.print(
        f"{given:,} new people given account names in one build: {cost.wall:.0f} s"
        f" ({cost.processor:.0f} s of processor), {cost.megabytes:,} MB at most"
    )


def main(sizes: list[int]) -> None:
    """Measure each size and print the tables."""
    console = Console(width=120)
    steps, rates = Table(title="Seconds per step"), Table(title="Rates")
    for heading in ("students", "night", *STEPS, "sum", "peak MB"):
        steps.add_column(heading, justify="right")
    for heading in (
        "students",
        "rows landed",
        "rows/s, ingest step",
        "rows/s, bare read_csv",
        "ratio",
        "ingest, unchanged",
        "night 2: changes",
        "write calls",
        "calls per change",
        "quiet night, processor s",
    ):
        rates.add_column(heading, justify="right")
    for students in sizes:
        with tempfile.TemporaryDirectory(prefix="homeroom-bench-") as scratch:
            folder = Path(scratch) / "var"
            summaries, quiet = nights_of(students, folder)
            for number, summary in enumerate(summaries, 1):
                seconds = {step["name"]: step["seconds"] for step in summary["steps"]}
                peak = max(step["peak_megabytes"] or 0 for step in summary["steps"])
                steps.add_row(
                    f"{students:,}",
                    str(number),
                    *(f"{seconds.get(name, 0):.1f}" for name in STEPS),
                    f"{sum(seconds.values()):.0f}",
                    f"{peak:,}",
                )
            landed = sum(feed["landed"] or 0 for feed in summaries[0]["feeds"])
            ingest, _, unchanged = (
                next(step["seconds"] for step in summary["steps"] if step["name"] == "ingest")
                for summary in summaries
            )
            rows, bare = bare_read(folder)
            api = [
                row for row in summaries[1]["targets"] if row["target"] in ("google", "microsoft")
            ]
            changes = sum(sum(row["planned"].values()) - row["held"] for row in api)
            calls = sum(
                summaries[1]["calls"][target]["write_calls"] for target in ("google", "microsoft")
            )
            rates.add_row(
                f"{students:,}",
                f"{landed:,}",
                f"{landed / ingest:,.0f}",
                f"{rows / bare:,.0f}",
                f"{(ingest / landed) / (bare / rows):.1f}x slower",
                f"{unchanged / ingest:.0%}",
                f"{changes:,}",
                f"{calls:,}",
                f"{calls / max(changes, 1):.2f}",
                f"{quiet:.0f}",
            )
    console.print(steps)
    console.print(rates)


if __name__ == "__main__":
    if sys.argv[1:2] == ["landing"]:
        landing(int(sys.argv[2]), Console(width=120))
    elif sys.argv[1:2] == ["names"]:
        names(int(sys.argv[2]), Console(width=120))
    elif sys.argv[1:2] == ["quiet"]:
        quiet_nights(int(sys.argv[2]), sys.argv[3], Console(width=120))
    elif sys.argv[1:2] == ["engine"]:
        bench_engine.main(*(int(argument) for argument in sys.argv[2:]))
    else:
        main([int(argument) for argument in sys.argv[1:]] or [5000, 20000])
        if not sys.argv[1:]:
            bench_engine.main()
