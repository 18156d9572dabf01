"""One at a time: a file that says who holds it, since when, and is free again when its holder is
gone, however it ended.

In: a path and words for what is being done. Out: the lock while the context lasts, or `Held` with
owner and age.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class LockHeldError(Exception):
    """Somebody else is at it; the message says who, since when and what to do. `by` is what the
    other one does, '' where that is not known.
    """

    def __init__(self, sentence: str, by: str = "") -> None:
        super().__init__(sentence)
        self.by = by


@contextmanager
def lock(path: Path, what: str, wait: float = 0.0) -> Iterator[int]:
    """Hold `path`, waiting up to `wait` seconds for whoever does. Raises Held. The kernel frees it
    with the process.

    Yields the file's descriptor: a child that inherits it holds the lock too.
    """
    deadline = time.monotonic() + wait
    with path.open("a+") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    file.seek(0)
                    content = file.read()
                    raise LockHeldError(
                        _sentence(content, what, wait), str(_owner(content).get("what", ""))
                    ) from None
                time.sleep(min(0.2, max(wait / 20, 0.01)))
        file.truncate(0)
        file.write(
            json.dumps(
                {
                    "pid": os.getpid(),
                    "host": socket.gethostname(),
                    "user": _user(),
                    "since": time.time(),
                    "what": what,
                }
            )
        )
        file.flush()
        try:
            yield file.fileno()
        finally:
            file.truncate(0)


def tell(held: int, **facts: str) -> None:
    """Let whoever asks know more of what is under way: its `run` and its `step`."""
    owner = _owner(os.pread(held, 1 << 16, 0)) | facts
    os.ftruncate(held, 0)
    os.write(held, json.dumps(owner | {"step_since": time.time()}).encode())


def _owner(content: str | bytes) -> dict[str, Any]:
    try:
        owner = json.loads(content)
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}


def _step(owner: dict[str, Any]) -> str:
    """Which step it is at, as far as it told."""
    if not owner.get("step"):
        return ""
    return f", at {owner['step']} for {time.time() - owner['step_since']:.0f} s"


def holder(path: Path) -> str:
    """Who holds it, as `process 4711, for 12 min`; '' when nobody does."""
    if not path.is_file() or not os.access(path, os.R_OK):  # or not told to who only reads
        return ""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                owner = json.loads(file.read())
                minutes = (time.time() - owner["since"]) / 60
                return f"process {owner['pid']}, for {minutes:.0f} min{_step(owner)}"
            except (ValueError, KeyError, TypeError):  # its holder is just writing who it is
                return "another process"
    return ""


def _sentence(content: str, what: str, wait: float) -> str:
    try:
        owner = json.loads(content)
        minutes, seconds = divmod(int(time.time() - owner["since"]), 60)
        who = (
            f"{owner['what']} is under way for {minutes} min {seconds} s already{_step(owner)}, in"
            f" process {owner['pid']} of {owner['user']} on {owner['host']}"
        )
        end = f'or end it with "kill {owner["pid"]}" (it stops cleanly)'
    except (ValueError, KeyError, TypeError):  # its holder is just writing who it is
        who, end = "another one is just beginning", "or end it"
    waited = f" and did not end within {wait:.0f} s" if wait else ""
    return f"{what} cannot begin: {who}{waited}; wait for it, {end}, then try again"


def _user() -> str:
    return os.environ.get("SUDO_USER") or os.environ.get("USER") or str(os.getuid())
