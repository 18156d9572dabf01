"""Query: what a list of OneRoster may be asked for: `limit`, `offset`, `sort`, `orderBy`, `filter`,
`fields`.

In: the parameters of a call, the fields a list has. Out: a `Query`, and of records those it means.
Pure. Refused (`QueryError`, in the words of the standard): a filter nobody can read or of a field
there is not, a page of no size. A sort or a selection of a field there is not is answered in the
default order, with every field, and a warning (1EdTech, OneRoster 1.1, sections 3.3 and 3.4).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Record = Mapping[str, Any]
PAGE = 100  # the standard's own
DATE_TIME = "dateLastModified"
CLAUSE = re.compile(r"\s*([A-Za-z][\w.]*)\s*(!=|>=|<=|=|>|<|~)\s*'((?:[^']|'')*)'\s*")
LOGICAL = re.compile(r"(AND|OR)(?=\s|$)")
ORDERED: Mapping[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class QueryError(ValueError):
    """A query nobody can follow: the standard's word for it, and a sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Clause:
    """`field op 'value'`."""

    field: str
    op: str
    value: str

    def holds(self, record: Record) -> bool:
        found = values_at(record, self.field.split("."))
        if self.field == DATE_TIME:
            return compared(self.op, moment(str(found[0])), moment(self.value)) if found else False
        texts, wanted = [str(one).casefold() for one in found], self.value.casefold()
        listed = {one.strip() for one in wanted.split(",")}
        if self.op == "~":
            return any(wanted in text for text in texts) or (bool(texts) and listed <= {*texts})
        if self.op in {"=", "!="}:
            same = {*texts} == listed or texts == [wanted] or (not texts and not wanted)
            return same == (self.op == "=")
        return any(ORDERED[self.op](text, wanted) for text in texts)


@dataclass(frozen=True)
class Query:
    """What of a list is asked for. `filter`: any of these groups of clauses, all of a group."""

    limit: int = PAGE
    offset: int = 0
    sort: str = "sourcedId"
    descending: bool = False
    filter: tuple[tuple[Clause, ...], ...] = ()
    fields: tuple[str, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()

    def chosen(self, records: Sequence[Record]) -> list[Record]:
        """All records the filter means, in the order that is asked for."""
        kept = [
            one
            for one in records
            if not self.filter or any(all(c.holds(one) for c in group) for group in self.filter)
        ]
        kept.sort(key=lambda one: str(one["sourcedId"]))
        if (self.sort, self.descending) != ("sourcedId", False):
            there = [one for one in kept if values_at(one, self.sort.split("."))]
            there.sort(
                key=lambda one: [str(v) for v in values_at(one, self.sort.split("."))],
                reverse=self.descending,
            )
            known = {id(one) for one in there}
            kept = [*there, *(one for one in kept if id(one) not in known)]  # without one: last
        return kept

    def shown(self, record: Record) -> Record:
        """The fields that are asked for."""
        if not self.fields:
            return record
        return {name: value for name, value in record.items() if name in self.fields}


def read(given: Mapping[str, str], known: Collection[str], largest: int) -> Query:
    """A query of the parameters of a call. Raises QueryError."""
    warnings = []
    sort, fields = given.get("sort") or "sourcedId", given.get("fields")
    if sort.split(".")[0] not in known:
        warnings.append(("invalid_sort_field", f"there is no field {sort!r} to sort by"))
        sort = "sourcedId"
    order = given.get("orderBy", "asc").lower()
    if order not in {"asc", "desc"}:
        raise QueryError("invaliddata", "orderBy is asc or desc")
    listed: tuple[str, ...] = ()
    if fields is not None:
        listed = tuple(name.strip() for name in fields.split(","))
        if not all(listed):
            raise QueryError("invalid_selection_field", "fields names an empty field")
        if strange := [name for name in listed if name not in known]:
            warnings.append(
                ("invalid_selection_field", f"there is no field {strange[0]!r}; all are given")
            )
            listed = ()
    limit = _number(given, "limit", PAGE, 1)
    if limit > largest:
        raise QueryError("invaliddata", f"limit is {largest:,} at most")
    return Query(
        limit,
        _number(given, "offset", 0, 0),
        sort,
        order == "desc",
        _filter(given["filter"], known) if given.get("filter") else (),
        listed,
        tuple(warnings),
    )


def _number(given: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = given.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
        raise QueryError("invaliddata", f"{name} is a whole number, {least} or more")
    return int(text)


def _filter(text: str, known: Collection[str]) -> tuple[tuple[Clause, ...], ...]:
    """`a='1' AND b>'2' OR c~'3'`: AND binds before OR."""
    groups: list[list[Clause]] = [[]]
    at = 0
    while True:
        if not (found := CLAUSE.match(text, at)):
            raise QueryError("invalid_filter_field", "a filter reads field='value', AND, OR")
        field, op, value = found[1], found[2], found[3].replace("''", "'")
        if field.split(".")[0] not in known:
            raise QueryError("invalid_filter_field", f"there is no field {field!r}")
        if field == DATE_TIME:
            moment(value)
        groups[-1].append(Clause(field, op, value))
        at = found.end()
        if at == len(text):
            return tuple(map(tuple, groups))
        if not (word := LOGICAL.match(text, at)):
            raise QueryError("invalid_filter_field", "between two conditions stands AND or OR")
        if word[1] == "OR":
            groups.append([])
        at = word.end()


def values_at(record: Any, path: Sequence[str]) -> list[Any]:
    """What stands at a path, of every entry of a list; nothing where there is none."""
    if isinstance(record, list):
        return [value for one in record for value in values_at(one, path)]
    if not path:
        return [] if record is None else [record]
    return values_at(record[path[0]], path[1:]) if path[0] in record else []


def moment(text: str) -> datetime:
    """A moment to the thousandth of a second; a `+` that travelled as a space is one. Raises
    QueryError.
    """
    try:
        found = datetime.fromisoformat(re.sub(r" (\d\d:?\d\d)$", r"+\1", text.strip()))
    except ValueError:
        raise QueryError(
            "invalid_filter_field", f"{DATE_TIME} is compared with a time, 2026-09-30T06:00:00Z"
        ) from None
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


def compared(op: str, one: datetime, other: datetime) -> bool:
    if op in {"=", "~"}:
        return one == other
    return one != other if op == "!=" else ORDERED[op](one, other)
