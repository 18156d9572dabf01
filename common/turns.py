"""Turns: one at a time writes to the state: a night with all its steps, or a verb somebody typed.

In: what is being done. Out: the turn while the context lasts, held in `night.lock`, which says who
has it, since when, and at which step; or, after a wait, `LockHeldError` with just that. A night
that meets a typed verb waits for it, however long it reasonably takes: nothing a person types keeps
a night from being lived. The steps of a night inherit its turn and prove it by the very lock, not
by a word of the environment that anybody could type.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common import documents, lock, paths

WAIT_SECONDS = 30.0  # a verb for a night, or for another verb
PATIENCE_SECONDS = 3600.0  # a night for a verb
UNKNOWN_SECONDS = 2.0  # a night for who has not said yet what it does
NIGHT = "a night"
INHERITED = "HOMEROOM_TURN"  # the descriptor of the night's lock, for its steps


def path() -> Path:
    """The lock."""
    return paths.var() / "night.lock"


def under_way() -> str:
    """Who has the turn and what of it is under way; '' when nobody has."""
    return lock.holder(path())


def of_a_night() -> bool:
    """Whether this process is a night or a step of one: it has the very lock the night took."""
    given = os.environ.get(INHERITED, "")
    if not given.isdigit():
        return False
    try:
        mine, there = os.fstat(int(given)), path().stat()
        if (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino):
            return False
        # the same open file locks again what it has locked; any other is refused
        fcntl.flock(int(given), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


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
            with lock.lock(_file(), what) as held:
                os.environ[INHERITED] = str(held)
                try:
                    yield held
                finally:
                    os.environ.pop(INHERITED, None)
                return
        except lock.LockHeldError as error:
            # one that does not say what it does is just writing it, or a step a night has left
            patience = PATIENCE_SECONDS if error.by else UNKNOWN_SECONDS
            if error.by == NIGHT or what != NIGHT or time.monotonic() - begun > patience:
                raise
        time.sleep(1.0)


def _file() -> Path:
    if path().is_dir():
        documents.set_aside(path())
    return path()
