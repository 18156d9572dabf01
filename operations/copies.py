"""Copies: a step of a night or a run of a part as a copy of this process, so that what all of them
import is read once and a quiet one costs what it asks and not what it imports.

In: an act, or a command with its environment. Out: a process of its own, as `subprocess` has one:
what dies there takes nothing with it. What is open here is open there. Where the system makes no
copies that can be relied on (macOS), a step is a new Python.
"""

from __future__ import annotations

import gc
import os
import runpy
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import util
from sys import argv

from common import paths, settings
from operations import calls, night

ASKED_TO_STOP = (signal.SIGTERM, signal.SIGINT)
# what most steps of any night import
COMMON = (
    "ingestion.__main__",
    "operations.alerts",
    "operations.backup",
    "operations.build",
    "operations.report",
    "reverse_etl.__main__",
    "reverse_etl.targets",
)


@dataclass
class Copy:
    """A copy of this process, as `subprocess` has one."""

    pid: int
    returncode: int | None = None

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def poll(self) -> int | None:
        """The same, None while it lasts."""
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


@contextmanager
def steps(imports: Sequence[str] = COMMON) -> Iterator[None]:
    """While the context lasts a night's steps are copies of this process, which imports what they
    need before the first of them.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    for name in imports:
        import_module(name)
        if name.endswith("__main__"):  # which is run anew each time
            sys.modules.pop(name)
    gc.freeze()  # so that copies share what was imported
    night.launch = launched
    try:
        yield
    finally:
        night.launch = night.started


def launched(
    command: tuple[str, ...],
    environment: dict[str, str],
    _: tuple[int, ...],
    *,
    own_group: bool = False,
) -> Copy:
    """A step, in a copy of this process."""

    def step() -> int:
        os.environ.clear()
        os.environ.update(environment)
        argv[:] = command  # where its Typer looks
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
        return 0

    return forked(step, own_group=own_group)


def forked(act: Callable[[], int], *, own_group: bool) -> Copy:
    """Do it in a copy of this process, which ends with the code of the act. It can be asked to stop
    from the moment this returns.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    ready, begun = os.pipe()
    # until the copy has its own answer to a signal, none is given
    signal.pthread_sigmask(signal.SIG_BLOCK, ASKED_TO_STOP)
    try:
        if not (process := os.fork()):
            os.close(ready)
            _run(act, begun, own_group=own_group)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKED_TO_STOP)
    os.close(begun)
    os.read(ready, 1)
    os.close(ready)
    return Copy(process)


def _run(act: Callable[[], int], begun: int, *, own_group: bool) -> None:
    """The whole life of a copy."""
    code = 1
    try:
        if own_group:
            os.setsid()
        for number in ASKED_TO_STOP:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKED_TO_STOP)
        os.close(begun)
        for stream in (sys.stdout, sys.stderr):  # of a copy that is killed nothing said is lost
            if reconfigure := getattr(stream, "reconfigure", None):
                reconfigure(line_buffering=True)
        calls.let_go()
        os.chdir(paths.root())
        settings._files.cache_clear()
        code = act()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    except (settings.SettingsError, night.NightRunningError, night.NightRefusedError) as error:
        print(error, file=sys.stderr)
        code = 2
    except BaseException:
        traceback.print_tb(sys.exc_info()[2])  # without its text, which may quote a row
    finally:
        util._exit_function()  # dbt's locks are put back, and only what this process made
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
