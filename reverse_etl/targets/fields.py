"""Field tables: which export column is which field of the target's API.

One table serves both directions, so that what we write and what we read back cannot disagree:
`to_api` builds the JSON of a create or update from columns, `from_api` takes columns out of the
JSON of a reply. For every table and every row of its sendable columns: `from_api(table,
to_api(table, row)) == row`.

A column is found by its path through nested objects, as the export's `field:` writes it
(`json_path`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from reverse_etl.targets.json_path import put, steps, value_at

# Every address something or somebody has in a target. kind: user, alias, group, deleted
NAMES_TAKEN = ("address", "kind", "remote_id", "person_id")

# many groups have one page of few members each: a batch for each would cost more than the page
ROWS_PER_BATCH = 10_000


@dataclass(frozen=True)
class Field:
    """One column and its place in the API. `sent=False`: the target derives it, we only read it."""

    column: str
    path: tuple[str, ...]
    sent: bool = True
    form: str = ""  # what is read and has another form is nothing of ours: None


Table = tuple[Field, ...]


def field(column: str, path: str, *, sent: bool = True) -> Field:
    """`field("given_name", "name.givenName")`."""
    return Field(column, steps(path), sent)


def to_api(table: Table, row: Mapping[str, Any], *, creating: bool = False) -> dict[str, Any]:
    """The JSON body of the columns in `row`. None clears a field, and is left out of a create.

    Refuses a column that the table does not have: a change must not lose part of itself on the way.
    """
    known = {each.column: each for each in table}
    body: dict[str, Any] = {}
    for column, value in row.items():
        if column not in known:
            raise KeyError(
                f"column {column} has no field in this target; the table knows {', '.join(known)}"
            )
        if known[column].sent and not (creating and value is None):
            put(body, known[column].path, value)
    return body


def from_api(table: Table, document: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of one object; absent fields and empty texts are None, as in the exports."""
    return {each.column: read(each, document) for each in table}


def read(each: Field, document: Mapping[str, Any]) -> Any:
    """One field of an object."""
    value = value_at(document, each.path)
    if value == "" or (each.form and not re.fullmatch(each.form, str(value))):
        return None
    return value


def mask(table: Table, without: Sequence[str] = ()) -> list[str]:
    """The top-level API fields of a table, in its order, each once: what a list call asks for."""
    return [name for name in dict.fromkeys(each.path[0] for each in table) if name not in without]


def raw_batch(table: Table, documents: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """Observed objects as they land in the raw layer: the columns of the table, and each object
    whole as `_json`.
    """
    arrays = [text_array([read(each, document) for document in documents]) for each in table]
    whole = pa.array(
        [json.dumps(document, ensure_ascii=False, separators=(",", ":")) for document in documents],
        pa.string(),
    )
    return pa.RecordBatch.from_arrays([*arrays, whole], names=[*columns(table), "_json"])


def raw_batches(
    table: Table, pages: Iterable[Sequence[Mapping[str, Any]]]
) -> Iterator[pa.RecordBatch]:
    """Pages as batches of some ten thousand rows; at least one, if an empty one, so that the table
    exists.
    """
    waiting: list[Mapping[str, Any]] = []
    for page in pages:
        waiting.extend(page)
        if len(waiting) >= ROWS_PER_BATCH:
            yield raw_batch(table, waiting)
            waiting = []
    yield raw_batch(table, waiting)


def names_batch(names: Sequence[tuple[str | None, ...]]) -> pa.RecordBatch:
    """The rows of names_taken; there is no one object behind them, so `_json` is empty."""
    arrays = [pa.array([name[at] for name in names], pa.string()) for at in range(len(NAMES_TAKEN))]
    return pa.RecordBatch.from_arrays(
        [*arrays, pa.nulls(len(names), pa.string())], names=[*NAMES_TAKEN, "_json"]
    )


def columns(table: Table) -> tuple[str, ...]:
    """The column names of a table, in its order."""
    return tuple(each.column for each in table)


def text_array(values: list[Any]) -> pa.Array:
    """A column of the raw layer: all text, booleans as `true` and `false`."""
    return pa.array(
        [
            ("true" if v else "false") if isinstance(v, bool) else None if v is None else str(v)
            for v in values
        ],
        pa.string(),
    )
