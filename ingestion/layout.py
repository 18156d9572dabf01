"""What a source's feeds look like: the nouns Layout, Feed and Column, read from `ingestion/layouts/<name>.toml`.

In: a layout file (or the `tables` of a SQL source). Out: frozen values the other modules ask. Refuses unknown keys
and columns that no feed has, naming file, feed and key. Pure but for reading the one file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

LAYOUTS = Path(__file__).parent / "layouts"
LAYOUT_KEYS = {"owner", "delimiters", "ends_with_newline", "restricted", "shapes", "aliases", "feeds", "school", "record"}
FEED_KEYS = {"files", "columns", "older_counts", "order_known", "required", "never_empty", "key", "minimum_share", "stale_after_days", "aliases",
             "optional", "optional_columns"}  # fmt: skip
# What the trust gate asks of a feed (docs/trust.md), for files and for tables alike.
THRESHOLDS = {
    "minimum_share", "good_loads", "school_share", "school_rows", "most_schools", "orphan_share", "most_rejected",
    "stale_after_days", "refuse_after_days", "last_good_days",
}  # fmt: skip
TRUST_KEYS = THRESHOLDS | {"school", "record", "references", "content_date"}


class LayoutError(Exception):
    """A layout or source that says something we do not understand; the message names file, feed and key."""


def raw_name(heading: str) -> str:
    """The raw column of a heading: `Send Email and Autodialer Calls?` -> `send_email_and_autodialer_calls`."""
    return re.sub(r"[^a-z0-9]+", "_", heading.lower()).strip("_")


def plain(heading: str) -> str:
    """A heading without case, spacing and punctuation, for comparing: `Teacher  ID` and `Teacher Id` are one."""
    return re.sub(r"[\W_]+", "", heading.casefold())


@dataclass(frozen=True)
class Column:
    """One column of a feed, at its position in the file. Restricted columns are read over and never landed."""

    heading: str
    name: str
    restricted: bool = False


@dataclass(frozen=True)
class Reference:
    """Every value of `column` should stand in `parent_column` of another feed of the source."""

    column: str
    feed: str
    parent_column: str


@dataclass(frozen=True)
class Feed:
    """One file or table of a source, and what must hold before it may replace the last good one."""

    name: str
    columns: tuple[Column, ...]
    files: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    never_empty: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    older_counts: tuple[int, ...] = ()
    order_known: bool = True
    minimum_share: float | None = None
    optional: bool = False  # a source may have none of it: never sent is no problem, no longer sent is one
    optional_columns: tuple[str, ...] = ()  # only some versions of the format have them: their absence is not worth a word
    delimiters: tuple[str, ...] = (",", "\t")
    ends_with_newline: bool = True
    aliases: Mapping[str, str] = field(default_factory=dict)  # plain other heading -> column name
    shapes: Mapping[str, str] = field(default_factory=dict)  # column name -> regular expression of its values
    school: str = ""  # the column that says which school a row belongs to
    record: str = ""  # the column whose value a reject may name: a student number, a staff id
    references: tuple[Reference, ...] = ()
    content_date: str = ""  # a column whose newest date says how new the content is
    tolerance: Mapping[str, Any] = field(default_factory=dict)  # thresholds that differ from the source's

    @property
    def landed(self) -> tuple[str, ...]:
        """The raw columns, in file order."""
        return tuple(column.name for column in self.columns if not column.restricted)

    def column(self, heading: str) -> Column | None:
        """The column a heading means, by its own name first and then by its aliases; None when it is unknown."""
        wanted = plain(heading)
        by_heading = {plain(column.heading): column for column in self.columns}
        by_name = {column.name: column for column in self.columns}
        return by_heading.get(wanted) or by_name.get(self.aliases.get(wanted, ""))

    def matches(self, file_name: str) -> bool:
        """Whether a file may be this feed's, by its name; letter case is ignored."""
        return any(fnmatchcase(file_name.lower(), pattern.lower()) for pattern in self.files)


@dataclass(frozen=True)
class Layout:
    """All feeds of a source and who can mend them."""

    name: str
    feeds: tuple[Feed, ...]
    owner: str = ""


def load(name: str) -> Layout:
    """The layout `ingestion/layouts/<name>.toml`, or a path that ends in .toml."""
    path = Path(name) if name.endswith(".toml") else LAYOUTS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in LAYOUTS.glob("*.toml")))
        raise LayoutError(f"there is no layout {path}; known layouts: {known}; add the file or mend `layout` in the settings")
    try:
        return parse(path.stem, tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise LayoutError(f"{path} is not TOML: {error}") from None


def parse(name: str, document: Mapping[str, Any]) -> Layout:
    """A layout from its document; refuses unknown keys, feeds without columns, names no column has."""
    _only(f"layout {name}", document, LAYOUT_KEYS)
    restricted = {plain(heading) for heading in document.get("restricted", ())}
    feeds = tuple(_feed(name, feed, facts, document, restricted) for feed, facts in document.get("feeds", {}).items())
    if not feeds:
        raise LayoutError(f"layout {name} has no feeds: add at least one [feeds.<name>] table")
    _known_parents(f"layout {name}", feeds)
    return Layout(name, feeds, document.get("owner", ""))


def from_tables(source: str, tables: Mapping[str, Mapping[str, Any]]) -> Layout:
    """The layout of a SQL source, from `[sources.<source>.tables.<feed>]`: columns, required, key."""
    if not tables:
        raise LayoutError(f"source {source} has no tables: add at least one [sources.{source}.tables.<name>] with columns and key")
    feeds = []
    for name, facts in tables.items():
        where = f"[sources.{source}.tables.{name}]"
        _only(where, facts, {"columns", "required", "key", "table", "schema"} | TRUST_KEYS)
        columns = tuple(Column(heading, raw_name(heading)) for heading in facts.get("columns", ()))
        if not columns:
            raise LayoutError(f"{where} has no columns: list the ones to read; what is not listed is never read")
        feeds.append(
            Feed(
                name,
                columns,
                required=_names(where, columns, {}, facts.get("required", ())),
                never_empty=_names(where, columns, {}, facts.get("key", ())),
                key=_names(where, columns, {}, facts.get("key", ())),
                minimum_share=facts.get("minimum_share"),
                delimiters=(",",),
                **_trust(where, columns, {}, facts, {}),
            )
        )
    _known_parents(f"source {source}", feeds)
    return Layout(source, tuple(feeds), f"whoever looks after the database of {source}")


def _feed(layout: str, name: str, facts: Mapping[str, Any], document: Mapping[str, Any], restricted: set[str]) -> Feed:
    where = f"layout {layout}, feed {name}"
    if name == "rejects" or raw_name(name) != name:
        raise LayoutError(f"{where}: a feed's name is a table's name in snake_case, and rejects is taken")
    _only(where, facts, FEED_KEYS | TRUST_KEYS)
    columns = tuple(Column(heading, raw_name(heading), plain(heading) in restricted) for heading in facts.get("columns", ()))
    if not columns or not facts.get("files"):
        raise LayoutError(f"{where}: `files` and `columns` are needed")
    twice = sorted({column.name for column in columns if sum(other.name == column.name for other in columns) > 1})
    if twice:
        raise LayoutError(f"{where}: column {', '.join(twice)} stands twice")
    aliases = {**_aliases(columns, document.get("aliases", {})), **_aliases(columns, facts.get("aliases", {}))}
    return Feed(
        name=name,
        columns=columns,
        files=tuple(facts["files"]),
        required=_names(where, columns, aliases, facts.get("required", ())),
        never_empty=_names(where, columns, aliases, facts.get("never_empty", ())),
        key=_names(where, columns, aliases, facts.get("key", ())),
        older_counts=tuple(facts.get("older_counts", ())),
        order_known=facts.get("order_known", True),
        minimum_share=facts.get("minimum_share"),
        optional=facts.get("optional", False),
        optional_columns=_names(where, columns, aliases, facts.get("optional_columns", ())),
        delimiters=tuple(document.get("delimiters", (",", "\t"))),
        ends_with_newline=document.get("ends_with_newline", True),
        aliases=aliases,
        shapes={column: shape for column, shape in document.get("shapes", {}).items() if column in {c.name for c in columns}},
        **_trust(where, columns, aliases, facts, document),
    )


def _trust(where: str, columns: tuple[Column, ...], aliases: Mapping[str, str], facts: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """What the trust gate asks of a feed. `school` and `record` may stand at the top of a layout, for every feed that has such a column."""
    there = {plain(column.heading) for column in columns if not column.restricted} | set(aliases)
    found: dict[str, Any] = {}
    for name in ("school", "record"):
        heading = facts.get(name) or next((one for one in _several(document.get(name, ())) if plain(one) in there), "")
        found[name] = _names(where, columns, aliases, [heading])[0] if heading else ""
    if facts.get("content_date"):
        found["content_date"] = _names(where, columns, aliases, [facts["content_date"]])[0]
    references = []
    for heading, parent in facts.get("references", {}).items():
        feed, _, parent_heading = str(parent).partition(".")
        references.append(Reference(_names(where, columns, aliases, [heading])[0], feed, raw_name(parent_heading or heading)))
    return {**found, "references": tuple(references), "tolerance": {name: facts[name] for name in THRESHOLDS if name in facts}}


def _several(value: Any) -> Iterable[str]:
    return (value,) if isinstance(value, str) else value


def _known_parents(where: str, feeds: Iterable[Feed]) -> None:
    """Every reference names a feed and a column of this very source."""
    known = {feed.name: {column.name for column in feed.columns if not column.restricted} for feed in feeds}
    for feed in feeds:
        for reference in feed.references:
            if reference.feed == feed.name or reference.parent_column not in known.get(reference.feed, ()):
                raise LayoutError(f"{where}, feed {feed.name}: references names {reference.feed}.{reference.parent_column}, which is no column of another feed")


def _aliases(columns: Iterable[Column], pairs: Mapping[str, str]) -> dict[str, str]:
    """Plain alias -> column name, for those aliases whose column this feed has."""
    names = {plain(column.heading): column.name for column in columns}
    return {plain(other): names[plain(heading)] for other, heading in pairs.items() if plain(heading) in names and plain(other) not in names}


def _names(where: str, columns: Iterable[Column], aliases: Mapping[str, str], headings: Iterable[str]) -> tuple[str, ...]:
    names = {plain(column.heading): column.name for column in columns}
    found = []
    for heading in headings:
        name = names.get(plain(heading)) or aliases.get(plain(heading))
        if name is None:
            raise LayoutError(f"{where}: {heading!r} is none of its columns")
        found.append(name)
    return tuple(found)


def _only(where: str, facts: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(facts) - known)
    if unknown:
        raise LayoutError(f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(known))}")
