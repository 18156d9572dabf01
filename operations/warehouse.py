"""The models on another engine than DuckDB: what it is given, what dbt does there, what comes back.

In: the tables a build on DuckDB reads (`raw_*`, seeds, the ledger) and a PostgreSQL of one's own.
Out: the same models built there, and their rows beside ours. PostgreSQL is a second opinion: no
night knows it, and `make compare-engines` alone asks for it (docs/second-engine.md).

Macros say what engines spell differently. Three things no macro can say, because they need more of
the statement than a macro sees, are written out in the compiled SQL before it is sent: patterns of
RE2, columns left out of a `*`, and unions by the names of columns (`written`); and a `trim` takes
every space of Unicode, as DuckDB's does.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from common import paths, sql

TYPES = {  # DuckDB's name of a type -> PostgreSQL's
    "VARCHAR": "text",
    "DOUBLE": "double precision",
    "JSON": "json",
    "BIGINT": "bigint",
    "INTEGER": "integer",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP": "timestamp without time zone",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
}
LEDGER_ROOM = "ledger_audit"  # both our files have a room `audit`, and are one database there
HELPERS = """
    create function homeroom_try_cast(given text, wanted anyelement) returns anyelement
    language plpgsql immutable as $$
    begin
        execute format('select cast($1 as %s)', pg_typeof(wanted)) into wanted using given;
        return wanted;
    exception when others then return null;
    end $$;
    create function homeroom_try_date(given text, pattern text) returns date
    language plpgsql immutable as $$
    begin
        return to_date(given, pattern);
    exception when others then return null;
    end $$;
    create function homeroom_trim(given text) returns text language sql immutable as $$
        select btrim(given, U&'\\0020\\00A0\\1680\\2000\\2001\\2002\\2003\\2004\\2005\\2006'
            '\\2007\\2008\\2009\\200A\\202F\\205F\\3000')
    $$;
    create function levenshtein(one text, other text) returns integer
    language plpgsql immutable as $$
    declare  -- of bytes, as DuckDB counts
        ours bytea := convert_to(one, 'UTF8'); theirs bytea := convert_to(other, 'UTF8');
        before integer[]; now integer[];
    begin
        if one is null or other is null then return null; end if;
        before := array(select generate_series(0, length(theirs)));
        for i in 1..length(ours) loop
            now := array[i];
            for j in 1..length(theirs) loop
                now := now || least(
                    now[j] + 1,
                    before[j + 1] + 1,
                    before[j]
                    + case when get_byte(ours, i - 1) = get_byte(theirs, j - 1) then 0 else 1 end
                );
            end loop;
            before := now;
        end loop;
        return before[length(theirs) + 1];
    end $$;
"""


@dataclass(frozen=True)
class Postgres:
    """A database of a server of one's own, which is emptied."""

    url: str

    def connect(self) -> Any:
        import psycopg2

        connection = psycopg2.connect(self.url)
        connection.autocommit = True
        return connection

    def environment(self) -> dict[str, str]:
        """What profiles.yml asks for."""
        from psycopg2.extensions import parse_dsn

        said = parse_dsn(self.url)
        return {
            "HOMEROOM_POSTGRES_HOST": said.get("host", "localhost"),
            "HOMEROOM_POSTGRES_PORT": said.get("port", "5432"),
            "HOMEROOM_POSTGRES_USER": said.get("user", ""),
            "HOMEROOM_POSTGRES_PASSWORD": said.get("password", ""),
        }


# ---------------------------------------------------------------- land


@dataclass(frozen=True)
class Relation:
    """A table or view of DuckDB, and in which file."""

    database: str
    schema: str
    name: str

    @property
    def ours(self) -> str:
        return sql.name(self.database, self.schema, self.name)

    @property
    def theirs(self) -> str:
        of_ledger = self.database == "ledger" and self.schema == "audit"
        return sql.name(LEDGER_ROOM if of_ledger else self.schema, self.name)


def land(
    duck: Any, there: Postgres, relations: Sequence[Relation], *, helpers: bool = True
) -> None:
    """Copy tables of DuckDB there, into an empty database, with the functions macros name there.
    Seeds come so too: dbt itself reads the word `null` in one as nothing, but on DuckDB.
    """
    known: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for database, schema, name, column, kind in duck.execute(
        "select database_name, schema_name, table_name, column_name, data_type from"
        " duckdb_columns() order by column_index"
    ).fetchall():
        theirs = kind.lower() if kind.startswith("DECIMAL") else TYPES.get(kind, "text")
        known.setdefault((database, schema, name), []).append((column, theirs))
    with closing(there.connect()) as connection, connection.cursor() as ask:
        if helpers:
            ask.execute(HELPERS)
        for one in relations:
            columns = known[one.database, one.schema, one.name]
            typed = ", ".join(f"{sql.name(column)} {kind}" for column, kind in columns)
            ask.execute(f"create schema if not exists {one.theirs.split('.')[0]}")
            ask.execute(f"create table {one.theirs} ({typed})")
            with _between() as file:
                duck.execute(
                    f"copy (select * from {one.ours}) to {sql.text(file)}"
                    r" (format csv, header false, nullstr '\N', force_quote *)"
                )
                with file.open(encoding="utf-8") as rows:
                    ask.copy_expert(rf"copy {one.theirs} from stdin (format csv, null '\N')", rows)


@contextmanager
def _between() -> Iterator[Path]:
    """A file in the state folder, gone again at the end: what passes through it are people."""
    folder = paths.var() / "tmp"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / f"between-{os.getpid()}.csv"
    try:
        file.touch(mode=0o600)
        yield file
    finally:
        file.unlink(missing_ok=True)


# ---------------------------------------------------------------- fetch, merge


def fetch(there: Postgres, duck: Any, schema: str, name: str, into: str) -> None:
    """Write a table of theirs as a table of DuckDB's, with its columns and types."""
    types = {theirs: ours for ours, theirs in TYPES.items()}
    with closing(there.connect()) as connection, connection.cursor() as ask, _between() as file:
        ask.execute(
            "select column_name, case when numeric_scale > 0 and data_type = 'numeric' then"
            " format('DECIMAL(%%s,%%s)', numeric_precision, numeric_scale) else data_type end"
            " from information_schema.columns where table_schema = %s and table_name = %s"
            " order by ordinal_position",
            [schema, name],
        )
        columns = {
            column: types.get(kind, kind if "(" in kind else "VARCHAR")
            for column, kind in ask.fetchall()
        }
        with file.open("w", encoding="utf-8") as rows:
            ask.copy_expert(
                rf"copy {sql.name(schema, name)} to stdout (format csv, null '\N', force_quote *)",
                rows,
            )
        typed = ", ".join(
            f"{sql.text(column)}: {sql.text(kind)}" for column, kind in columns.items()
        )
        duck.execute(
            f"create or replace table {into} as select * from read_csv({sql.text(file)},"
            f" header = false, columns = {{{typed}}}, auto_detect = false, nullstr = '\\N',"
            """ allow_quoted_nulls = false, delim = ',', quote = '"', escape = '"')"""
        )


def merge(there: Postgres, duck: Any, ledger: str, models: Sequence[tuple[str, str]]) -> None:
    """Put what the models of the ledger hold there into a ledger of ours: all of it, or nothing."""
    duck.execute("begin")
    try:
        for schema, name in models:
            duck.execute(f"create schema if not exists {sql.name(ledger, schema)}")
            fetch(there, duck, schema, name, sql.name(ledger, schema, name))
    except BaseException:
        duck.execute("rollback")
        raise
    duck.execute("commit")


MOST_NAMED = 5


def differences(duck: Any, ours: str, theirs: str, key: Sequence[str]) -> list[str]:
    """What of two tables is not the same, in words that name keys and columns and no value; nothing
    where they are equal, row for row.
    """
    columns = {
        table: dict(
            duck.execute(f"select column_name, column_type from (describe {table})").fetchall()
        )
        for table in (ours, theirs)
    }
    if unlike := sorted(set(columns[ours].items()) ^ set(columns[theirs].items())):
        return [f"columns differ: {', '.join(dict.fromkeys(name for name, _ in unlike))}"]
    listed = sql.names(columns[ours])
    counts = [
        duck.execute(
            f"select count(*) from (select {listed} from {one} except all select {listed} from"
            f" {other})"
        ).fetchone()[0]
        for one, other in ((ours, theirs), (theirs, ours))
    ]
    if not any(counts):
        return []
    if not key:
        return [f"{counts[0]} rows only here, {counts[1]} only there"]
    said = []
    named = sql.key(key)
    for words, one, other in (("only here", ours, theirs), ("only there", theirs, ours)):
        found = duck.execute(
            f"select distinct {named} from {one} except select {named} from {other} order by 1"
        ).fetchall()
        if found:
            said.append(f"{len(found)} keys {words}: {_few(found)}")
    plain = [one.lstrip("~^") for one in key]
    for column in columns[ours]:
        if column in plain:
            continue
        pair = f"{sql.names(plain)}, {sql.name(column)}"
        found = duck.execute(
            f"select distinct {named} from (select {pair} from {ours} except all select {pair} from"
            f" {theirs}) where {named} in (select {named} from {theirs}) order by 1"
        ).fetchall()
        if found:
            said.append(f"{column} differs for {len(found)}: {_few(found)}")
    return said or [f"{counts[0]} rows only here, {counts[1]} only there"]


def _few(found: Sequence[tuple[Any, ...]]) -> str:
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return ", ".join(str(key) for (key,) in found[:MOST_NAMED]) + more


# ---------------------------------------------------------------- build


def build(there: Postgres, arguments: Sequence[str]) -> list[Any]:
    """Have dbt run its words there; what it says of each node. Raises RuntimeError where it could
    not begin.
    """
    from dbt.cli.main import dbtRunner
    from dbt.compilation import Compiler

    connection = there.connect()

    def columns(query: str) -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute(f"select * from ({query}) as asked limit 0")
            return [column.name for column in cursor.description]

    theirs = Compiler._compile_code

    def compiled(self: Any, node: Any, manifest: Any, extra_context: Any = None) -> Any:
        node = theirs(self, node, manifest, extra_context)
        node.compiled_code = written(node.compiled_code, columns)
        return node

    Compiler._compile_code = compiled
    try:
        outcome = dbtRunner().invoke([*arguments, "--target", "postgres"])
    finally:
        Compiler._compile_code = theirs
        connection.close()
    if outcome.result is None:
        raise RuntimeError(str(outcome.exception or "dbt gave no result"))
    return list(outcome.result.results)


PATTERN = re.compile(r"re2'((?:[^']|'')*)'")
TRIM = re.compile(r"(?<![\w.])trim\(")
BUT = re.compile(r"(\w+)\.\* /\* but ([\w, ]+) \*/")
BY_NAME = "union all /* by name */"
BRACKET = re.compile(r"'(?:[^']|'')*'|--[^\n]*|[()]")
CTE = re.compile(r"^(?:with )?(\w+) as \($", re.M)


def written(query: str, columns: Callable[[str], list[str]]) -> str:
    """A compiled statement as PostgreSQL can take it. `columns` says which columns a query has."""
    query = PATTERN.sub(lambda found: f"'{pattern(found[1])}'", query)
    query = TRIM.sub("homeroom_trim(", query)
    if " /* but " not in query and BY_NAME not in query:
        return query
    done, at = "", 0
    for start, end in _bodies(query):
        done += query[at:start]
        done += _spelled(query[start:end], _before(done), columns)
        at = end
    return done + query[at:]


def _bodies(query: str) -> Iterator[tuple[int, int]]:
    """Where each CTE's own query stands, and the last one's, as this house writes SQL: a name and a
    bracket on a line, the closing bracket at the beginning of one.
    """
    at = 0
    for found in CTE.finditer(query):
        if found.start() < at:
            continue
        closing = re.compile(r"^\)", re.M).search(query, found.end())
        if closing is None:
            break
        yield found.end(), closing.start()
        at = closing.end()
    yield at, len(query)


def _before(done: str) -> str:
    """The CTEs that stand before a place, as the beginning of another statement."""
    head = re.sub(r"(?:with\s+)?\w+ as \(\s*\Z", "", done.rstrip() + "\n", flags=re.M).rstrip()
    head = re.sub(r"(?:(?:^|\n)\s*--[^\n]*)+\Z", "", head).rstrip().removesuffix(",")
    return head if re.search(r"^with\b", head, re.M) else ""


def _spelled(body: str, before: str, columns: Callable[[str], list[str]]) -> str:
    def named(relation: str) -> str:
        found = re.search(rf"(?:from|join)\s+([\w.\"]+)\s+as\s+{relation}\b", body)
        return found[1] if found else relation

    def listed(found: re.Match[str]) -> str:
        less = set(found[2].split(", "))
        have = columns(f"{before}\nselect * from {named(found[1])}")
        return ", ".join(sql.name(found[1], one) for one in have if one not in less)

    body = BUT.sub(listed, body)
    while BY_NAME in body:
        start, end = _around(body, body.index(BY_NAME))
        parts = body[start:end].split(BY_NAME)
        have = [columns(f"{before}\n{part}") for part in parts]
        every = list(dict.fromkeys(name for names in have for name in names))
        united = "\nunion all\n".join(
            f"select {', '.join(_or_null(one, names) for one in every)} from ({part}\n) as part"
            for part, names in zip(parts, have, strict=True)
        )
        body = f"{body[:start]}\n{united}\n{body[end:]}"
    return body


def _or_null(column: str, have: Sequence[str]) -> str:
    return sql.name("part", column) if column in have else f"null as {sql.name(column)}"


def _around(text: str, at: int) -> tuple[int, int]:
    """From where to where the brackets around a place reach; all of it, where there are none."""
    opened: list[int] = []
    for found in BRACKET.finditer(text):
        if found[0] == "(":
            opened.append(found.end())
        elif found[0] == ")":
            start = opened.pop() if opened else 0
            if start <= at < found.start():
                return start, found.start()
    return 0, len(text)


@cache
def _categories() -> list[tuple[str, int, int]]:
    """Every character's category of Unicode, as runs."""
    signs = ((unicodedata.category(chr(number)), number) for number in range(1, 0x110000))
    runs = []
    for category, run in groupby(signs, lambda one: one[0]):
        numbers = [number for _, number in run]
        runs.append((category, numbers[0], numbers[-1]))
    return runs


@cache
def _letters(category: str) -> str:
    """The characters of a category, or with `^` of every other, as ranges inside brackets; what no
    character stands at yet is of neither and ends no range.
    """
    wanted, runs, open_ = category.lstrip("^"), [], False
    for found, first, last in _categories():
        if found in ("Cn", "Cs"):
            continue
        if found.startswith(wanted) == category.startswith("^"):
            open_ = False
        elif open_:
            runs[-1] = (runs[-1][0], last)
        else:
            runs.append((first, last))
            open_ = True
    return "".join(f"\\U{first:08X}-\\U{last:08X}" for first, last in runs)


TOKEN = re.compile(r"\\[pP]\{(\^?\w+)\}|\\x\{([0-9A-Fa-f]+)\}|\\x([0-9A-Fa-f]{2})|\\(.)|(.)", re.S)
SHORT = {"s": " \\t\\n\\f\\r", "d": "0-9", "w": "0-9A-Za-z_"}  # RE2 means those of ASCII


@cache
def pattern(re2: str) -> str:
    """A pattern of RE2 as PostgreSQL reads one: classes of Unicode by their ranges, characters by
    number, `.` without the end of a line.
    """
    text, inside = "", False
    for found in TOKEN.finditer(re2):
        category, number, short, escaped, plain = found.groups()
        if category or escaped in SHORT:
            if category:
                ranges = _letters(category if found[0][1] == "p" else f"^{category}")
            else:
                ranges = SHORT[escaped]
            text += ranges if inside else f"[{ranges}]"
        elif number or short:
            text += f"\\U{int(number or short, 16):08X}"
        elif escaped:
            text += f"\\{escaped}"
        elif plain == "." and not inside:
            text += "[^\\n]"
        else:
            if plain == "[" and not inside:
                inside = True
            elif plain == "]" and inside:
                inside = False
            text += plain
    return text
