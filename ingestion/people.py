"""Are the people of a file those of last night? A shifted column, a lost zero or a prefix makes
every key somebody else's, or nobody's.

In: a checked file's table `looked`, the rows landed before. Out: nothing, or `RefusedError` with
how many. Which columns say who somebody is, is told by their headings; a feed without any is about
no people, and its keys may come and go. What is wrong with one key alone is asked later, by
core.record_questions. No value enters a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import duckdb
import pyarrow as pa

from common import sql
from ingestion.layout import Feed
from ingestion.model import RefusedError, Trusted
from ingestion.tolerance import Tolerance

WHOSE = r"(?:(?:student|pupil|employee|staff|person)_)?(?:(?:legal|usual|preferred|official)_)?"
MEANS = {
    "given": re.compile(WHOSE + r"(?:first|given|fore)_?name"),
    "family": re.compile(WHOSE + r"(?:last_?name|family_?name|surname)"),
    "born": re.compile(WHOSE + r"(?:date_of_birth|birth_?date|birthday|dob|born(?:_on)?)"),
}
FEW = 5  # a list of so few may change altogether
FEW_CHANGED = 2  # so many are asked about one by one, whatever share they are
DATES = ("%Y-%m-%d", "%d-%b-%Y", "%Y%m%d", "%d/%m/%Y", "%m/%d/%Y")

Landed = Callable[[Sequence[str]], pa.Table]


def columns(feed: Feed) -> dict[str, tuple[str, ...]]:
    """given, family, born -> the columns of a feed that say so."""
    return {
        fact: tuple(name for name in feed.landed if pattern.fullmatch(name))
        for fact, pattern in MEANS.items()
    }


def keys(feed: Feed) -> tuple[str, ...]:
    """The columns that name a person, each by itself; none where the key says more than who it is
    at which school: absences are other people's every day. Where people have several rows there is
    no key, and `person_key` says who they are.
    """
    who = {name for names in columns(feed).values() for name in names}
    key = feed.key or feed.person_key
    more = {name for name in key if name not in who | {feed.report_key, feed.school}}
    alone = key if len(key) == 1 else ()
    if not key or not who or (not alone and more - {"user_name"}):
        return ()
    return tuple(dict.fromkeys(name for name in (feed.report_key, *alone) if name))


def asked(feed: Feed) -> set[str]:
    """The columns the checks below ask for."""
    if not keys(feed):
        return set()
    return {name for names in columns(feed).values() for name in names}.union(keys(feed))


def same_as_before(
    connection: duckdb.DuckDBPyConnection, trusted: Trusted, landed: Landed, limits: Tolerance
) -> None:
    """Refuse a file whose keys are new, or name other people than they did."""
    there = set(trusted.places)
    who = {
        fact: [name for name in names if name in there]
        for fact, names in columns(trusted.feed).items()
    }
    for key in (name for name in keys(trusted.feed) if name in there):
        names = [name for found in who.values() for name in found]
        before = landed([key, *(name for name in names if name != key)])
        if before.num_rows:
            connection.register("before", before)
            _known_keys(connection, trusted, key, limits)
            _known_people(connection, trusted, key, who, limits)
            connection.unregister("before")


def _known_keys(
    connection: duckdb.DuckDBPyConnection, trusted: Trusted, key: str, limits: Tolerance
) -> None:
    name = sql.name(key)
    before, kept = _counted(
        connection,
        f"""
        select count(*), count(*) filter (where {name} in (select {name} from looked))
        from (select distinct trim({name}) as {name} from before where {name} is not null)""",
    )
    if before >= FEW and kept < limits.min_kept_keys * before:
        raise RefusedError(
            "feed_new_keys",
            {
                "file": trusted.file.name,
                "again": kept,
                "before": before,
                "name": key,
                "limit": f"{limits.min_kept_keys:.0%}",
                "feed": trusted.feed.name,
            },
        )


def _known_people(
    connection: duckdb.DuckDBPyConnection,
    trusted: Trusted,
    key: str,
    who: dict[str, list[str]],
    limits: Tolerance,
) -> None:
    """Somebody else: birth date and one of the names differ; without a birth date both names."""
    changed = {fact: f"{fact}_changed" for fact, names in who.items() if names}
    if len(changed) == 1:
        return
    tests = {"given": "false", "family": "false", "born": "true"} | changed
    if "born" not in changed:
        test = f"{tests['given']} and {tests['family']}"
    else:
        test = f"{tests['born']} and ({tests['given']} or {tests['family']})"
    differ = ", ".join(
        f"coalesce(len(now.{fact}) > 0 and len(was.{fact}) > 0"
        f" and not list_has_any(now.{fact}, was.{fact}), false) as {name}"
        for fact, name in changed.items()
    )
    both, others, first = _counted(
        connection,
        f"""
        with now as ({_facts(key, who, "looked", "rowid + 1")}),
        was as ({_facts(key, who, "before", "0")})
        select count(*), count(*) filter (where {test}), min(line) filter (where {test})
        from (select now.line, {differ} from now join was using (person))""",
    )
    if others > FEW_CHANGED and others > limits.most_other_people * both:
        raise RefusedError(
            "feed_other_people",
            {
                "file": trusted.file.name,
                "others": others,
                "both": both,
                "share": f"{others / both:.0%}",
                "name": key,
                "limit": f"{limits.most_other_people:.0%}",
                "feed": trusted.feed.name,
            },
            trusted.line_of(first),
        )


def _facts(key: str, who: dict[str, list[str]], table: str, line: str) -> str:
    """SQL: per key the names and birth dates its rows have, as they are compared."""
    facts = ", ".join(
        f"list_filter(flatten(list([{', '.join(map(_compared(fact), names))}])),"
        f" one -> coalesce(one, '') <> '') as {fact}"
        for fact, names in who.items()
        if names
    )
    return (
        f"select trim({sql.name(key)}) as person, min({line}) as line, {facts} from {table}"
        f" where {sql.name(key)} is not null group by 1"
    )


def _compared(fact: str) -> Callable[[str], str]:
    """SQL of a value as it is compared: a date whatever way it is written, letters of a name."""
    if fact == "born":
        # a date that could be two days is compared as it is written
        def of(name: str) -> str:
            days = ", ".join(f"try_strptime({sql.name(name)}, {sql.text(form)})" for form in DATES)
            return (
                f"(select case when count(distinct day) = 1 then cast(max(day) as varchar)"
                f" else {sql.name(name)} end from unnest([{days}]) as read(day))"
            )
    else:

        def of(name: str) -> str:
            letters = f"lower(strip_accents({sql.name(name)}))"
            return f"regexp_replace({letters}, '[^a-z0-9]', '', 'g')"

    return of


def _counted(connection: duckdb.DuckDBPyConnection, query: str) -> tuple:
    return connection.execute(query).fetchone() or ()
