"""Pacing: how fast one target may be written to, shared by all its workers.

In: the target's quota (calls a second) and what it answered. Out: how long to wait. A token bucket
that starts at 95 % of the quota and creeps up to 98 %; a throttle takes 15 % off, good answers give
it back slowly; a Retry-After stops every worker, because the quota is the tenant's and not the
call's.

The clock and the sleep are passed in, so that tests need no time.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

START, CAP, FLOOR = 0.95, 0.98, 0.05  # shares of the quota
AFTER_THROTTLE = 0.85
RECOVERY_PER_SECOND = 1.005  # back from one throttle in about half a minute
ATTEMPTS = 6  # how often one change is tried before it counts as failed
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


class Bucket:
    """Tokens for one target. `take(n)` waits until n calls may be made."""

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if rate <= 0:
            raise ValueError(
                f"a target cannot be written to at {rate} calls a second; check its"
                " writes_per_minute"
            )
        self._quota, self._clock, self._sleep = rate, clock, sleep
        self._lock = threading.Lock()
        self._share = START
        # At most a fifth of a second's worth is saved up: a longer burst would count as over quota
        # in the window.
        self._most = max(1.0, rate / 5)
        self._tokens = self._most
        self._filled_at = self._adapted_at = clock()
        self._closed_until = 0.0

    @property
    def rate(self) -> float:
        """Calls a second at this moment."""
        return self._quota * self._share

    def take(self, calls: int = 1) -> float:
        """Wait for `calls` tokens (they may exceed the bucket: then later takers wait longer);
        returns seconds waited.

        A sleep that returns something true was interrupted: the caller is stopping, and waits no
        longer.
        """
        with self._lock:
            now = self._clock()
            self._fill(now)
            self._tokens -= calls
            wait = max(
                -self._tokens / self.rate if self._tokens < 0 else 0.0, self._closed_until - now
            )
        waited = 0.0
        while wait > 0:
            interrupted = self._sleep(wait)
            waited += wait
            if interrupted:
                break
            with self._lock:  # another worker may have been told to wait longer meanwhile
                wait = self._closed_until - self._clock()
        return waited

    def throttled(self, retry_after: float | None = None) -> None:
        """The target said it is too much. Many workers hear it at once: the rate falls once a
        second at most.
        """
        with self._lock:
            now = self._clock()
            self._fill(now)
            if now - self._adapted_at >= 1.0 or self._share >= START:
                self._share = max(FLOOR, self._share * AFTER_THROTTLE)
                self._adapted_at = now
            if retry_after:
                self._closed_until = max(self._closed_until, now + retry_after)
                self._tokens = min(
                    self._tokens, 0.0
                )  # what was saved up is not spent in one burst afterwards

    def succeeded(self) -> None:
        """The target answered well: back towards the cap, slowly."""
        with self._lock:
            now = self._clock()
            passed = now - self._adapted_at
            if passed >= 1.0:
                self._fill(now)
                self._share = min(CAP, self._share * RECOVERY_PER_SECOND ** min(passed, 60.0))
                self._adapted_at = now

    def _fill(self, now: float) -> None:
        # Nothing is saved up while the target told everybody to wait.
        since = max(self._filled_at, min(self._closed_until, now))
        self._tokens = min(self._most, self._tokens + (now - since) * self.rate)
        self._filled_at = now


def seconds(calls: int, rate: float) -> float:
    """How long so many calls take at a quota of `rate` calls a second when nobody is throttled."""
    left, share, passed = calls - max(1.0, rate / 5), START, 0.0
    while left > rate * share and share < CAP:
        left, passed, share = left - rate * share, passed + 1, min(CAP, share * RECOVERY_PER_SECOND)
    return passed + max(left, 0.0) / (rate * share)


def pause(attempt: int, chance: Callable[[], float] = random.random) -> float:
    """Seconds before attempt number `attempt + 1`: doubling, with jitter so that workers do not
    come back together.
    """
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1))
    return longest * (0.5 + chance() / 2)
