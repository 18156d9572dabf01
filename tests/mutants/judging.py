"""Judging mutants of Python: which test notices each. Works in copies of the checkout; the working
tree is never touched.

A `Court` holds a copy and what one clean run of the tests has shown: which lines each test runs,
also in the processes it starts, and how long it takes. A mutant is judged by the tests that run its
lines, the quickest first, in a process forked from one that has collected them all. A test that
takes far longer than it did has noticed too.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from tests.mutants.kinds import Mutant, Result

ROOT = Path(__file__).resolve().parents[2]
ALWAYS = (
    "-q",
    "-x",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:xdist",
    "--hypothesis-seed=0",
    "-m",
    "not long",
)
SLOW = 120.0  # seconds of tests one mutant is worth; the slowest are left out beyond it
HEARD = "MUTANTS_HEARD"  # where a process writes which lines it ran
# Every process a test starts reads this: where HEARD is set it says which lines of the project it
# runs.
LISTENER = (
    "import os\nif os.environ.get('MUTANTS_HEARD'):\n    from tests.mutants import judging\n   "
    " judging.listen()\n"
)

Lines = dict[str, set[int]]


@dataclass
class Court:
    """A copy of the checkout with what a clean run has shown about its tests."""

    top: Path
    seconds: dict[str, float] = field(default_factory=dict)  # test -> how long it takes
    lines: dict[str, Lines] = field(default_factory=dict)  # test -> file -> lines it runs

    @classmethod
    def open(cls, tests: Sequence[str], **known: Any) -> Court:
        """A new copy in which these test files were run once (or what is known of that is
        believed).
        """
        court = cls(Path(tempfile.mkdtemp(prefix="mutants-")), **known)
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout.decode()
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (court.top / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, court.top / name)
        subprocess.run(["git", "init", "-q"], cwd=court.top, check=True)
        (court.top / ".venv").symlink_to((ROOT / ".venv").resolve())
        (court.top / ".mutants").mkdir()
        (court.top / ".mutants" / "sitecustomize.py").write_text(LISTENER, encoding="utf-8")
        if not court.seconds:
            court._hear(tests)
        return court

    def close(self) -> None:
        shutil.rmtree(self.top, ignore_errors=True)

    # ------------------------------------------------------------ the clean run

    def _hear(self, tests: Sequence[str]) -> None:
        folder = self.top / ".mutants" / "heard"
        folder.mkdir()
        _in_time(_forked(self.top, lambda: _heard_run(self.top, tests, folder)), 3600)
        for path in sorted(folder.glob("*.json")):
            said = json.loads(path.read_text(encoding="utf-8"))
            for test, took in said["seconds"].items():
                self.seconds[test], self.lines[test] = took, {}
        for path in sorted(folder.glob("*.lines")):
            for line in path.read_text(encoding="utf-8").splitlines():
                test, file, number = line.rsplit("\t", 2)
                if test in self.lines:
                    self.lines[test].setdefault(file, set()).add(int(number))
        if not self.seconds:
            raise RuntimeError(f"no test of {', '.join(tests)} passes without a mutant")

    def tests_of(self, mutant: Mutant, text: str) -> list[str]:
        """The tests that run what the mutant changes, quickest first."""
        first, last = _reach(text, mutant.line)
        running = [
            test
            for test, files in self.lines.items()
            if any(first <= line <= last for line in files.get(mutant.file, ()))
        ]
        running.sort(key=lambda test: self.seconds[test])
        chosen, spent = [], 0.0
        for test in running:
            spent += self.seconds[test]
            if chosen and spent > SLOW:
                break
            chosen.append(test)
        if (
            mutant.kind == "number"
        ):  # one test reads the numbers where they stand, and runs none of their lines
            chosen += [
                test
                for test in self.seconds
                if test.endswith("test_what_ships_is_what_the_table_says[numbers]")
            ]
        return chosen

    # ------------------------------------------------------------ one mutant after the other

    def judge(self, mutants: Iterable[Mutant]) -> Iterator[Result]:
        """What becomes of each; the mutants whose text is no Python are broken."""
        cases: list[_Case] = []
        for mutant in mutants:
            text = (ROOT / mutant.file).read_text(encoding="utf-8")
            try:
                compile(mutant.applied_to(text), mutant.file, "exec")
            except SyntaxError:
                yield Result(mutant, "broken")
                continue
            tests = self.tests_of(mutant, text)
            if tests:
                cases.append(
                    _Case(mutant, text, tests, 20 + 6 * sum(self.seconds[test] for test in tests))
                )
            else:
                yield Result(mutant, "survived")
        if not cases:
            return
        files = sorted({test.partition("::")[0] for case in cases for test in case.tests})
        verdicts = self.top / ".mutants" / "verdicts"
        verdicts.write_text("", encoding="utf-8")
        child = _forked(self.top, lambda: _bench_run(self.top, files, cases, verdicts))
        with verdicts.open(encoding="utf-8") as said:
            for case in cases:
                line = ""
                while not line.endswith("\n"):
                    part = said.readline()
                    if not part and os.waitpid(child, os.WNOHANG)[0]:
                        raise RuntimeError(
                            "the tests cannot be collected:\n"
                            + (self.top / ".mutants" / "out").read_text(encoding="utf-8")[-3000:]
                        )
                    line += part
                    time.sleep(0 if part else 0.02)
                yield Result(case.mutant, "killed" if line.strip() else "survived", line.strip())
        os.waitpid(child, 0)


@dataclass(frozen=True)
class _Case:
    """A mutant with who judges it."""

    mutant: Mutant
    text: str  # of its file, without it
    tests: list[str]
    most: float  # seconds


Known = tuple[dict[str, float], dict[str, Lines]]


def known(tests: Sequence[str]) -> Known:
    """What a clean run of these test files shows: how long each test takes, and which lines it
    runs.
    """
    court = Court.open(tests)
    try:
        return court.seconds, court.lines
    finally:
        court.close()


def judge(
    mutants: Sequence[Mutant], tests: Sequence[str], shown: Known | None = None
) -> list[Result]:
    """What becomes of these mutants when these test files look."""
    court = Court.open(
        tests, **dict(zip(("seconds", "lines"), shown, strict=True)) if shown else {}
    )
    try:
        return list(court.judge(mutants))
    finally:
        court.close()


def judge_texts(mutants: Sequence[Mutant], tests: Sequence[str]) -> Iterator[Result]:
    """What becomes of mutants of files that these tests read as text: each test run begins anew."""
    court = Court.open(tests, seconds={"none": 0.0})
    try:
        for mutant in mutants:
            path = court.top / mutant.file
            text = path.read_text(encoding="utf-8")
            path.write_text(mutant.applied_to(text), encoding="utf-8")
            command = [sys.executable, "-m", "pytest", *ALWAYS, "--no-header", "-rfE", *tests]
            ended = subprocess.run(
                command, cwd=court.top, capture_output=True, text=True, timeout=300, check=False
            )
            by = re.search(r"^(?:FAILED|ERROR) (\S+)", ended.stdout, re.M)
            yield Result(mutant, "killed" if ended.returncode else "survived", by[1] if by else "")
            path.write_text(text, encoding="utf-8")
    finally:
        court.close()


def _reach(text: str, line: int) -> tuple[int, int]:
    """The lines whose running means that line was used: its statement; in a default, the function;
    at the top, the whole file.
    """
    found, inside = (0, len(text)), False

    def within(nodes: Sequence[ast.stmt]) -> None:
        nonlocal found, inside
        for node in nodes:
            if node.lineno <= line <= (node.end_lineno or node.lineno):
                body: list[list[ast.stmt]] = [
                    part
                    for name in ("body", "orelse", "finalbody")
                    if isinstance(part := getattr(node, name, []), list)
                ]
                body += [handler.body for handler in getattr(node, "handlers", [])] + [
                    case.body for case in getattr(node, "cases", [])
                ]
                if isinstance(node, ast.FunctionDef):
                    inside = True
                    found = (node.body[0].lineno, node.end_lineno or node.lineno)
                elif inside and not any(body):
                    found = (node.lineno, node.end_lineno or node.lineno)
                elif inside:
                    found = (
                        node.lineno,
                        max(node.lineno, next(part for part in body if part)[0].lineno - 1),
                    )
                for part in body:
                    within(part)

    within(ast.parse(text).body)
    return found


# ---------------------------------------------------------------- in the child


def _forked(top: Path, work: Callable[[], int]) -> int:
    """Start it in a forked process that leads a group of its own and stands in the copy; its
    process id.
    """
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setsid()
        out = os.open(top / ".mutants" / "out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.chdir(top)
        os.environ["PYTHONPATH"] = str(top / ".mutants")
        sys.path[:] = [str(top), *(one for one in sys.path if one not in ("", str(ROOT), str(top)))]
        for name, module in list(sys.modules.items()):  # the copy's own, not ours
            if (getattr(module, "__file__", None) or "").startswith(
                f"{ROOT}/"
            ) and "site-packages" not in str(module.__file__):
                del sys.modules[name]
        code = work()
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        os._exit(code)


def _in_time(child: int, seconds: float) -> int | None:
    """The exit code of a child, or None when it took too long; nothing it started lives on."""
    watch = os.pidfd_open(child)
    timely, _, _ = select.select([watch], [], [], seconds)
    os.close(watch)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if timely else None


class _Bench:
    """Collects the tests once; then forks for every mutant, puts it into the modules that are
    there, and runs its tests.
    """

    def __init__(self, top: Path, cases: Sequence[_Case], verdicts: Path) -> None:
        self.top, self.cases, self.verdicts = top, cases, verdicts
        self.said = top / ".mutants" / "said"
        self.moment = int(time.time()) - 1_000_000
        self.asked, self.lately = 0, dict[str, int]()  # test -> when it last noticed a mutant

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.said.exists():
            self.said.write_text(report.nodeid, encoding="utf-8")

    def pytest_runtestloop(self, session: Any) -> bool:
        items = {item.nodeid: item for item in session.items}
        with self.verdicts.open("a", encoding="utf-8") as verdicts:
            for case in self.cases:
                self._write(case.mutant.file, case.mutant.applied_to(case.text))
                try:
                    verdicts.write(
                        self._noticed(
                            session, case, [items[test] for test in case.tests if test in items]
                        )
                        + "\n"
                    )
                    verdicts.flush()
                finally:
                    self._write(case.mutant.file, case.text)
        return True

    def _write(self, file: str, text: str) -> None:
        path = self.top / file
        path.write_text(text, encoding="utf-8")
        self.moment += 1  # Python tells compiled files apart by size and second
        os.utime(path, (self.moment, self.moment))

    def _noticed(self, session: Any, case: _Case, items: Sequence[Any]) -> str:
        """Who noticed lately is asked first: neighbours are noticed by the same."""
        items = sorted(items, key=lambda item: -self.lately.get(item.nodeid, 0))
        by = self._asked(session, case, items)
        if by:
            self.asked += 1
            self.lately[by] = self.asked
        return by

    def _asked(self, session: Any, case: _Case, items: Sequence[Any]) -> str:
        self.said.unlink(missing_ok=True)
        code = _in_time(_forked_here(lambda: self._run(session, case, items)), case.most)
        if code == ANEW:
            command = [sys.executable, "-m", "pytest", *ALWAYS, *case.tests]
            with subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
            ) as process:
                try:
                    printed, _ = process.communicate(timeout=case.most + 20)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    return "time-out"
            first = re.search(r"^(?:FAILED|ERROR) (\S+)", printed, re.MULTILINE)
            return "" if process.returncode == 0 else first[1] if first else "collection"
        if code is None:
            return "time-out"
        return (
            self.said.read_text(encoding="utf-8")
            if self.said.is_file()
            else ""
            if code == 0
            else "its process"
        )

    def _run(self, session: Any, case: _Case, items: Sequence[Any]) -> int:
        if not _put_in(case):
            return ANEW
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.said.is_file():
                return 1
        return 0


def _forked_here(work: Callable[[], int]) -> int:
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setsid()
        code = work()
    finally:
        os._exit(code)


ANEW = 99  # the mutant is no function's: the modules must be imported anew


def _put_in(case: _Case) -> bool:
    """Give the function the mutant is in its new code, wherever it was imported to; False when it
    is in none.
    """
    names = _function(ast.parse(case.text).body, case.mutant.line)
    if not names:
        return False
    name = case.mutant.file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    old = sys.modules.get(name)
    if old is None:
        return True  # only processes that tests start import it
    new = types.ModuleType(name)
    new.__file__ = old.__file__
    exec(compile(case.mutant.applied_to(case.text), str(old.__file__), "exec"), new.__dict__)
    before, after = _named(old, names), _named(new, names)
    try:
        before.__code__, before.__defaults__, before.__kwdefaults__ = (
            after.__code__,
            after.__defaults__,
            after.__kwdefaults__,
        )
    except (AttributeError, ValueError):
        return False
    return True


def _function(nodes: Sequence[ast.stmt], line: int) -> list[str]:
    for node in nodes:
        if node.lineno <= line <= (node.end_lineno or 0):
            if isinstance(node, ast.FunctionDef):
                return [node.name]
            if isinstance(node, ast.ClassDef):
                inside = _function(node.body, line)
                return [node.name, *inside] if inside else []
    return []


def _named(where: Any, names: Sequence[str]) -> Any:
    for name in names:
        where = vars(where)[name] if name in vars(where) else getattr(where, name)
    where = getattr(where, "fget", None) or getattr(where, "__func__", where)
    while hasattr(where, "__wrapped__"):
        where = where.__wrapped__
    return where


def _bench_run(top: Path, files: Sequence[str], cases: Sequence[_Case], verdicts: Path) -> int:
    import pytest

    return int(pytest.main([*ALWAYS, "-s", *files], plugins=[_Bench(top, cases, verdicts)]))


class _Listening:
    """Tells the listener whose lines these are, and how long each test took; a test that fails is
    nobody's judge.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        os.environ[f"{HEARD}_TEST"] = nodeid
        _heard.clear()

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if not report.passed:
            self.failed.add(report.nodeid)


def _heard_run(top: Path, tests: Sequence[str], folder: Path) -> int:
    import pytest

    os.environ[HEARD] = str(folder)
    listening = _Listening()
    listen()
    code = pytest.main([one for one in ALWAYS if one != "-x"] + [*tests], plugins=[listening])
    sys.settrace(None)
    seconds = {
        test: took for test, took in listening.seconds.items() if test not in listening.failed
    }
    (folder / "said.json").write_text(json.dumps({"seconds": seconds}), encoding="utf-8")
    return int(code)


_heard: set[tuple[str, int]] = set()


def listen() -> None:
    """Write down, for the test under way, every line of the project's own modules that this process
    runs, once per test.
    """
    top = str(Path.cwd()) + "/"
    file = (Path(os.environ[HEARD]) / f"{os.getpid()}-{time.monotonic_ns()}.lines").open(
        "a", buffering=1, encoding="utf-8"
    )
    own: dict[str, str | None] = {}

    def line(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            place = (own[frame.f_code.co_filename] or "", frame.f_lineno)
            if place not in _heard:
                _heard.add(place)
                file.write(f"{os.environ.get(f'{HEARD}_TEST', '')}\t{place[0]}\t{place[1]}\n")
        return line

    def call(frame: FrameType, _: str, __: object) -> Any:
        name = frame.f_code.co_filename
        if name not in own:
            inside = name.startswith(top) and not name.startswith((top + "tests/", top + "."))
            own[name] = name.removeprefix(top) if inside else None
        return line if own[name] and frame.f_code.co_name != "<module>" else None

    threading.settrace(call)
    sys.settrace(call)
