"""The memory of an emulated tenant: tables of JSON values that can be rolled back, read as of a
moment ago, and saved. What was changed in some of them is noted, for readers who ask what happened
since.

Values are never changed in place: a write puts a new value. That is what makes undoing a refused or
dropped write, and showing a reader yesterday's truth, a matter of keeping the old value.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demo.platforms.http import RefusalError

_NOTHING: Any = object()


class Store:
    """Named tables, key -> value. Not thread-safe: it lives on the platforms' loop."""

    MOST_NOTED = 100_000  # changes; who asks for older ones is told to begin anew

    def __init__(self, path: Path, tables: tuple[str, ...], watched: tuple[str, ...] = ()) -> None:
        self.path = path
        self._watched = watched
        self.tables: dict[str, dict[str, Any]] = {name: {} for name in tables}
        self.is_new = not path.is_file()
        self._undo: list[tuple[str, str, Any]] = []
        self._history: deque[tuple[float, str, str, Any]] = (
            deque()
        )  # committed writes, newest last: what stood there before
        if not self.is_new:
            for name, rows in json.loads(path.read_text(encoding="utf-8")).items():
                self.tables[name] = rows

    def __getitem__(self, table: str) -> Mapping[str, Any]:
        return self.tables[table]

    def put(self, table: str, key: str, value: Any) -> None:
        rows = self.tables[table]
        self._undo.append((table, key, rows.get(key, _NOTHING)))
        rows[key] = value

    def remove(self, table: str, key: str) -> None:
        rows = self.tables[table]
        if key in rows:
            self._undo.append((table, key, rows.pop(key)))

    def number(self) -> int:
        """A number never given before in this tenant."""
        count = self.tables["counters"].get("objects", 0) + 1
        self.tables["counters"]["objects"] = (
            count  # not undone: an id that was dropped is not given again either
        )
        return count

    def rollback(self) -> None:
        """Forget every write since the last commit."""
        while self._undo:
            table, key, before = self._undo.pop()
            if before is _NOTHING:
                self.tables[table].pop(key, None)
            else:
                self.tables[table][key] = before

    def commit(self, lag: float) -> None:
        """Keep the writes since the last commit; remember what they replaced while readers lag
        behind.
        """
        now = time.monotonic()
        self._note()
        if lag > 0:
            self._history.extend((now, *entry) for entry in self._undo)
        self._undo.clear()
        while self._history and self._history[0][0] < now - lag:
            self._history.popleft()

    @property
    def noted(self) -> int:
        """The number of the last change that was noted."""
        return int(self.tables["counters"].get("changes", 0)) if self._watched else 0

    def _note(self) -> None:
        """What this commit changed in the watched tables: [when, table, key, before, after] under
        its number; of an object only what differs, and None where there was or is none.
        """
        first: dict[tuple[str, str], Any] = {}
        for table, key, before in self._undo:
            if table in self._watched:
                first.setdefault((table, key), before)
        for (table, key), old in first.items():
            before, after = (
                None if one is _NOTHING else one
                for one in (old, self.tables[table].get(key, _NOTHING))
            )
            if before == after:
                continue
            if isinstance(before, dict) and isinstance(after, dict):
                names = {n for n in {*before, *after} if before.get(n) != after.get(n)}
                before, after = ({n: one.get(n) for n in names} for one in (before, after))
            elif isinstance(before, dict) or isinstance(after, dict):
                before, after = (None if one is None else {} for one in (before, after))
            self.tables["counters"]["changes"] = number = self.noted + 1
            self.tables["changes"][str(number)] = [time.time(), table, key, before, after]
            self.tables["changes"].pop(str(number - self.MOST_NOTED), None)

    def seen(self, table: str, lag: float) -> Mapping[str, Any]:
        """A table as a reader `lag` seconds behind sees it."""
        since = time.monotonic() - lag
        recent = (
            [entry for entry in self._history if entry[0] > since and entry[1] == table]
            if lag > 0
            else []
        )
        if not recent:
            return self.tables[table]
        past = dict(self.tables[table])
        for _, _, key, before in reversed(recent):
            if before is _NOTHING:
                past.pop(key, None)
            else:
                past[key] = before
        return past

    def save(self) -> None:
        """Write everything to the file, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(self.path.name + ".part")
        part.write_text(json.dumps(self.tables, ensure_ascii=False), encoding="utf-8")
        part.replace(self.path)


class Pages:
    """Listings in progress: a page token stands for the rest of the keys found when the listing
    began.
    """

    # listings kept; the oldest is forgotten, and its token refused, as a real one is after some
    # days
    MOST = 200

    def __init__(self) -> None:
        self._open: dict[str, list[str]] = {}
        self._given = 0

    def take(self, keys: list[str], size: int) -> tuple[list[str], str | None]:
        """The first page of the keys and the token for the next one."""
        page, rest = keys[:size], keys[size:]
        if not rest:
            return page, None
        self._given += 1
        token = f"page{self._given:06d}x{len(rest)}"
        self._open[token] = rest
        while len(self._open) > self.MOST:
            self._open.pop(next(iter(self._open)))
        return page, token

    def follow(self, token: str, size: int, refusal: RefusalError) -> tuple[list[str], str | None]:
        """The page behind a token; the same token may be followed again."""
        if token not in self._open:
            raise refusal
        return self.take(self._open[token], size)


class Window:
    """A quota: so many units in so many seconds, counted in fixed windows that open with the first
    call.
    """

    def __init__(self, limit: float, seconds: float) -> None:
        self.limit = limit
        self.seconds = seconds
        self._began = 0.0
        self._used = 0.0

    def wait(self, units: float) -> float:
        """Count the units; 0 when they fit, else the seconds until the window opens again. Refused
        calls count too.
        """
        now = time.monotonic()
        if now >= self._began + self.seconds:
            self._began, self._used = now, 0.0
        self._used += units
        return 0.0 if self._used <= self.limit else self._began + self.seconds - now
