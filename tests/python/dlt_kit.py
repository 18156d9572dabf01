"""dlt sources as a district or a vendor would write them, for the tests: `source =
"dlt_kit:registry"`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import dlt
import pyarrow as pa

DEVICES = [
    {
        "serial": "A1",
        "student": {"number": "1001"},
        "bought": date(2026, 9, 5),
        "price": Decimal("310.50"),
        "secret": "CANARY",
    },
    {
        "serial": "A2",
        "student": {"number": "1002"},
        "bought": None,
        "price": Decimal("299.00"),
        "secret": "CANARY",
    },
]
VISITS: list[dict[str, Any]] = []  # what the service holds; tests change it
ASKED: list[Any] = []  # from where on `visits` was asked


@dlt.source
def registry(key: str) -> Any:
    """A source of three resources: dicts, an Arrow table, and one that is asked for
    what changed.
    """
    if key != "the key":
        raise ValueError(f"no such key: {key}")
    return devices, loans, visits


@dlt.resource
def devices() -> Iterator[Any]:
    """Dicts one by one, and in a list."""
    yield DEVICES[0]
    yield DEVICES[1:]


@dlt.resource
def loans() -> Iterator[Any]:
    """An Arrow table."""
    yield pa.table({"id": [1, 2], "book": ["Bücher, Band 1", None]})


@dlt.resource(primary_key="id")
def visits(
    changed: Any = dlt.sources.incremental("changed", initial_value=datetime(2026, 1, 1)),  # noqa: B008
) -> Iterator[Any]:
    """What changed since the last value, as dlt's own sources ask for it."""
    ASKED.append(changed.last_value)
    if os.environ.get("DLT_KIT_FAILS"):
        yield VISITS[:1]
        raise ConnectionError("CANARY 1001 hung up")
    yield [
        visit
        for visit in VISITS
        if visit["changed"] is None or visit["changed"] >= changed.last_value
    ]


@dlt.source
def boundless() -> Any:
    """Resources that give more than anybody can hold: rows without end, one long value, more
    columns than were ever asked for, a value nested without end.
    """

    @dlt.resource
    def endless() -> Iterator[Any]:
        at = 0
        while True:
            at += 1
            yield [{"id": at * 1000 + n, "book": "Band " * 20, "note": None} for n in range(1000)]

    @dlt.resource
    def long() -> Iterator[Any]:
        yield [{"id": at, "book": "Band", "note": None} for at in range(40)]
        yield {"id": 40, "book": "x" * 60_000_000, "note": None}

    @dlt.resource
    def wide() -> Iterator[Any]:
        for at in range(40):
            row: dict[str, Any] = {"id": at, "book": "Band"}
            yield row | ({f"column {n}": n for n in range(900_000)} if at == 20 else {})

    @dlt.resource
    def deep() -> Iterator[Any]:
        value: Any = "Band"
        for _ in range(100_000):
            value = [value]
        yield [{"id": at, "book": "Band", "note": value if at == 7 else None} for at in range(40)]

    return endless, long, wide, deep
