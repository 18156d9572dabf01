"""Explain: one person, in plain words, for whoever is asked at the help desk.

In: a student number, staff key, person id or account; the published warehouse. Out: who this is in
each system and by which rule, the lifecycle with its dates, what each target should hold and holds,
what is pending, and who can mend what. Names, contacts and the like are shown only when asked for
(`--names`); keys, schools and dates always.

Alone: `python -m operations explain 1000001`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import duckdb
from rich.console import Console

from common import paths, problems

HIDDEN = "…"
PERSONAL = (
    "name",
    "contact",
    "birth",
    "address",
    "family",
    "attendance",
)  # classes of seeds/privacy_register.csv that stay hidden
FORESEEN_DAYS = 3 * 366
EVENTS_SHOWN = 6
MANY = ("group_id", "licence")  # of what a person may have several, by the name of its column
FOR_ALL = ("person_id", "source", "source_file", "source_line")
PRESENCE = {
    "present": "listed in last night's feeds",
    "filtered": "listed, but of a kind that is given no account",
    "left": "left",
    "invalid": "listed in a line that cannot be used",
    "file_missing": "not known: the feed did not come",
    "file_partial": "not known: the feed was refused or has unreadable lines",
    "vanished": "in no good feed, for no reason that is known",
}


class NobodyFoundError(Exception):
    """Nobody, or more than one, is called that; the message says what to do."""


@dataclass(frozen=True)
class Fault:
    """One row of audit.person_faults."""

    code: str
    system: str
    sentence: str
    owner: str
    action: str


def explain(who: str, console: Console, *, names: bool = False) -> int:
    """Print everything about one person; 0. Raises NobodyFoundError."""
    if not paths.published().is_file():
        raise NobodyFoundError(
            f'nothing is published yet ({paths.published()}); run "make nightly" first'
        )
    with duckdb.connect(str(paths.published()), read_only=True) as connection:
        person = resolve(connection, who)
        for title, lines in sections(connection, person, names=names):
            console.print(title, style="bold")
            for line in lines:
                console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    return 0


def sections(
    connection: duckdb.DuckDBPyConnection, person: str, *, names: bool = False
) -> Iterator[tuple[str, list[str]]]:
    """The answer, section by section: a title and its lines."""
    yield "Who", list(_who(connection, person, names))
    yield "Lifecycle", list(_lifecycle(connection, person))
    yield "What the targets should hold, and hold", list(_targets(connection, person, names))
    yield "Pending", list(_pending(connection, person)) or ["nothing"]
    yield (
        "Who can mend what",
        [
            f"{one.system}: {one.sentence} -> {one.owner}: {one.action}"
            for one in faults(connection, person)
        ]
        or ["nothing is the matter"],
    )


def resolve(connection: duckdb.DuckDBPyConnection, who: str) -> str:
    """The person id behind a student number, staff key, person id, account name or address. Raises
    NobodyFoundError.
    """
    addresses = "".join(
        f" union select person_id from staging.{table} where lower({column}) = lower($who)"
        for table, column in (
            ("stg_google__users", "primary_email"),
            ("stg_microsoft__users", "user_principal_name"),
        )
        if _has(connection, "staging", table)
    )
    found = connection.execute(
        f"""
        select person_id from identity.persons where person_id = $who
        or lower(source_key) = lower($who)
        union select person_id from identity.account_holders where lower(account_name) = lower($who)
        or lower(address) = lower($who){addresses}""",
        {"who": who.strip()},
    ).fetchall()
    if not found:
        raise NobodyFoundError(
            f"nobody is known by {who!r}: no feed has ever listed this number and no account of"
            " ours has this address. Check the number; if it is right, the school office"
            " (students) or human resources (staff) has not entered the person yet"
        )
    if len(found) > 1:
        listed = ", ".join(sorted(row[0] for row in found))
        raise NobodyFoundError(
            f"{who!r} means {len(found)} people; ask again with one of their ids: {listed}"
        )
    return found[0][0]


def faults(connection: duckdb.DuckDBPyConnection, person: str) -> list[Fault]:
    """What is the matter with a person, and who can mend it."""
    rows = connection.execute(
        "select distinct code, system, sentence, owner, action from audit.person_faults where"
        " person_id = ? order by code = 'legal_names', system, code, sentence",
        [person],
    ).fetchall()
    return [Fault(*row) for row in rows]


# ---------------------------------------------------------------- sections


def _who(connection: duckdb.DuckDBPyConnection, person: str, names: bool) -> Iterator[str]:
    one = _row(connection, "select * from identity.persons where person_id = ?", person)
    yield (
        f"person {person}: {one['population']} {one['source_key']}, known since"
        f" {one['first_seen_on']}, by rule {one['rule']}"
    )
    record = _row(connection, "select * from identity.person_records where person_id = ?", person)
    presence = _row(connection, "select * from identity.presence where person_id = ?", person)
    if record:
        called = (
            " ".join(name for name in (record["first_name"], record["last_name"]) if name)
            if names
            else HIDDEN
        )
        place = f"school {record['school_number']}" if record["school_number"] else "no school"
        yield f"record: {record['source'] or 'not in a feed'}; {called}, {place}" + (
            f", grade {record['grade_code']}" if record["grade_code"] else ""
        )
    if presence:
        yield (
            f"{presence['source'] or 'source'}: {PRESENCE[presence['presence']]}, since"
            f" {presence['since']}; last listed on {presence['last_seen_on']}"
        )
    account = _row(connection, "select * from identity.account_holders where person_id = ?", person)
    if account:
        minted = _row(
            connection,
            "select * from identity.accounts where person_id = ? order by minted_on desc limit 1",
            person,
        )
        shown = account["address"] if names else HIDDEN
        yield f"account name: {shown}, given on {minted['minted_on']} by policy {minted['policy']}"
    else:
        yield "account name: none given"
    for target, table in (("google", "stg_google__users"), ("microsoft", "stg_microsoft__users")):
        if _has(connection, "staging", table):
            ids = connection.execute(
                f"select remote_id from staging.{table} where person_id = ? order by 1", [person]
            ).fetchall()
            yield f"{target}: " + (
                f"account {', '.join(str(row[0]) for row in ids)}, found by our key on it"
                if ids
                else "no account carries this person's key"
            )


def _lifecycle(connection: duckdb.DuckDBPyConnection, person: str) -> Iterator[str]:
    now = _row(connection, "select * from identity.lifecycle where person_id = ?", person)
    if not now:
        yield "no state yet"
        return
    reason = _reason(now["reason"], now["reason_values"])
    yield (
        f"{now['state']} since {now['since']}: the record says {now['record']} ({reason})"
        + (f"; rule: {now['rule']}" if now["rule"] else "")
    )
    if now["hold"]:
        yield f"held: {now['hold']}; nothing changes until then"
    else:
        yield from _next_step(connection, now)
    every = connection.execute(
        "select recorded_on, state, rule, reason, reason_values from identity.lifecycle_events"
        " where person_id = ? order by event_number",
        [person],
    ).fetchall()
    for on, state, rule, reason, values in every[-EVENTS_SHOWN:]:
        yield f"{on}: {state} ({rule or _reason(reason, values)})"


def _reason(code: str, values: str | None) -> str:
    """Why somebody is in a state, as the catalogue says it."""
    return problems.sentence(f"record_{code}", json.loads(values or "{}"))


def _next_step(connection: duckdb.DuckDBPyConnection, now: dict[str, Any]) -> Iterator[str]:
    """When the state ends if the record stays as it is: the timers of the seeds, day by day."""
    as_of = connection.execute("select max(as_of) from audit.person_sources").fetchone()
    rules = connection.execute(
        "select days, to_state, rule, is_on from seeds.lifecycle_rules where population = ? and"
        " from_state = ? and record = ?",
        [now["population"], now["state"], now["record"]],
    ).fetchone()
    if rules is None or as_of is None or as_of[0] is None:
        yield "stays so while the record does"
        return
    days, after, rule, is_on = rules
    if not is_on:
        yield f"stays so: the step to {after} is switched off in seeds/lifecycle_rules.csv"
        return
    standing = connection.execute(
        "select starts_on, ends_on from seeds.school_calendar where population = ? and timers ="
        " 'stand'",
        [now["population"]],
    ).fetchall()
    day, counted = now["since"], 0
    while (counted < days or day <= as_of[0]) and (day - now["since"]).days < FORESEEN_DAYS:
        day += timedelta(days=1)
        counted += not any(first <= day <= last for first, last in standing)
    passed = _counted(now["since"], as_of[0], standing)
    yield (
        f"next: {after} on {day} ({rule}: {days} days, of which {passed} have passed), if the"
        " record stays"
    )


def _counted(since: date, until: date, standing: list[tuple[date, date]]) -> int:
    days = (since + timedelta(days=n) for n in range(1, (until - since).days + 1))
    return sum(not any(first <= day <= last for first, last in standing) for day in days)


def _targets(connection: duckdb.DuckDBPyConnection, person: str, names: bool) -> Iterator[str]:
    hidden = {
        (model, column)
        for model, column, kind in connection.execute(
            "select model, column_name, personal_data from seeds.privacy_register"
        ).fetchall()
        if kind in PERSONAL
    }
    nothing = []
    tables = connection.execute(
        "select table_name from information_schema.columns where table_schema = 'exports' and"
        " column_name = 'person_id' order by 1"
    )
    for (model,) in tables.fetchall():
        target, _, entity = model.removeprefix("exp_").partition("__")
        observed = f"stg_{target}__{entity}"
        wanted = _rows(connection, f'select * from exports."{model}" where person_id = ?', person)
        is_file = not _has(connection, "staging", observed)
        there = (
            []
            if is_file
            else _rows(
                connection, f'select * from staging."{observed}" where person_id = ?', person
            )
        )
        if not wanted and not there:
            nothing.append(f"{target} {entity}")
        elif is_file:
            yield f"{target} {entity}: {_count(wanted)} in the file"
        elif many := next((column for column in MANY if column in (*wanted, *there)[0]), None):
            yield from _several(
                f"{target} {entity}", {row[many] for row in wanted}, {row[many] for row in there}
            )
        else:
            yield from _differences(
                f"{target} {entity}",
                wanted,
                there,
                {column for name, column in hidden if name == model and not names},
            )
    if nothing:
        yield f"nothing, and nothing there: {', '.join(nothing)}"


def _several(what: str, wanted: set[str], there: set[str]) -> Iterator[str]:
    parts = [f"should be {len(wanted)}, are {len(there)}"]
    parts += [f"missing {', '.join(sorted(wanted - there))}"] if wanted - there else []
    parts += [f"too many {', '.join(sorted(there - wanted))}"] if there - wanted else []
    yield f"{what}: {'; '.join(parts)}"


def _differences(
    what: str, wanted: list[dict[str, Any]], there: list[dict[str, Any]], hidden: set[str]
) -> Iterator[str]:
    if len(wanted) != 1 or len(there) != 1:
        yield f"{what}: should hold {_count(wanted)}, holds {_count(there)}"
        return
    should, has = wanted[0], there[0]
    unlike = [
        column
        for column in should
        if column in has and column not in FOR_ALL and _text(should[column]) != _text(has[column])
    ]
    off = [
        f"{column} {_text(should[column])}"
        for column in ("suspended", "archived", "account_enabled", "deleted", "org_unit_path")
        if column in should
    ]
    yield f"{what}: {', '.join(off)}; " + (
        "as it should be" if not unlike else f"{len(unlike)} columns differ"
    )
    for column in unlike:
        shown = (
            ("not shown", "not shown")
            if column in hidden
            else (_text(should[column]), _text(has[column]))
        )
        yield f"    {column}: should be {shown[0]}, is {shown[1]}"


def _pending(connection: duckdb.DuckDBPyConnection, person: str) -> Iterator[str]:
    rows = connection.execute(
        """
        select target, entity, action, status, coalesce(hold, nullif(note, ''), reason)
        from audit.changes
        where person_id = ? and run_id = (select max(run_id) from audit.runs)
        and status <> 'applied' order by all""",
        [person],
    ).fetchall()
    for target, entity, action, status, why in rows:
        yield f"{target} {entity}: {action}, {status}: {why}"


# ---------------------------------------------------------------- small things


def _rows(connection: duckdb.DuckDBPyConnection, query: str, person: str) -> list[dict[str, Any]]:
    cursor = connection.execute(query, [person])
    columns = [column[0] for column in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def _row(connection: duckdb.DuckDBPyConnection, query: str, person: str) -> dict[str, Any]:
    rows = _rows(connection, query, person)
    return rows[0] if rows else {}


def _has(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    found = connection.execute(
        "select count(*) from information_schema.tables where table_schema = ? and table_name = ?",
        [schema, table],
    ).fetchone()
    return bool(found and found[0])


def _count(rows: list[dict[str, Any]]) -> str:
    return "1 row" if len(rows) == 1 else f"{len(rows)} rows"


def _text(value: Any) -> str:
    return (
        "nothing"
        if value is None
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )
