"""May this file replace the last good one? All checks, before anything is written.

In: a fetched file, its feed, the last good load. Out: a `Trusted` file (a cleaned copy for the
reader, where each row stands in the original, what was rejected, what a person should know), or
`Refused` with one sentence. Writes nothing but the cleaned copy. No value of a row ever enters a
sentence: only counts, lines and hashes.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from common import problems, sql
from common.findings import Finding
from ingestion import (
    coverage,
    diagnosis,
    ends,
    events,
    foreign,
    junk,
    numbers,
    people,
    rejects,
    table,
    typed,
    values,
)
from ingestion.layout import Feed, Reference
from ingestion.model import Fetched, LastGood, RefusedError, Reject, Trusted
from ingestion.scan import (
    CP1252,
    UTF_8,
    UTF_8_BOM,
    Bad,
    Buffer,
    Encoding,
    Shape,
    UnreadableError,
    encoding_of,
    fields_of,
    record_end,
    scan,
)
from ingestion.text import Text, text_of
from ingestion.tolerance import Tolerance

SHAPE_SHARE = 0.90  # at least this share of a column's values look as they should
CHUNK = 4 << 20


@dataclass(frozen=True)
class Rules:
    """What a file is measured against besides its layout. `accept_smaller`: a person said the drop
    is real.
    """

    last: LastGood = field(default_factory=LastGood)
    tolerance: Tolerance = field(default_factory=Tolerance)
    accept_smaller: bool = False
    accept: frozenset[str] = frozenset()  # what else a person said is right: words of `tolerance`
    as_of: date = date.max  # the night it is for: days to come say nothing about how old a file is
    known: Callable[[Collection[str]], Collection[str]] = (
        frozenset  # which of these keys the feed holds already
    )
    landed: people.Landed = lambda names: pa.table({name: [] for name in names})  # their columns


def check(source: str, feed: Feed, file: Fetched, rules: Rules, clean: Path) -> Trusted:
    """Run every check; the cleaned copy is written to `clean`. Raises Refused."""
    if file.size == 0:
        raise RefusedError("feed_empty", {"file": file.name})
    if feed.format != "excel":
        with file.path.open("rb") as opened:
            head = opened.read(min(foreign.HEAD, ends.of(file.path).size))
        diagnosis.refuse_foreign(feed, file.name, head)
    text = text_of(source, feed, file, clean.with_suffix(".text"))
    if text.path.stat().st_size == 0:
        raise RefusedError("feed_without_rows", {"file": file.name, "bytes": file.size})
    is_text = text.path == file.path
    ending = ends.of(text.path) if is_text else ends.End(text.path.stat().st_size)
    if ending.zeros:
        raise RefusedError("feed_zero_bytes", {"file": file.name})
    if not ending.size:
        raise RefusedError("feed_blank", {"file": file.name, "bytes": file.size})
    with (
        text.path.open("rb") as opened,
        mmap.mmap(opened.fileno(), ending.size, access=mmap.ACCESS_READ) as buffer,
    ):
        encoding = _encoding(file, buffer, rules.last.encoding)
        begin, line = _first_record(file, buffer, encoding)
        _not_too_wide(feed, file, buffer, (begin, line))
        heading = diagnosis.heading(
            source, feed, file.name, buffer=buffer, first=(begin, line), encoding=encoding
        )
        above = {column.name: column.heading for column in feed.columns}
        if heading.has_header:
            longest = feed.limits.line
            written = fields_of(buffer, begin, heading.delimiter, encoding.codec, longest) or []
            above |= {name: written[place] for name, place in heading.places.items()}
            end = record_end(buffer, begin, heading.delimiter, longest) or len(buffer)
            begin, line = end, line + buffer[begin:end].count(b"\n")
        never_empty, numbered = (
            {place: name for name, place in heading.places.items() if name in names}
            for names in (feed.never_empty, feed.numbers)
        )
        shape = Shape(heading.delimiter, heading.fields, never_empty, numbered, feed.limits)
        runs, found, last = _split(
            buffer,
            (begin, line),
            shape,
            encoding=encoding,
            clean=clean,
            told=(feed, heading.places, file.name),
            text=text,
        )
        good, lines = sum(count for _, count in runs), _newlines(buffer) + 1
        found, notes = ends.judged(
            source,
            feed,
            file.name,
            (good, found, last),
            whole=ending.marked or buffer[len(buffer) - 1] == ord("\n"),
            size=file.size,
            line=lines,
            most_rejected=rules.tolerance.most_rejected,
        )
        notes += ends.marks(source, feed, file.name, ending, lines)
        found = tuple(sorted((*text.rejects, *found), key=lambda reject: reject.line))
    trusted = Trusted(
        feed=feed,
        file=file,
        encoding=text.encoding or encoding.name,
        delimiter=heading.delimiter,
        has_header=heading.has_header,
        fields=heading.fields,
        places=heading.places,
        clean=clean,
        runs=runs,
        rejects=found,
        findings=(
            *heading.findings,
            *text.findings,
            *notes,
            *_other_encoding(source, feed, file, encoding, rules.last),
        ),
    )
    trusted = replace(trusted, unseen=junk.holds_unseen(trusted))
    _enough(trusted, rules)
    with table.connected() as connection:
        looked = _look(connection, source, trusted)
        _not_broken_off(connection, trusted)
        if "shape" not in rules.accept:
            _as_expected(connection, looked)
        if wrong := junk.found(connection, looked, above):
            trusted = junk.without(trusted, wrong, shape)
            _enough(trusted, rules)
            looked = _look(connection, source, trusted)
        trusted = _check_digits(connection, source, looked, heading.checked)
        _no_key_twice(connection, trusted)
        if not rules.accept_smaller:
            people.same_as_before(connection, trusted, rules.landed, rules.tolerance)
        trusted = _not_doubled(connection, source, trusted, rules)
        trusted = typed.gate(connection, source, trusted, rules)
        return _of_whole_district(connection, source, trusted, rules)


def of_nothing(feed: Feed, file: Fetched, clean: Path) -> Trusted:
    """A file without a row that may be landed all the same: the feed has none tonight."""
    clean.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    clean.write_bytes(b"")
    places = {name: at for at, name in enumerate(feed.landed)}
    return Trusted(feed, file, UTF_8, ",", False, len(places), places, clean, ())


def _look(connection: duckdb.DuckDBPyConnection, source: str, trusted: Trusted) -> Trusted:
    """Table `looked`: the columns the checks ask for, trimmed, in file order; the rest of the file
    is not kept in memory.

    Numbers a spreadsheet has changed are given back what they were, here and when the file is
    landed.
    """
    feed = trusted.feed
    asked = {
        *feed.key,
        *feed.shapes,
        *feed.numbers,
        feed.school,
        *feed.never_empty,
        feed.report_key,
        *feed.types,
        *feed.distinct,
        *people.asked(feed),
    } & set(trusted.places) or set(list(trusted.places)[:1])
    listed = ", ".join(
        f"trim({_seen(trusted, name, f'c{trusted.places[name]}')}) as {sql.name(name)}"
        for name in sorted(asked)
    )
    _all(
        connection,
        f"create or replace temp table looked as select {listed} from {csv_of(trusted)}",
        trusted,
    )
    names = sorted(feed.numbers & asked)
    changed = [numbers.touched(sql.name(name)) for name in names]
    counts = ", ".join(
        f"count(*) filter (where {test}), min(rowid + 1) filter (where {test})" for test in changed
    )
    found = _asked(connection, f"select {counts} from looked", trusted) if names else ()
    repairs = {
        name: (found[2 * at], found[2 * at + 1]) for at, name in enumerate(names) if found[2 * at]
    }
    for name in repairs:
        value = sql.name(name)
        connection.execute(
            f"update looked set {value} = {numbers.repaired(value)} where {numbers.touched(value)}"
        )
    notes = tuple(
        _repaired(source, trusted, name, count, trusted.line_of(first))
        for name, (count, first) in repairs.items()
    )
    return replace(trusted, repaired=frozenset(repairs), findings=(*trusted.findings, *notes))


def _not_broken_off(connection: duckdb.DuckDBPyConnection, trusted: Trusted) -> None:
    """Refuse a sheet below whose rows a program says that it failed: it stands in one cell of a
    row of its own.
    """
    if trusted.feed.format != "excel" or trusted.good < 2:
        return
    columns = [f"c{place}" for place in range(trusted.fields)]
    last = _asked(
        connection,
        f"select {', '.join(columns)} from (select *, row_number() over () as row from"
        f" {csv_of(trusted)}) where row = {trusted.good}",
        trusted,
    )
    filled = [str(value) for value in last if value not in (None, "")]
    if len(filled) == 1 < len(columns) and foreign.broke_off(filled[0]):
        rows = f"{trusted.good - 1:,}"
        values = {"file": trusted.file.name, "rows": rows}
        raise RefusedError("feed_broke_off", values, trusted.line_of(trusted.good))


def _repaired(source: str, trusted: Trusted, name: str, count: int, line: int) -> Finding:
    values = "1 value" if count == 1 else f"{count:,} values"
    return Finding(
        "numbers_repaired",
        {"values": values},
        source=source,
        feed=trusted.feed.name,
        file=trusted.file.name,
        line=line,
        column=name,
    )


def _check_digits(
    connection: duckdb.DuckDBPyConnection, source: str, trusted: Trusted, place: int | None
) -> Trusted:
    """Count the numbers whose check digit is wrong: told, never refused. The number may be
    restricted, so only its line is.
    """
    feed = trusted.feed
    if place is None or feed.check_digit is None:
        return trusted
    test = numbers.wrong_check_digit("value")
    query = (
        f"select count(value), count(*) filter (where {test}), min(row) filter (where {test}) from"
        " numbered"
    )
    numbered = (
        f"with numbered as (select row_number() over () as row, trim(c{place}) as value from"
        f" {csv_of(trusted)})"
    )
    filled, wrong, first = _asked(connection, f"{numbered} {query}", trusted)
    if not wrong:
        return trusted
    line, heading = trusted.line_of(first), feed.check_digit.heading
    note = Finding(
        "check_digit_wrong",
        {"wrong": wrong, "filled": filled},
        source=source,
        feed=feed.name,
        file=trusted.file.name,
        line=line,
        column=heading,
    )
    return replace(trusted, findings=(*trusted.findings, note))


def _other_encoding(
    source: str, feed: Feed, file: Fetched, encoding: Encoding, last: LastGood
) -> tuple[Finding, ...]:
    """A feed that changes its encoding is worth a look at the names in it."""
    before = {UTF_8: "utf-8", UTF_8_BOM: "utf-8", CP1252: "cp1252"}.get(last.encoding)
    if before is None or before == encoding.codec or not encoding.tells:
        return ()
    return (
        Finding(
            "encoding_changed",
            {"encoding": encoding.codec, "before": before},
            source=source,
            feed=feed.name,
            file=file.name,
        ),
    )


def _elsewhere(
    connection: duckdb.DuckDBPyConnection, trusted: Trusted, rules: Rules
) -> dict[str, int]:
    """School -> its rows of the last load whose people stand at another school in this file, and
    did not before: they have moved, and are not missing.
    """
    feed, found = trusted.feed, dict[str, int]()
    if not feed.report_key or not {feed.report_key, feed.school} <= set(trusted.places):
        return found
    key, school = sql.name(feed.report_key), sql.name(feed.school)
    connection.register("before", rules.landed([feed.report_key, feed.school]))
    for where, count in _all(
        connection,
        f"""
        with was as (select trim({key}) as who, trim({school}) as place from before),
        now as (select distinct trim({key}) as who, trim({school}) as place from looked),
        moved as (select distinct now.who from now anti join was using (who, place))
        select place, count(*) from was
        semi join moved using (who) anti join now using (who, place)
        where place is not null group by 1""",
        trusted,
    ):
        found[coverage.school_number(where)] = count
    connection.unregister("before")
    return found


def _of_whole_district(
    connection: duckdb.DuckDBPyConnection, source: str, trusted: Trusted, rules: Rules
) -> Trusted:
    """What a file says beyond its rows: which schools it covers, of which day it is, whose rows
    were rejected.
    """
    feed, last = trusted.feed, rules.last
    rows: dict[str, int] = {}
    if feed.school in trusted.places:
        column = sql.name(feed.school)
        for school, count in _all(
            connection,
            f"select {column}, count(*) from looked where {column} is not null group by 1",
            trusted,
        ):
            rows[coverage.school_number(school)] = (
                rows.get(coverage.school_number(school), 0) + count
            )
    covered = coverage.of_schools(
        source,
        trusted,
        rows,
        last,
        rules.tolerance,
        accepted=rules.accept_smaller,
        unwatched=events.unwatched(rules.as_of),
        elsewhere=_elsewhere(connection, trusted, rules) if last.schools else {},
    )

    newest = None
    if feed.content_date in trusted.places:
        newest = _all(connection, coverage.newest_query(feed.content_date, rules.as_of), trusted)[
            0
        ][0]
    day = coverage.content_day(trusted.file.name, newest, rules.as_of)
    # no file is older than what is landed where the clock itself has gone back: days after tonight
    # are not counted
    if (
        day
        and last.content_on
        and day < last.content_on <= rules.as_of
        and not (rules.accept_smaller or "older" in rules.accept)
    ):
        raise RefusedError(
            "feed_older_content",
            {"file": trusted.file.name, "day": str(day), "landed_day": str(last.content_on)},
        )

    def known(keys: Collection[str]) -> Collection[str]:
        if feed.report_key not in trusted.places:
            return rules.known(keys)
        column = sql.name(feed.report_key)
        here = _all(
            connection,
            f"select distinct {column} from looked where {column} in (select unnest(?))",
            trusted,
            [list(keys)],
        )
        return {row[0] for row in here} | set(rules.known(keys))

    found = rejects.told(trusted.rejects, known, {*rows, *last.schools})
    trusted = replace(
        trusted,
        rejects=found,
        schools=dict(covered.expected),
        held_partitions=covered.held,
        content_on=day,
        content_named=coverage.day_in_name(trusted.file.name) is not None,
    )
    spoken = (rejects.finding(source, feed, trusted.file, found, trusted.good),) if found else ()
    old = coverage.old_content(source, trusted, rules.as_of, rules.tolerance)
    return replace(trusted, findings=(*trusted.findings, *spoken, *covered.findings, *old))


def check_references(
    source: str,
    child: Trusted,
    known: Callable[[Reference], tuple[pa.Table, pa.Table]],
    tolerance: Tolerance,
) -> Trusted:
    """The file with what its rows write otherwise than the records they mean (`spelled`), and with
    findings of those that point nowhere. Refuses one with too many. `known` gives the keys of a
    parent, tonight's with those of before, and those in force.
    """
    spelled: dict[str, dict[str, str]] = {}
    notes: list[Finding] = []
    with table.connected() as connection:

        def every(query: str, keys: pa.Table) -> list[tuple]:
            connection.register("known", keys)
            return _all(connection, query.replace("from child", f"from {csv_of(child)}"), child)

        def asked(query: str, keys: pa.Table) -> tuple:
            return next(iter(every(query, keys)), ())

        for reference in child.feed.references:
            if reference.column in child.places:
                value, (keys, in_force) = value_of(child, reference.column), known(reference)
                notes += coverage.refuse_orphans(
                    source, child, reference, value, keys, asked=asked, tolerance=tolerance
                )
                is_key = reference.column in child.feed.key
                if found := coverage.spellings(reference, value, in_force, every, is_key=is_key):
                    spelled[reference.column] = found
    return replace(child, spelled=spelled, findings=(*child.findings, *notes))


def keys_of(parent: Trusted, column: str) -> pa.Table:
    """Every value of a column of a file that may be landed, once."""
    with table.connected() as connection:
        if column not in parent.places:
            return pa.table({"value": pa.array([], pa.string())})
        value = value_of(parent, column)
        return connection.execute(
            f"select distinct trim({value}) as value from {csv_of(parent)} where {value} is not"
            " null"
        ).to_arrow_table()


def value_of(trusted: Trusted, column: str, rows: str = "") -> str:
    """The SQL of a column of the cleaned copy, as it is landed."""
    text = _seen(trusted, column, f"{rows}c{trusted.places[column]}")
    if found := trusted.spelled.get(column):
        return coverage.as_spelled(column, text, found)
    if column in trusted.types:
        return values.landed(text, trusted.types[column], trusted.feed.date_format)
    if flag := trusted.feed.flag_of.get(column):
        return flag.sql(text)
    return numbers.repaired(f"trim({text})") if column in trusted.repaired else text


def _seen(trusted: Trusted, column: str, text: str) -> str:
    """The SQL of a key or an address without what nobody can see; everything else is as written."""
    if not trusted.unseen or column not in trusted.feed.identifiers:
        return text
    return values.visible(text)


def csv_of(trusted: Trusted) -> str:
    """The SQL that reads the cleaned copy: every option given, nothing guessed, all text, empty
    values NULL.
    """
    columns = ", ".join(f"c{place}: 'varchar'" for place in range(trusted.fields))
    return (
        f"read_csv({sql.text(trusted.clean)}, auto_detect = false, header = false, columns ="
        f" {{{columns}}}, delim = {sql.text(trusted.delimiter)}, quote = '\"', escape = '\"',"
        " new_line = '\\n', nullstr = '', allow_quoted_nulls = true, null_padding = false,"
        " strict_mode = true, ignore_errors = false, parallel = false)"
    )


def _encoding(file: Fetched, buffer: mmap.mmap, before: str) -> Encoding:
    try:
        return encoding_of((buffer[at : at + CHUNK] for at in range(0, len(buffer), CHUNK)), before)
    except UnreadableError as error:
        raise RefusedError("feed_encoding", {"file": file.name, "why": str(error)}) from None


def _first_record(file: Fetched, buffer: Buffer, encoding: Encoding) -> tuple[int, int]:
    """Where the first line that holds anything begins, and its number."""
    begin, line = encoding.begin, 1
    while begin < len(buffer):
        end = buffer.find(b"\n", begin) + 1 or len(buffer)
        if end - begin > CHUNK or buffer[begin:end].strip():
            return begin, line
        begin, line = end, line + 1
    raise RefusedError("feed_blank", {"file": file.name, "bytes": file.size})


def _not_too_wide(feed: Feed, file: Fetched, buffer: Buffer, first: tuple[int, int]) -> None:
    """Refuse a file whose first line no reader gets to the end of."""
    begin, line = first
    end = buffer.find(b"\n", begin) + 1 or len(buffer)
    head, limits = buffer[begin : min(end, begin + feed.limits.line)], feed.limits
    columns = 1 + max(head.count(mark.encode()) for mark in feed.delimiters)
    if columns > limits.columns:
        values = {"file": file.name, "columns": columns, "most": limits.columns}
        raise RefusedError("feed_too_wide", values, line)
    if end - begin > limits.line:
        values = {"file": file.name, "most": limits.line_kilobytes}
        raise RefusedError("feed_line_too_long", values, line)


def _newlines(buffer: mmap.mmap) -> int:
    return sum(buffer[at : at + CHUNK].count(b"\n") for at in range(0, len(buffer), CHUNK))


def _split(
    buffer: Buffer,
    begin: tuple[int, int],
    shape: Shape,
    *,
    encoding: Encoding,
    clean: Path,
    told: tuple[Feed, dict[str, int], str],
    text: Text,
) -> tuple[tuple[tuple[int, int], ...], tuple[Reject, ...], ends.Last]:
    """Write the whole records to the cleaned copy; give back where they stood, the rest, and what
    the last lines are.
    """
    runs: list[tuple[int, int]] = []
    bad: list[Reject] = []
    last = ends.Last()
    clean.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with clean.open("wb") as out:
        for found in scan(buffer, *begin, shape, encoding):
            found = replace(found, line=text.line(found.line))
            is_bad = isinstance(found, Bad)
            # of a line longer than any is read its beginning is looked at
            longest = shape.limits.line if is_bad else found.end
            data = buffer[found.start : min(found.end, found.start + longest)]
            if isinstance(found, Bad):
                if len(bad) >= shape.limits.rejects:
                    raise RefusedError(
                        "feed_many_rejects",
                        {
                            "file": told[2],
                            "most": shape.limits.rejects,
                            "why": problems.sentence(bad[0].code, bad[0].values),
                        },
                        bad[0].line,
                    )
                no_record = junk.of_text(data.decode(encoding.codec, "replace"))
                if no_record and found.end < len(buffer):  # what stands at the end is a trailer
                    found = replace(found, code=no_record[0], values=no_record[1])
                bad.append(
                    rejects.reject(
                        *told[:2], found, data, delimiter=shape.delimiter, codec=encoding.codec
                    )
                )
                behind = data.decode(encoding.codec, "replace")
                last = last.followed_by(found, behind, at_end=found.end == len(buffer))
                continue
            begins = data.rstrip(b"\r\n").rsplit(b"\n", 1)[-1] if found.count > 1 else data
            last = ends.Last(shape.delimiter, begins.decode(encoding.codec, "replace"))
            if runs and sum(runs[-1]) == found.line:
                runs[-1] = (runs[-1][0], runs[-1][1] + found.count)
            else:
                runs.append((found.line, found.count))
            record = data if encoding.codec == "utf-8" else data.decode("cp1252").encode()
            # A span of several records holds no line break inside values; a single record may.
            out.write(
                record.replace(b"\r\n", b"\n")
                if found.count > 1
                else record.rstrip(b"\r\n") + b"\n"
            )
    return tuple(runs), tuple(bad), last


def _enough(trusted: Trusted, rules: Rules) -> None:
    file, rows, bad = trusted.file, trusted.rows_in, trusted.rejects
    if not rows:
        raise RefusedError(
            "feed_heading_only" if trusted.has_header else "feed_without_rows",
            {"file": file.name, "bytes": file.size},
        )
    records = tuple(one for one in bad if one.code not in junk.DECORATION)
    if len(records) > rules.tolerance.most_rejected * rows:
        raise RefusedError(
            _of_all(records, rows),
            {
                **records[0].values,
                "file": file.name,
                "bad": len(records),
                "rows": rows,
                "share": f"{len(records) / rows:.0%}",
                "limit": f"{rules.tolerance.most_rejected:.0%}",
                "why": problems.sentence(records[0].code, records[0].values),
            },
            records[0].line,
        )
    kept, before = _before(rules)
    least = rules.tolerance.min_row_ratio
    if trusted.good < least * before and not rules.accept_smaller:
        which = (
            "the last good load"
            if len(kept) < 2
            else f"the largest of the last {len(kept)} good loads"
        )
        raise RefusedError(
            "feed_collapsed",
            {
                "file": file.name,
                "feed": trusted.feed.name,
                "rows": _rows(trusted.good),
                "share": f"{trusted.good / before:.0%}",
                "before": before,
                "which": which,
                "limit": f"{least:.0%}",
            },
        )


def _of_all(bad: tuple[Reject, ...], rows: int) -> str:
    """Too many rows are bad: where most of the file is, and all in one way, it is how it was
    written that is wrong.
    """
    kinds = {(one.code, one.values.get("fields")) for one in bad}
    if len(kinds) > 1 or len(bad) * 2 < rows:
        return "feed_rejects"
    every = {"reject_fields": "feed_fields", "reject_quoting": "feed_quoting"}
    return every.get(bad[0].code, "feed_rejects")


def _before(rules: Rules) -> tuple[tuple[int, ...], int]:
    """The rows of the last good loads, and the largest of them: what tonight's are measured
    against.
    """
    kept = rules.last.history[: rules.tolerance.good_loads]
    return kept, max(kept, default=rules.last.rows)


def _not_doubled(
    connection: duckdb.DuckDBPyConnection, source: str, trusted: Trusted, rules: Rules
) -> Trusted:
    """A feed without a key may hold a row twice, so only its growth can tell a file that was
    written twice into one.
    """
    feed, most, (_, before) = trusted.feed, rules.tolerance.max_row_growth, _before(rules)
    if feed.key or most is None or not before or trusted.good <= most * before:
        return trusted
    values = ", ".join(f"c{place}" for place in range(trusted.fields))
    (different,) = _asked(
        connection, f"select count(distinct hash({values})) from {csv_of(trusted)}", trusted
    )
    grown = {
        "file": trusted.file.name,
        "rows": _rows(trusted.good),
        "times": f"{trusted.good / before:.1f}",
        "before": before,
    }
    if different <= most * before:
        raise RefusedError(
            "feed_doubled", {**grown, "repeats": trusted.good - different, "limit": f"{most:g}"}
        )
    note = Finding("feed_grew", grown, source=source, feed=feed.name, file=trusted.file.name)
    return replace(trusted, findings=(*trusted.findings, note))


def _no_key_twice(connection: duckdb.DuckDBPyConnection, trusted: Trusted) -> None:
    """No two rows share the key, nor what else tells two apart, where its first is filled."""
    feed, places = trusted.feed, trusted.places
    if feed.key and set(feed.key) <= set(places):
        _once(connection, trusted, "feed_duplicate_key", feed.key, feed.key)
    if feed.distinct and feed.distinct[0] in places:
        names = [name for name in feed.distinct if name in places]
        _once(connection, trusted, "feed_shared_identifier", names, names[:1])


def _once(
    connection: duckdb.DuckDBPyConnection,
    trusted: Trusted,
    code: str,
    names: Sequence[str],
    not_empty: Sequence[str],
) -> None:
    filled = " and ".join(f"{sql.name(name)} is not null" for name in not_empty)
    query = f"""
        with repeated as (select min(rowid) + 1 as first, max(rowid) + 1 as last from looked
                          where {filled}
                          group by {sql.names(names)} having count(*) > 1)
        select count(*), min(first), arg_min(last, first) from repeated
    """
    count, first, last = _asked(connection, query, trusted)
    if count:
        lines = trusted.line_of(first), trusted.line_of(last)
        what = "1 key stands" if count == 1 else f"{count:,} keys stand"
        raise RefusedError(
            code,
            {
                "file": trusted.file.name,
                "keys": what,
                "other_line": lines[1],
                "names": ", ".join(names),
            },
            lines[0],
        )


def _as_expected(connection: duckdb.DuckDBPyConnection, trusted: Trusted) -> None:
    shapes = {
        name: sql.text(shape)
        for name, shape in trusted.feed.shapes.items()
        if name in trusted.places
    }
    if not shapes:
        return
    odd = {
        name: f"not regexp_full_match({sql.name(name)}, {shape})" for name, shape in shapes.items()
    }
    counts = ", ".join(
        f"count({sql.name(name)}), count(*) filter (where {test}), min(rowid + 1) filter (where"
        f" {test})"
        for name, test in odd.items()
    )
    query = f"select {counts} from looked"
    found = _asked(connection, query, trusted)
    for name, (filled, strange, first) in zip(shapes, _threes(found), strict=True):
        if filled - strange < SHAPE_SHARE * filled:
            raise RefusedError(
                "feed_shape",
                {"file": trusted.file.name, "strange": strange, "filled": filled, "name": name},
                trusted.line_of(first),
            )


def _threes(values: tuple) -> Iterator[tuple]:
    return (values[at : at + 3] for at in range(0, len(values), 3))


def _asked(connection: duckdb.DuckDBPyConnection, query: str, trusted: Trusted) -> tuple:
    return next(iter(_all(connection, query, trusted)), ())


def _all(
    connection: duckdb.DuckDBPyConnection, query: str, trusted: Trusted, values: list | None = None
) -> list[tuple]:
    try:
        return connection.execute(query, values).fetchall()
    except duckdb.Error as error:
        # DuckDB's message quotes the line it stumbled over, and lines are people: only its kind is
        # told.
        raise RefusedError(
            "feed_reader", {"file": trusted.file.name, "error": type(error).__name__}
        ) from None


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
