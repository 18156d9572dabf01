"""What a source's feeds look like: the nouns Layout, Feed and Column, read from
`ingestion/layouts/<name>.toml`.

In: a layout file (or the `tables` of a SQL source). Out: frozen values the other modules ask.
Refuses unknown keys and columns that no feed has, naming file, feed and key. Pure but for reading
the one file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from common import paths, settings
from ingestion import flags as flag_words
from ingestion.configured import FeedDocument, FlagWords, LayoutDocument, Limits, TableSettings
from ingestion.flags import Flag
from ingestion.tolerance import given
from ingestion.values import DECIMAL, PLAIN_DECIMAL, Type

LAYOUTS = Path(__file__).parent / "layouts"
# by its name: sourced_id, org_sourced_ids, user_name, next_school_code, home_phone, email
IDENTIFIER = re.compile(
    r"(^|_)(ids?|number|no|codes?|key|identifier|user_?name|login|e_?mails?|phone|sms|pen)($|_)"
)
FORMATS = {
    "delimited": {"delimiters"},
    "fixed": {
        *("positions", "trimmed", "skip_lines", "record_type", "records", "other_records"),
        *("header", "trailer", "trailer_count", "trailer_counts"),
    },
    "excel": {"sheet", "skip_lines"},
}


class LayoutError(settings.SettingsError):
    """A layout or source that says something we do not understand; the message names file, feed and
    key.
    """


def raw_name(heading: str) -> str:
    """The raw column of a heading: `Send Email and Autodialer Calls?` ->
    `send_email_and_autodialer_calls`.
    """
    return re.sub(r"[^a-z0-9]+", "_", heading.lower()).strip("_")


def plain(heading: str) -> str:
    """A heading without case, spacing and punctuation, for comparing: `Teacher  ID` and `Teacher
    Id` are one.
    """
    return re.sub(r"[\W_]+", "", heading.casefold())


@dataclass(frozen=True)
class Column:
    """One column of a feed, at its position in the file. Restricted columns are read over and never
    landed.
    """

    heading: str
    name: str
    restricted: bool = False


@dataclass(frozen=True)
class Reference:
    """Every value of `column` (each, where it is a list) should stand in `parent_column` of another
    feed of the source, whatever its case and the zeros before it; `exact`: letter by letter.
    `counted`: what points nowhere is told, and never refuses the feed.
    """

    column: str
    feed: str
    parent_column: str
    counted: bool = False
    exact: bool = False


@dataclass(frozen=True)
class Marks:
    """How the lines of a fixed-width file say what they are: `at` is where (first and last
    character), `count` where the trailer holds the number of what `counts` says.
    """

    at: tuple[int, int]
    rows: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    header: str = ""
    trailer: str = ""
    count: tuple[int, int] | None = None
    counts: str = "rows"

    def kind(self, line: str) -> str:
        """What a line is: `header`, `trailer`, `row`, `other`, or '' for none the layout knows."""
        said = line[self.at[0] - 1 : self.at[1]].strip()
        if said in (self.header, self.trailer) and said:
            return "header" if said == self.header else "trailer"
        if said in self.others:
            return "other"
        return "row" if not self.rows or said in self.rows else ""


@dataclass(frozen=True)
class Feed:
    """One file or table of a source, and what must hold before it may replace the last good one."""

    name: str
    columns: tuple[Column, ...]
    files: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    never_empty: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    person_key: tuple[str, ...] = ()  # who a row is about, where people have several and no key
    distinct: tuple[str, ...] = ()  # no two rows share these either, where the first is filled
    legacy_column_counts: tuple[int, ...] = ()
    order_known: bool = True
    optional: bool = (
        False  # a source may have none of it: never sent is no problem, no longer sent is one
    )
    optional_columns: tuple[
        str, ...
    ] = ()  # only some versions of the format have them: their absence is not worth a word
    delimiters: tuple[str, ...] = (",", "\t")
    ends_with_newline: bool = True
    format: str = "delimited"
    positions: tuple[
        tuple[int, int], ...
    ] = ()  # fixed: first and last character of each column, counted from 1
    trimmed: bool = False  # fixed: blanks at the end of a line may be left out
    marks: Marks | None = None  # fixed: how lines say what they are
    sheet: str = ""  # excel: the first when empty
    left_empty: frozenset[str] = (
        frozenset()
    )  # columns a district has no use for: there, and always empty
    unread: frozenset[str] = (
        frozenset()
    )  # columns no model and no check reads: there, and never landed
    opt_in: bool = False  # read only where the settings name it
    may_be_empty: bool = (
        False  # empty in summer is no news: what was landed before stays, and nothing waits for it
    )
    empty_after_closed_days: bool = (
        False  # without school on the day, or on the weekday before, no row is an answer
    )
    skip_lines: int = 0  # fixed, excel: lines or rows above the headings or the data
    limits: Limits = field(default_factory=Limits)
    aliases: Mapping[str, str] = field(default_factory=dict)  # plain other heading -> column name
    shapes: Mapping[str, str] = field(
        default_factory=dict
    )  # column name -> regular expression of its values
    school: str = ""  # the column that says which school a row belongs to
    report_key: str = ""  # the column whose value a reject may name: a student number, a staff id
    references: tuple[Reference, ...] = ()
    numbers: frozenset[str] = (
        frozenset()
    )  # columns of whole numbers, which a spreadsheet may have turned into others
    types: Mapping[str, Type] = field(
        default_factory=dict
    )  # column name -> what its values are, where they are more than a text
    date_format: str = ""  # the form of its dates, where they have two readings
    not_before: Mapping[str, str] = field(
        default_factory=dict
    )  # a date -> the one of the same row it cannot precede
    check_digit: Column | None = (
        # a number whose last digit proves the others; it may be restricted: it is only counted
        None
    )
    content_date: str = ""  # a column whose newest date says how new the content is
    flags: tuple[Flag, ...] = ()  # what restricted columns say, as letters
    tolerance: Mapping[str, Any] = field(
        default_factory=dict
    )  # thresholds that differ from the source's

    @property
    def landed(self) -> tuple[str, ...]:
        """The raw columns, in file order, then the flags."""
        return (*(one.name for one in self.columns if self._kept(one)), *self.flag_of)

    @property
    def flag_of(self) -> dict[str, Flag]:
        """Raw column -> the flag it is."""
        return {flag.name: flag for flag in self.flags}

    @property
    def read(self) -> tuple[Column, ...]:
        """The columns asked of a system that is asked by column: the landed ones, and those whose
        flag is.
        """
        flagged = {flag.column for flag in self.flags}
        return tuple(one for one in self.columns if self._kept(one) or one.name in flagged)

    def _kept(self, one: Column) -> bool:
        return not one.restricted and one.name not in self.unread

    def with_flags(self, places: Mapping[str, int]) -> dict[str, int]:
        """The landed columns of a file, and each flag where the column it is made of stands."""
        kept = {
            name: place
            for name, place in places.items()
            if name in self.landed and name not in self.left_empty
        }
        return kept | {
            flag.name: places[flag.column]
            for flag in self.flags
            if flag.column in places and flag.column not in self.left_empty
        }

    @property
    def identifiers(self) -> frozenset[str]:
        """The columns whose values are keys or addresses: what the layout says of them, or their
        name.
        """
        said = {*self.key, *self.never_empty, *self.shapes, *self.numbers, self.school}
        said |= {self.report_key, *(reference.column for reference in self.references)}
        return frozenset(name for name in self.landed if name in said or IDENTIFIER.search(name))

    def column(self, heading: str) -> Column | None:
        """The column a heading means, by its own name first and then by its aliases; None when it
        is unknown.
        """
        wanted = plain(heading)
        by_heading, by_name = self._known
        return by_heading.get(wanted) or by_name.get(self.aliases.get(wanted, ""))

    @cached_property
    def _known(self) -> tuple[dict[str, Column], dict[str, Column]]:
        return (
            {plain(column.heading): column for column in self.columns},
            {column.name: column for column in self.columns},
        )

    def matches(self, file_name: str) -> bool:
        """Whether a file may be this feed's, by its name; letter case is ignored."""
        return any(fnmatchcase(file_name.lower(), pattern.lower()) for pattern in self.files)


@dataclass(frozen=True)
class Layout:
    """All feeds of a source and who can mend them."""

    name: str
    feeds: tuple[Feed, ...]
    owner: str = ""
    archives: tuple[str, ...] = ()  # names of zip files whose members are read like files
    limits: Limits = field(default_factory=Limits)
    tables: tuple[
        Feed, ...
    ] = ()  # feeds that are not read here, but whose tables the models ask for

    def is_archive(self, file_name: str) -> bool:
        """Whether a file is to be opened for its members, by its name; letter case is ignored."""
        return any(fnmatchcase(file_name.lower(), pattern.lower()) for pattern in self.archives)


def load(name: str) -> Layout:
    """The layout `ingestion/layouts/<name>.toml`, the project's own `layouts/<name>.toml` before
    it, or a path that ends in .toml.
    """
    folders = [paths.home() / "layouts", LAYOUTS]
    there = (folder / f"{name}.toml" for folder in folders)
    path = next((one for one in there if one.is_file()), LAYOUTS / f"{name}.toml")
    if name.endswith(".toml"):
        path = (paths.district() or Path()) / name
    if not path.is_file():
        known = ", ".join(
            sorted({file.stem for folder in folders for file in folder.glob("*.toml")})
        )
        raise LayoutError(
            f"there is no layout {path}; known layouts: {known}; add the file or mend `layout` in"
            " the settings"
        )
    text = path.read_text(encoding="utf-8")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LayoutError(f"{path} is not TOML: {error}") from None
    return parse(path.stem, document, lambda key: f"{path}, line {settings.line_of(text, key)}: ")


def of_district(
    layout: Layout,
    *,
    feeds: Iterable[str] | None = None,
    files: Mapping[str, Iterable[str]] | None = None,
    aliases: Mapping[str, str] | None = None,
    archives: tuple[str, ...] | None = None,
    delimiters: tuple[str, ...] | None = None,
    leave_empty: Iterable[str] = (),
    check_digits: bool = True,
    date_format: Mapping[str, str] | None = None,
    flags: Mapping[str, FlagWords] | None = None,
) -> Layout:
    """The layout as one district gets it: its feeds (when it does not say: those not on request),
    its own file names, archives, delimiters and spellings of headings, and columns it wants left
    empty. Refuses names the layout does not have.
    """
    known = [feed.name for feed in layout.feeds]
    wanted = (
        [feed.name for feed in layout.feeds if not feed.opt_in] if feeds is None else list(feeds)
    )
    if unknown := sorted({*wanted, *(files or {}), *(date_format or {})} - set(known)):
        raise LayoutError(
            f"layout {layout.name} has no feed {', '.join(unknown)}; it has {', '.join(known)}"
        )
    if lost := [
        heading
        for heading in [*(aliases or {}).values(), *leave_empty]
        if all(feed.column(heading) is None for feed in layout.feeds)
    ]:
        raise LayoutError(
            f"layout {layout.name}: {', '.join(lost)} is no column of any feed; mend aliases or"
            " leave_empty in the settings"
        )
    _known_flags(f"layout {layout.name}", layout.feeds, flags or {})
    read = []
    for feed in (feed for feed in layout.feeds if feed.name in wanted):
        left = frozenset(column.name for heading in leave_empty if (column := feed.column(heading)))
        if needed := sorted(left & {*feed.required, *feed.never_empty, *feed.key}):
            raise LayoutError(
                f"layout {layout.name}, feed {feed.name}: {', '.join(needed)} is required and"
                " cannot be left empty"
            )
        names = tuple((files or {}).get(feed.name, feed.files))
        kept = tuple(
            reference for reference in feed.references if reference.feed in wanted
        )  # a feed not taken vouches for nothing
        spellings = {**feed.aliases, **_aliases(feed.columns, aliases or {})}
        check_digit = feed.check_digit if check_digits else None
        if delimiters is not None and feed.format == "delimited":
            feed = replace(feed, delimiters=_delimiters(f"layout {layout.name}", delimiters))
        read.append(
            replace(
                feed,
                files=names,
                aliases=spellings,
                left_empty=left,
                references=kept,
                check_digit=check_digit,
                date_format=(date_format or {}).get(feed.name, feed.date_format),
                flags=tuple(
                    flag_words.of_district(one, (flags or {}).get(one.name)) for one in feed.flags
                ),
            )
        )
    return replace(
        layout,
        feeds=tuple(read),
        archives=layout.archives if archives is None else archives,
        tables=tuple(feed for feed in layout.feeds if not feed.opt_in and feed.name not in wanted),
    )


def within(layout: Layout, said: Limits | None) -> Layout:
    """The layout with the limits of its source; what those do not say stays."""
    if said is None:
        return layout
    limits = layout.limits.model_copy(update=said.model_dump(exclude_unset=True))
    feeds = tuple(replace(feed, limits=limits) for feed in layout.feeds)
    return replace(layout, limits=limits, feeds=feeds)


def parse(
    name: str, document: Mapping[str, Any], place: Callable[[tuple[str, ...]], str] | None = None
) -> Layout:
    """A layout from its document; refuses unknown keys, feeds without columns, names no
    column has. `place` says where a key of it stands.
    """
    said = settings.parse(
        LayoutDocument, document, (), place or (lambda _: f"layout {name}: "), LayoutError
    )
    restricted = {plain(heading) for heading in said.restricted}
    feeds = tuple(_feed(name, feed, facts, said, restricted) for feed, facts in said.feeds.items())
    if not feeds:
        raise LayoutError(f"layout {name} has no feeds: add at least one [feeds.<name>] table")
    _known_parents(f"layout {name}", feeds)
    return Layout(name, feeds, said.owner, said.archives, said.limits)


# what a source calls its tables, and where they are
KINDS_OF_TABLES = {
    "sql": ("tables", "the database"),
    "rest": ("resources", "the API"),
    "dlt": ("resources", "the service"),
}


def from_tables(
    source: str,
    tables: Mapping[str, TableSettings],
    kind: str = "sql",
    flags: Mapping[str, FlagWords] | None = None,
) -> Layout:
    """The layout of a SQL, REST or dlt source, from `[sources.<source>.tables.<feed>]`: columns,
    required, key. Where the system has a layout of its name, what is restricted there is so here.
    """
    called, system = KINDS_OF_TABLES[kind]
    if not tables:
        raise LayoutError(
            f"source {source} has no {called}: add at least one [sources.{source}.{called}.<name>]"
            " with columns and key"
        )
    feeds = []
    usual = {feed.name: feed for feed in _usual(source)}
    restricted = {
        plain(one.heading) for feed in usual.values() for one in feed.columns if one.restricted
    }
    _known_flags(f"source {source}", usual.values(), flags or {})
    for name, facts in tables.items():
        where = f"[sources.{source}.{called}.{name}]"
        columns = tuple(
            Column(heading, raw_name(heading), plain(heading) in restricted)
            for heading in facts.columns
        )
        if not columns:
            raise LayoutError(
                f"{where} has no columns: list the ones to read; what is not listed is never read"
            )
        if facts.cursor and (
            not facts.key
            or plain(facts.cursor) not in {plain(column.heading) for column in columns}
        ):
            raise LayoutError(
                f"{where}: a cursor must be one of the columns, and changes are merged by key: list"
                " both"
            )
        feeds.append(
            _as_usual(
                Feed(
                    name,
                    columns,
                    required=_names(where, columns, {}, facts.required),
                    never_empty=_names(
                        where,
                        columns,
                        {},
                        facts.key if facts.never_empty is None else facts.never_empty,
                    ),
                    key=_names(where, columns, {}, facts.key),
                    delimiters=(",",),
                    **_trust(where, columns, {}, facts, None),
                ),
                usual.get(name),
                flags or {},
            )
        )
    _known_parents(f"source {source}", feeds)
    return Layout(source, tuple(feeds), f"whoever looks after {system} of {source}")


def _usual(source: str) -> tuple[Feed, ...]:
    """The feeds of the layout of a source's own name: what is read there from files."""
    return load(source).feeds if (LAYOUTS / f"{source}.toml").is_file() else ()


def _as_usual(feed: Feed, usual: Feed | None, flags: Mapping[str, FlagWords]) -> Feed:
    """What a column is does not depend on the road it comes by: a table has what its file has,
    where it does not say otherwise.
    """
    if usual is None:
        return feed
    there = set(feed.landed)

    def here(pairs: Mapping[str, Any]) -> dict[str, Any]:
        return {name: said for name, said in pairs.items() if name in there}

    return replace(
        feed,
        types=here(usual.types) | dict(feed.types),
        shapes=here(usual.shapes) | dict(feed.shapes),
        not_before={
            name: other
            for name, other in (here(usual.not_before) | dict(feed.not_before)).items()
            if other in there
        },
        date_format=feed.date_format or usual.date_format,
        flags=tuple(flag_words.of_district(one, flags.get(one.name)) for one in usual.flags),
    )


def _feed(
    layout: str, name: str, facts: FeedDocument, document: LayoutDocument, restricted: set[str]
) -> Feed:
    where = f"layout {layout}, feed {name}"
    if name == "rejects" or raw_name(name) != name:
        raise LayoutError(
            f"{where}: a feed's name is a table's name in snake_case, and rejects is taken"
        )
    columns = tuple(
        Column(heading, raw_name(heading), plain(heading) in restricted)
        for heading in facts.columns
    )
    if not columns or not facts.files:
        raise LayoutError(f"{where}: `files` and `columns` are needed")
    twice = sorted(
        {
            column.name
            for column in columns
            if sum(other.name == column.name for other in columns) > 1
        }
    )
    if twice:
        raise LayoutError(f"{where}: column {', '.join(twice)} stands twice")
    aliases = {**_aliases(columns, document.aliases), **_aliases(columns, facts.aliases)}
    numbers = [heading for heading in document.numbers if plain(heading) in _plain_names(columns)]
    return Feed(
        name=name,
        columns=columns,
        files=facts.files,
        required=_names(where, columns, aliases, facts.required),
        never_empty=_names(where, columns, aliases, facts.never_empty),
        key=_names(where, columns, aliases, facts.key),
        person_key=_names(where, columns, aliases, facts.person_key),
        distinct=_names(where, columns, aliases, facts.distinct),
        legacy_column_counts=facts.legacy_column_counts,
        order_known=facts.order_known,
        optional=facts.optional,
        optional_columns=_names(where, columns, aliases, facts.optional_columns),
        opt_in=facts.opt_in,
        may_be_empty=facts.may_be_empty,
        empty_after_closed_days=facts.empty_after_closed_days,
        **_kind(where, facts, document, len(columns)),
        limits=document.limits,
        aliases=aliases,
        numbers=frozenset(_names(where, columns, aliases, numbers)),
        flags=_flags(where, columns, facts),
        check_digit=_checked_column(where, columns, facts.check_digit),
        shapes={
            column: shape
            for column, shape in document.shapes.items()
            if column in {c.name for c in columns}
        },
        **_trust(where, columns, aliases, facts, document),
    )


def _flags(where: str, columns: tuple[Column, ...], facts: FeedDocument) -> tuple[Flag, ...]:
    """The flags of a feed; each is made of a restricted column, for a purpose."""
    there = {plain(column.heading): column for column in columns}
    found = []
    for name, said in facts.flags.items():
        column = there.get(plain(said.of))
        if column is None or not column.restricted or not said.purpose:
            raise LayoutError(
                f"{where}: flag {name} needs `of`, a restricted heading of this feed, and a"
                " `purpose`"
            )
        if raw_name(name) != name or name in {one.name for one in columns}:
            raise LayoutError(
                f"{where}: flag {name} needs a name in snake_case that no column of the feed has"
            )
        found.append(flag_words.flag_of(name, column.name, said))
    return tuple(found)


def _known_flags(where: str, feeds: Iterable[Feed], given: Mapping[str, FlagWords]) -> None:
    known = {flag.name for feed in feeds for flag in feed.flags}
    if unknown := sorted(set(given) - known):
        raise LayoutError(
            f"{where} has no flag {', '.join(unknown)}; it has {', '.join(sorted(known)) or 'none'}"
        )


def _trust(
    where: str,
    columns: tuple[Column, ...],
    aliases: Mapping[str, str],
    facts: FeedDocument | TableSettings,
    document: LayoutDocument | None,
) -> dict[str, Any]:
    """What the trust gate asks of a feed. `school` and `report_key` may stand at the top of a
    layout, for every feed that has such a column.
    """
    there = {plain(column.heading) for column in columns if not column.restricted} | set(aliases)
    found: dict[str, Any] = {}
    for name in ("school", "report_key"):
        of_all = getattr(document, name) if document else ()
        heading = getattr(facts, name) or next((one for one in of_all if plain(one) in there), "")
        found[name] = _names(where, columns, aliases, [heading])[0] if heading else ""
    found["types"] = _types(where, columns, aliases, facts, document)
    if facts.content_date:
        found["content_date"] = _names(where, columns, aliases, [facts.content_date])[0]
        found["types"].setdefault(found["content_date"], "date")
    found["date_format"] = facts.date_format
    found["not_before"] = dict(
        _names(where, columns, aliases, pair) for pair in facts.not_before.items()
    )
    references = []
    exact = set(_names(where, columns, aliases, facts.exact_references))
    for heading, parent in (*facts.references.items(), *facts.counted_references.items()):
        feed, _, parent_heading = parent.partition(".")
        references.append(
            Reference(
                _names(where, columns, aliases, [heading])[0],
                feed,
                raw_name(parent_heading or heading),
                heading not in facts.references,
                _names(where, columns, aliases, [heading])[0] in exact,
            )
        )
    return {**found, "references": tuple(references), "tolerance": given(facts)}


def _types(
    where: str,
    columns: tuple[Column, ...],
    aliases: Mapping[str, str],
    facts: FeedDocument | TableSettings,
    document: LayoutDocument | None,
) -> dict[str, Type]:
    """What is said at the top of a layout of every feed that has such a column, and of this one."""
    there = _plain_names(columns)
    of_all = document.types if document else {}
    said = {name: kind for name, kind in of_all.items() if plain(name) in there} | facts.types
    if isinstance(facts, TableSettings):  # a database or service writes numbers as programs do
        said = {n: PLAIN_DECIMAL if kind == DECIMAL else kind for n, kind in said.items()}
    return {_names(where, columns, aliases, [name])[0]: kind for name, kind in said.items()}


def _plain_names(columns: Iterable[Column]) -> set[str]:
    return {plain(column.heading) for column in columns}


def _checked_column(where: str, columns: Iterable[Column], heading: str) -> Column | None:
    found = next((column for column in columns if plain(column.heading) == plain(heading)), None)
    if heading and found is None:
        raise LayoutError(f"{where}: {heading!r} is none of its columns")
    return found


def _known_parents(where: str, feeds: Iterable[Feed]) -> None:
    """Every reference names a feed and a column of this very source; rows may name others of their
    own feed, as a supervisor's.
    """
    known = {
        feed.name: {column.name for column in feed.columns if not column.restricted}
        for feed in feeds
    }
    for feed in feeds:
        for reference in feed.references:
            own = reference.feed == feed.name
            itself = own and reference.column == reference.parent_column
            if itself or reference.parent_column not in known.get(reference.feed, ()):
                raise LayoutError(
                    f"{where}, feed {feed.name}: references names"
                    f" {reference.feed}.{reference.parent_column}, which is no other column"
                )


def _kind(
    where: str, facts: FeedDocument, document: LayoutDocument, columns: int
) -> dict[str, Any]:
    """What tells how the file of a feed is to be read; refuses settings that its format has no use
    for.
    """
    form = facts.format
    useless = sorted((facts.model_fields_set & set().union(*FORMATS.values())) - FORMATS[form])
    if useless:
        raise LayoutError(f"{where}: {', '.join(useless)} means nothing for format {form!r}")
    delimiters = document.delimiters if facts.delimiters is None else facts.delimiters
    ending = facts.ends_with_newline
    kind: dict[str, Any] = {
        "format": form,
        "delimiters": delimiters if form == "delimited" else (",",),
        "ends_with_newline": document.ends_with_newline if ending is None else ending,
        "trimmed": facts.trimmed,
        "sheet": facts.sheet,
        "skip_lines": facts.skip_lines,
    }
    _delimiters(where, kind["delimiters"])
    if form == "fixed":
        kind["positions"] = _positions(where, facts.positions, columns)
        kind["marks"] = _marks(where, facts)
    return kind


def _delimiters(where: str, delimiters: tuple[str, ...]) -> tuple[str, ...]:
    """Delimiters that can be told from values."""
    odd = [mark for mark in delimiters if len(mark) != 1 or mark.isalnum() or mark in "\"'\r\n\\ "]
    if odd or not delimiters:
        raise LayoutError(
            f"{where}: a delimiter is one character that stands in no value, such as , ; | or a"
            f" tab, not {odd}"
        )
    return delimiters


def _marks(where: str, facts: FeedDocument) -> Marks | None:
    """How the lines of a fixed-width file say what they are; None where all of them are rows."""
    said = [*facts.records, *facts.other_records, facts.header, facts.trailer]
    named = [one for one in said if one]
    if not facts.record_type:
        if named or facts.trailer_count:
            raise LayoutError(
                f'{where}: record_type is missing: where a line says what it is, like "1-2"'
            )
        return None
    at = _position(where, "record_type", facts.record_type)
    if not named or len(set(named)) < len(named) or any(one != one.strip() for one in named):
        raise LayoutError(
            f"{where}: records, other_records, header and trailer name what stands at record_type,"
            " each its own, without blanks around it"
        )
    if long := [one for one in named if len(one) > at[1] - at[0] + 1]:
        raise LayoutError(f"{where}: {long[0]!r} is longer than record_type {facts.record_type}")
    if facts.trailer_count and not facts.trailer:
        raise LayoutError(f"{where}: trailer_count needs trailer: what the last line says")
    return Marks(
        at,
        facts.records,
        facts.other_records,
        facts.header,
        facts.trailer,
        _position(where, "trailer_count", facts.trailer_count) if facts.trailer_count else None,
        facts.trailer_counts,
    )


def _position(where: str, key: str, given: str) -> tuple[int, int]:
    found = re.fullmatch(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?", given)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 0 < first <= last:
        raise LayoutError(
            f'{where}: {key} must name a first and a last character, like "1-2", not {given!r}'
        )
    return first, last


def _positions(where: str, given: Iterable[str], columns: int) -> tuple[tuple[int, int], ...]:
    """`1-10` and so on, one per column, from left to right."""
    found = [re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", str(one)) for one in given]
    positions = tuple((int(match[1]), int(match[2] or match[1])) for match in found if match)
    ends = [0, *(last for _, last in positions)]
    backwards = any(
        first <= before or last < first
        for (first, last), before in zip(positions, ends, strict=False)
    )
    if len(positions) != len(found) or len(positions) != columns or backwards:
        raise LayoutError(
            f"{where}: positions must name first and last character of each of its"
            f' {columns} columns, from left to right, like "1-10", "11-35"'
        )
    return positions


def _aliases(columns: Iterable[Column], pairs: Mapping[str, str]) -> dict[str, str]:
    """Plain alias -> column name, for those aliases whose column this feed has."""
    names = {plain(column.heading): column.name for column in columns}
    return {
        plain(other): names[plain(heading)]
        for other, heading in pairs.items()
        if plain(heading) in names and plain(other) not in names
    }


def _names(
    where: str, columns: Iterable[Column], aliases: Mapping[str, str], headings: Iterable[str]
) -> tuple[str, ...]:
    names = {plain(column.heading): column.name for column in columns}
    found = []
    for heading in headings:
        name = names.get(plain(heading)) or aliases.get(plain(heading))
        if name is None:
            raise LayoutError(f"{where}: {heading!r} is none of its columns")
        found.append(name)
    return tuple(found)
