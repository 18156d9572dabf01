"""Documents of a JSON API: each made once, whatever becomes of the answers, one after another, with
the next number of its series.

In: a create of an entity that is `append_only`. Out: its outcome. A document is looked up by its
key each time before it is sent. One of which nobody knows what came lets none behind it pass: they
would have its number.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from reverse_etl.model import NUMBER, Change, Column, Outcome
from reverse_etl.targets.documents import Series, series_of
from reverse_etl.targets.reading import TargetUnreadableError

if TYPE_CHECKING:
    from reverse_etl.targets.rest.target import Rest

TRIES = 5  # how often one is looked up and sent again before the rest of its series waits
PAUSE = 0.1  # seconds before the second time, doubled each time
OPEN = "waits for the document before it, of which nobody knows whether it has its number"


class Documents:
    """The documents of one API; shared by all threads."""

    def __init__(self, target: Rest) -> None:
        self._target = target
        self._turn = threading.Lock()
        self._greatest: dict[tuple[str, Series], int] = {}  # numbers given so far
        self._open: dict[str, tuple[str, ...]] = {}  # entity -> the key nobody knows about
        self.pause: Callable[[float], object] = time.sleep

    def make(self, change: Change) -> Outcome:
        """Make one. Raises KeyError with a reason for what cannot be made."""
        column = self._target.exports[change.entity].of_role(NUMBER)
        with self._turn:
            if column and self._open.get(change.entity, change.key) != change.key:
                return Outcome(change.change_id, "retry", reason="locked", note=OPEN, calls=0)
            return self._made(change, column)

    def _made(self, change: Change, column: Column | None) -> Outcome:
        outcome, calls, entity = Outcome(change.change_id, "retry", calls=0), 0, change.entity
        for tried in range(TRIES):
            if tried:
                self.pause(PAUSE * 2**tried)
            try:
                if remote_id := self._target.find(change):
                    outcome = Outcome(change.change_id, "applied", None, "found", remote_id)
                    break
                series = series_of(column, change.new.get(column.name)) if column else None
                number = self._next(entity, column, series) if column and series else None
            except TargetUnreadableError as error:
                status = "unknown" if calls else "retry"
                outcome = Outcome(
                    change.change_id, status, reason="unreadable", note=str(error), calls=0
                )
                continue
            new = {**change.new, **({column.name: number} if column and series else {})}
            self._open[entity] = change.key
            outcome = self._target.made(change, new, self._target.once(change, number))
            calls += 1
            if outcome.status == "applied" and series:
                self._greatest[entity, series] += 1
                outcome = replace(outcome, note=f"number {number}")
            if outcome.status != "unknown" and not (series and outcome.reason == "duplicate"):
                break
            if series:  # somebody else's number, or nobody knows: what there is is asked anew
                self._greatest.pop((entity, series), None)
        if outcome.status != "unknown":
            self._open.pop(entity, None)
        return replace(outcome, calls=calls)

    def _next(self, entity: str, column: Column, series: Series) -> str | int:
        """The number behind the greatest there is. Raises TargetUnreadableError."""
        if (entity, series) not in self._greatest:
            texts = self._target.values_of(entity, column)
            self._greatest[entity, series] = series.greatest(texts)
        return series.text(self._greatest[entity, series] + 1)
