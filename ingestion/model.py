"""The nouns of ingestion: a file that was fetched, one that may be trusted, one that is refused, a
line rejected.

Pure: the standard library, findings and layouts only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import chain, islice
from pathlib import Path

from common import problems
from common.findings import Finding
from ingestion.layout import Feed


class SourceUnreachableError(Exception):
    """The whole source could not be read; the message says why and what to do."""


class RefusedError(Exception):
    """A feed may not replace the last good one: a code of the catalogue and its values, with the
    line where one shows it.
    """

    def __init__(self, code: str, values: problems.Values, line: int | None = None) -> None:
        self.code, self.line = code, line
        self.values = problems.shown(values if line is None else {**values, "line": line})
        super().__init__(problems.sentence(code, self.values))


@dataclass(frozen=True)
class Fetched:
    """A feed's file, copied here whole. `name` is its name at the source; `sha256` is of its
    original bytes.
    """

    name: str
    path: Path
    sha256: str
    size: int
    modified_at: datetime

    @property
    def tag(self) -> str:
        """What stands in `_file` of every row that came from it."""
        return f"{self.name}#{self.sha256[:12]}"


@dataclass(frozen=True)
class Problem:
    """Why a feed has no file tonight: a code of the catalogue and its values."""

    code: str
    values: problems.Values

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", problems.shown(self.values))


@dataclass(frozen=True)
class Look:
    """What `check` says of a source: what works and what does not, in one line; and whether a night
    could read it all.
    """

    line: str
    good: bool


@dataclass(frozen=True)
class Fetch:
    """What came of one visit to a source: per feed its file or its problem."""

    feeds: dict[str, Fetched | Problem]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class LastGood:
    """What is landed of a feed now, as the warehouse shows it, and what the ledger remembers of its
    last good load.
    """

    # the warehouse
    rows: int = 0
    tag: str = ""  # `_file` of the rows
    columns: tuple[str, ...] = ()
    read_as: Mapping[str, str] = field(default_factory=dict)  # column -> `land.read_as`
    loaded_at: str = ""  # a date, for sentences
    loaded_epoch: float = 0.0
    # the ledger
    run_id: str = ""
    sha256: str = ""
    file: str = ""
    encoding: str = ""
    was: int = 0
    was_rejected: int = 0
    modified_at: float = 0.0  # seconds since 1970, of the file at its source
    earlier: frozenset[str] = frozenset()  # hashes of files loaded before that one
    loads: tuple[tuple[str, str, float], ...] = ()  # files that were landed, see `past.Load`
    history: tuple[
        int, ...
    ] = ()  # rows of the last good loads, newest first, back to the last drop a person accepted
    schools: Mapping[str, int] = field(
        default_factory=dict
    )  # school -> rows in the last load in which it was whole
    held_partitions: tuple[str, ...] = ()  # schools that collapsed in the last load
    changed_on: date | None = None  # the day (as_of) of that load
    met_on: date | None = (
        None  # the last day the source confirmed it: loaded, or met again unchanged
    )
    content_on: date | None = None  # the day its content speaks of


@dataclass(frozen=True)
class Reject:
    """One record that is not landed: where it stands, why (a code of the catalogue and its values),
    and the hash of its bytes without the line end.
    """

    line: int
    code: str
    sha256: str
    column: str = ""  # raw column, where it is known which one is wrong
    record: str = (
        ""  # the record's key (student number, staff id), where it can be told for certain
    )
    school_number: str = ""
    values: problems.Values = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Why, as a person reads it."""
        return problems.sentence(self.code, self.values)


@dataclass(frozen=True)
class Trusted:
    """A file that may be landed."""

    feed: Feed
    file: Fetched
    encoding: str
    delimiter: str
    has_header: bool
    fields: int
    places: dict[str, int]  # raw column -> position in the file
    clean: Path  # UTF-8, LF, the whole records only, no heading line
    runs: tuple[tuple[int, int], ...]  # (first line, count) of records that follow each other
    spelled: Mapping[str, Mapping[str, str]] = field(
        default_factory=dict
    )  # column -> what it writes otherwise than the record it means -> that record's spelling
    repaired: frozenset[str] = frozenset()  # columns in which a spreadsheet has changed numbers
    unseen: bool = False  # whether it holds characters nobody can see: they are stripped
    types: Mapping[str, str] = field(default_factory=dict)  # column -> what its values are read as
    kept: Mapping[str, Mapping[int, str | None]] = field(
        default_factory=dict
    )  # column -> row -> the last good value, where tonight's cannot be read; None: there was none
    rejects: tuple[Reject, ...] = ()
    findings: tuple[Finding, ...] = ()
    schools: Mapping[str, int] = field(
        default_factory=dict
    )  # school -> rows the next load is measured against
    held_partitions: tuple[
        str, ...
    ] = ()  # schools that collapsed: the feed passes, their changes wait
    content_on: date | None = None  # the day its content speaks of
    content_named: bool = False  # by the file's name, not by the newest date in it

    @property
    def good(self) -> int:
        """Rows to land."""
        return sum(count for _, count in self.runs)

    @property
    def rows_in(self) -> int:
        """Rows of the file."""
        return self.good + len(self.rejects)

    def lines(self) -> Iterator[int]:
        """The line of each row to land, in file order."""
        return chain.from_iterable(range(first, first + count) for first, count in self.runs)

    def line_of(self, row: int) -> int:
        """The line of the n-th row to land, counted from 1."""
        return next(islice(self.lines(), row - 1, None))
