"""Chance that can be repeated: every draw is named, and a name always draws the same.

In: a seed and the words that name a draw ("family", 12, 7). Out: a stream of numbers, one fraction,
or a permutation that gives unique identifiers without remembering which were given. Only
`Random(str)` and `.random()` are used, because Python promises the same sequence for exactly these
two from version to version.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from math import log
from random import Random
from typing import TypeVar

T = TypeVar("T")
_WHOLE = float(1 << 64)


def stream(*words: object) -> Random:
    """A generator that belongs to these words alone."""
    return Random("/".join(map(str, words)))


def fraction(*words: object) -> float:
    """One number in [0, 1): cheaper than a stream where a single draw is wanted."""
    digest = blake2b("/".join(map(str, words)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _WHOLE


def pick(rng: Random, values: Sequence[T]) -> T:
    """One of the values, each as likely as the others."""
    return values[int(rng.random() * len(values))]


def whole(rng: Random, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return low + int(rng.random() * (high - low + 1))


def wait(rng: Random, rate: float) -> int:
    """Days until the next event of a daily rate: at least 1. One draw, so that what follows does
    not shift.
    """
    return 1 + int(log(1.0 - rng.random()) / log(1.0 - rate))


def count(rng: Random, expected: float) -> int:
    """A whole number whose mean is `expected`."""
    base = int(expected)
    return base + (rng.random() < expected - base)


class Weighted:
    """Values of which the first are met far more often than the last, as names are."""

    def __init__(self, values: Sequence[str], head: int) -> None:
        """The smaller `head`, the more the first values dominate (weight of value i is 1 / (i +
        head)).
        """
        self.values = tuple(values)
        self._sums = list(
            accumulate(1.0 / (position + head) for position in range(len(self.values)))
        )

    def pick(self, rng: Random) -> str:
        return self.values[bisect(self._sums, rng.random() * self._sums[-1])]


@dataclass(frozen=True)
class Permutation:
    """Shuffles 0 … prime-1 onto itself, so numbers look drawn and never collide. Refuses ordinals
    past its prime.
    """

    prime: int
    factor: int
    offset: int

    @classmethod
    def of(cls, prime: int, *words: object) -> Permutation:
        rng = stream(*words)
        return cls(prime, whole(rng, prime // 3, prime - 2), whole(rng, 0, prime - 1))

    def __call__(self, ordinal: int) -> int:
        if not 0 <= ordinal < self.prime:
            raise ValueError(
                f"identifier {ordinal} does not fit into {self.prime} numbers: ask for fewer"
                " students or an earlier day"
            )
        return (ordinal * self.factor + self.offset) % self.prime
