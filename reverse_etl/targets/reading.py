"""Reading a target with patience: paced, tried again while it is worth it, and then a sentence.

Writes are tried again by the engine, which journals them. A read in the middle of a long list has
nobody above it who could begin again at that page, so it is tried again here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from common import lists
from reverse_etl.pacing import ATTEMPTS, Bucket, pause
from reverse_etl.targets.replies import Call, Reply, Verdict, advised

READ = Call(repeatable=True)


class TargetUnreadableError(Exception):
    """A target that could not be read; the message says which call, why, and what to do."""


class Reads:
    """The reads of one target, shared by its threads."""

    def __init__(
        self,
        target: str,
        rate: float,
        verdict: Callable[[Call, Reply], Verdict],
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.calls = 0
        self._target, self._verdict, self._sleep = target, verdict, sleep
        self._bucket = Bucket(rate, sleep=sleep)
        self._lock = threading.Lock()

    def one_call(self, items: int = 1) -> None:
        """Count a call that its caller makes itself, and wait for its turn; each item of a batch
        counts in the quota.
        """
        self._bucket.take(items)
        with self._lock:
            self.calls += 1

    def told(self, reply: Reply) -> None:
        """Take note of a throttle in a reply that the caller deals with."""
        if self._verdict(READ, reply).reason == "throttled":
            self._bucket.throttled(reply.retry_after)

    def reply(
        self,
        what: str,
        ask: Callable[[], Reply],
        missing_is_fine: bool = False,
        following: bool = False,
    ) -> Reply:
        """The good reply (or a 404 where that is an answer too; of a `following` page, one that
        says it has expired). Raises TargetUnreadableError after the last attempt.
        """
        for attempt in range(1, ATTEMPTS + 1):
            self.one_call()
            reply = ask()
            if reply.good or (missing_is_fine and reply.code == 404):
                self._bucket.succeeded()
                return reply
            verdict = self._verdict(READ, reply)
            if following and is_expired(reply) and verdict.status != "retry":
                return reply
            if verdict.status != "retry" or attempt == ATTEMPTS:
                break
            self.told(reply)
            if not reply.retry_after:
                self._sleep(pause(attempt))
            elif verdict.reason != "throttled":
                self._sleep(reply.retry_after)
        raise TargetUnreadableError(
            f"{self._target}: {what} could not be read (status {reply.code or 'none'},"
            f" {reply.reason or 'no reason given'}, {attempt} of {ATTEMPTS} attempts);"
            f" {_advice(reply)}"
        )


def is_expired(reply: Reply) -> bool:
    """Whether the answer to the address of a next page says that there is no such page any more."""
    return not reply.good and reply.code in lists.EXPIRED


def expired_twice(target: str, what: str) -> TargetUnreadableError:
    """What is said where a list that was begun again ran out again."""
    return TargetUnreadableError(
        f"{target}: {what} could not be read to their end: the place of the next page expired, the"
        " list was read again from its beginning, and it expired again; run again when the platform"
        " is less busy, and if it stays so, raise writes_per_minute or threads of"
        f" [targets.{target}], by which reads are paced"
    )


def _advice(reply: Reply) -> str:
    if reply.refusal:
        return advised(reply.refusal)
    if reply.code in {401, 403} or reply.reason == "unauthorized":
        return (
            "check the credentials, the subject's admin role and that every scope or permission is"
            " granted"
        )
    if reply.code is None:
        return "check the address in the settings and the network, then run again"
    return "run again later; if it stays so, ask the target's status page"
