"""Turns: one at a time writes to the state: a night with all its steps, a run of a part, or a verb
somebody typed.

In: what is being done. Out: the turn while the context lasts, held in `night.lock`, which says who
has it, since when, and at which step; or, after a wait, `LockHeldError` with just that. A night
that meets a typed verb waits for it, however long it reasonably takes: nothing a person types keeps
a night from being lived. The steps of a night inherit its turn and prove it by the very lock, not
by a word of the environment that anybody could type.

Beside the turn each target has a lock of its own (`turns/target.<name>.lock`), and each part of
`[[schedules]]` one (`turns/part.<name>.lock`). Whoever writes to a target holds its lock from
planning on; a run of a part lends the turn while it writes to its targets, so that parts which
share none run side by side. Whoever wants both takes the targets first, then the turn.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from common import documents, lock, paths

WAIT_SECONDS = 30.0  # a verb for a night, or for another verb; a part for a target
PATIENCE_SECONDS = 3600.0  # a night for a verb, or for a part to end; a part for the turn
UNKNOWN_SECONDS = 2.0  # a night for who has not said yet what it does
NIGHT = "a night"
INHERITED = "HOMEROOM_TURN"  # the descriptors of the locks a night or a part holds, for its steps
PART = "HOMEROOM_PART"  # which part a run is of; what it may is proved by the lock alone


def path() -> Path:
    """The lock of the turn."""
    return paths.var() / "night.lock"


def of_target(name: str) -> Path:
    """The lock of one target."""
    return _folder() / f"target.{name}.lock"


def of_part(name: str) -> Path:
    """The lock of one part: who holds it is its run."""
    return _folder() / f"part.{name}.lock"


def under_way() -> str:
    """Who has the turn and what of it is under way; '' when nobody has."""
    return lock.holder(path())


def part_under_way(name: str) -> str:
    """The same of one part, which lends its turn and is under way all the same."""
    return lock.holder(of_part(name)) if name else ""


def of_a_night() -> bool:
    """Whether this process is a night, a run of a part, or a step of one: it has the very lock that
    was taken.
    """
    return _locked(path()) is not None or _of_this_part()


def inherited() -> tuple[int, ...]:
    """What a step has to inherit."""
    return tuple(int(one) for one in os.environ.get(INHERITED, "").split(",") if one.isdigit())


@contextmanager
def taken(verb: str) -> Iterator[None]:
    """The turn of a verb typed by hand; nothing more to take for a step of a night. Raises
    LockHeldError.
    """
    if of_a_night():
        yield
        return
    with lock.lock(_file(), f"make {verb}", WAIT_SECONDS):
        yield


@contextmanager
def night(what: str = NIGHT) -> Iterator[int]:
    """The turn of a night: it waits for a verb, and not for another night. Yields what its steps
    inherit. Raises LockHeldError.
    """
    begun = time.monotonic()
    while True:
        try:
            with lock.lock(_file(), what) as held, _handed_on(held):
                yield held
                return
        except lock.LockHeldError as error:
            # one that does not say what it does is just writing it, or a step a night has left
            patience = PATIENCE_SECONDS if error.by else UNKNOWN_SECONDS
            if error.by == NIGHT or what != NIGHT or time.monotonic() - begun > patience:
                raise
        time.sleep(1.0)


@contextmanager
def part(name: str, targets: Iterable[str]) -> Iterator[int]:
    """The turn of a run of a part, with its own lock and those of its targets. Another run of the
    same part is not waited for, a target for a while, the turn with patience. Yields what its steps
    inherit. Raises LockHeldError.
    """
    what = f"a run of {name}"
    with (
        lock.lock(of_part(name), what) as own,
        _handed_on(own),
        writing(targets, what, WAIT_SECONDS),
        lock.lock(_file(), what, PATIENCE_SECONDS) as held,
        _handed_on(held),
    ):
        os.environ[PART] = name
        try:
            yield held
        finally:
            os.environ.pop(PART, None)


@contextmanager
def writing(targets: Iterable[str], what: str, wait: float = 0.0) -> Iterator[None]:
    """The locks of some targets, in one order for everybody; those this process inherited it has.
    Raises LockHeldError.
    """
    with ExitStack() as stack:
        for name in sorted(set(targets)):
            if _descriptor(of_target(name)) is None:
                stack.enter_context(
                    _handed_on(stack.enter_context(lock.lock(of_target(name), what, wait)))
                )
        yield


def written_by_another(target: str) -> bool:
    """Whether somebody else is at a target at this moment: what its journal says is not over."""
    return _descriptor(of_target(target)) is None and bool(lock.holder(of_target(target)))


@contextmanager
def lent() -> Iterator[None]:
    """While it lasts, others may have the turn of this run of a part, which touches neither
    warehouse nor ledger; a night and a verb keep theirs.
    """
    held = _descriptor(path()) if _of_this_part() else None
    if held is None:
        yield
        return
    said = os.pread(held, 1 << 16, 0)
    os.ftruncate(held, 0)
    fcntl.flock(held, fcntl.LOCK_UN)
    try:
        yield
    finally:
        fcntl.flock(held, fcntl.LOCK_EX)
        os.ftruncate(held, 0)
        os.write(held, said)


def _of_this_part() -> bool:
    name = os.environ.get(PART, "")
    return bool(name) and _locked(of_part(name)) is not None


def _descriptor(path: Path) -> int | None:
    """The inherited descriptor of this very lock; None where there is none."""
    for one in inherited():
        try:
            mine, there = os.fstat(one), path.stat()
        except OSError:
            continue
        if (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino):
            return one
    return None


def _locked(path: Path) -> int | None:
    """The same, where its lock is ours."""
    held = _descriptor(path)
    try:
        if held is not None:
            # the same open file locks again what it has locked; any other is refused
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None
    return held


@contextmanager
def _handed_on(held: int) -> Iterator[None]:
    before = os.environ.get(INHERITED, "")
    os.environ[INHERITED] = ",".join(filter(None, (before, str(held))))
    try:
        yield
    finally:
        if before:
            os.environ[INHERITED] = before
        else:
            os.environ.pop(INHERITED, None)


def _folder() -> Path:
    folder = paths.var() / "turns"
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder


def _file() -> Path:
    if path().is_dir():
        documents.set_aside(path())
    return path()
