"""Holds: what of a plan has to wait, because tonight's facts are not to be trusted or a limit is exceeded.

In: the changes of one export, the run's feeds and observation, the limits. Out: sentences, and `hold` set on the
rows concerned. What is not concerned flows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import duckdb

from reverse_etl import applied, diff, sql
from reverse_etl.exports import Refusal
from reverse_etl.limits import DEFAULT_PER_SCHOOL, Allowed, Group, drop_hold
from reverse_etl.limits import holds as over_limit
from reverse_etl.model import Export, FileFormat

DISTRUSTED = ("refused", "missing")


class TargetUnusable(Exception):
    """A target that is not configured as it must be; the message says what to write where."""


def of_night(export: Export, feeds: Sequence[Mapping[str, Any]], observed: Mapping[str, Any], written_at: Callable[[str], float]) -> str | None:
    """Why nothing of this export may flow tonight; None when it may."""
    why = {(feed["source"], feed["feed"]): _distrust(feed) for feed in feeds}
    bad = [f"{source}.{feed} ({why[source, feed]})" for source, feed in export.feeds if why.get((source, feed))]
    if bad:
        return (
            f"{export.target} {export.entity} rests on feed {', '.join(bad)} tonight; nothing of it is written until the feed is good again, "
            'see "make report" for what is wrong with the file'
        )
    if export.file is not None:
        return None
    seen = observed.get(export.target)
    if seen is None:
        return f'{export.target} was not observed in this run; run "make observe", then "make plan"'
    if seen["status"] != "ok":
        return f"{export.target} could not be read tonight ({seen.get('error') or 'no reason given'}); what it holds is not known, so nothing is written"
    if written_at(export.target) > datetime.fromisoformat(seen["observed_at"]).timestamp():
        return f'{export.target} was written to after it was observed at {seen["observed_at"][:19]}; run "make observe", then "make plan"'
    return None


def _distrust(feed: Mapping[str, Any]) -> str:
    """Why nothing may be written from a feed tonight; '' when what is in force of it is good enough. Ingestion says so in `hold`."""
    return feed["hold"] if "hold" in feed else (feed["status"] if feed["status"] in DISTRUSTED else "")


def set_aside(connection: duckdb.DuckDBPyConnection, export: Export) -> int:
    """Take the changes of people under a hold (seed `holds`) out of the plan; how many. Files go on: a hold is about accounts."""
    if export.file is not None or "hold" not in applied.columns(connection, "identity.lifecycle"):
        return 0
    gone = connection.execute(
        "delete from changes where target = ? and entity = ? and person_id in (select person_id from identity.lifecycle where hold is not null)",
        [export.target, export.entity],
    ).fetchone()
    return gone[0] if gone else 0


def by_school(connection: duckdb.DuckDBPyConnection, export: Export, feeds: Sequence[Mapping[str, Any]]) -> list[str]:
    """Hold the changes of schools whose rows collapsed in a feed this export rests on; the other schools flow.

    A change belongs to a school by its own school and by the person's: whoever stood in a held school when we last
    wrote is not moved away from it because its rows are gone.
    """
    held: dict[str, list[str]] = {}
    for feed in feeds:
        if (feed["source"], feed["feed"]) in export.feeds:
            for school in feed.get("held_schools", ()):
                held.setdefault(school, []).append(f"{feed['source']}.{feed['feed']}")
    sentences = []
    for school, names in sorted(held.items()):
        count = connection.execute(f"""
            update changes set hold = $hold where target = $target and entity = $entity and hold is null
            and (school_number = $school or person_id in ({applied.people_of(connection)}))""",
            {"hold": f"school {school} has lost its rows in {', '.join(names)}", "target": export.target, "entity": export.entity, "school": school},
        ).fetchone()  # fmt: skip
        if count and count[0]:
            changes = "1 change" if count[0] == 1 else f"{count[0]:,} changes"
            sentences.append(f"{export.target} {export.entity}: {changes} of school {school} held, because its rows are missing from {', '.join(names)}; "
                             "the other schools go on")  # fmt: skip
    return sentences


def files(exports: Sequence[Export], as_of: str, district: str) -> dict[tuple[str, str], list[Export]]:
    """(target, file name at the vendor) -> the exports that travel in it."""
    found: dict[tuple[str, str], list[Export]] = {}
    for export in exports:
        if export.file is not None:
            name = FileFormat.filled(export.file.archive or export.file.name, as_of, district)
            found.setdefault((export.target, name), []).append(export)
    return found


def spread_over_files(exports: Sequence[Export], stopped: Mapping[tuple[str, str], str], unreadable: Sequence[Refusal]) -> Iterator[tuple[str, str, str]]:
    """A zip with one export missing would tell the vendor that all of it left: one stopped member stops the file."""
    lost = {refusal.target: refusal.reason for refusal in unreadable}
    for (target, _), members in files(exports, "", "").items():
        reasons = [stopped[target, e.entity] for e in members if (target, e.entity) in stopped]
        # An export nobody can read may belong to any file of its target.
        reasons += [lost[target]] if target in lost else []
        for export in members if reasons else ():
            yield target, export.entity, reasons[0]


def by_limits(connection: duckdb.DuckDBPyConnection, export: Export, observed: int, allowed: Allowed) -> list[str]:
    """Hold what exceeds the limits of this export; returns the sentences."""
    target, entity = export.target, export.entity
    if export.file is not None:
        gone = connection.execute("select count(*) filter (action = 'remove') - count(*) filter (action = 'create') from changes "
                                  "where target = ? and entity = ? and hold is null", [target, entity]).fetchone()  # fmt: skip
        if export.file.when_empty == "skip" and _desired(connection, export) == 0:
            return []  # nothing is sent, so nothing vanishes at the vendor
        sentence = drop_hold(target, entity, export.limits, before=observed, after=observed - (gone[0] if gone else 0), allowed=allowed)
        if sentence:
            connection.execute("update changes set hold = ? where target = ? and entity = ? and hold is null", [sentence, target, entity])
        return [sentence] if sentence else []
    groups = [
        Group(action, planned, observed)
        for action, planned in connection.execute(
            "select action, count(*) from changes where target = ? and entity = ? and hold is null group by action", [target, entity]
        ).fetchall()
    ]
    watched = [group.action for group in groups if group.action in export.limits.per_school or group.action in DEFAULT_PER_SCHOOL]
    if export.school and watched:
        groups += _schools(connection, export, watched)
    sentences = []
    for hold in over_limit(target, entity, export.limits, groups, allowed):
        connection.execute(
            "update changes set hold = $hold where target = $target and entity = $entity and action = $action and hold is null "
            "and ($school is null or school_number = $school)",
            {"hold": hold.sentence, "target": target, "entity": entity, "action": hold.action, "school": hold.school},
        )
        sentences.append(hold.sentence)
    return sentences


def _desired(connection: duckdb.DuckDBPyConnection, export: Export) -> int:
    row = connection.execute(f"select count(*) from {export.relation}").fetchone()
    return row[0] if row else 0


def _schools(connection: duckdb.DuckDBPyConnection, export: Export, actions: list[str]) -> list[Group]:
    """Per school: how much of each watched action is planned, and how many rows of ours are there."""
    school = sql.name(export.school or "")
    there = dict(connection.execute(f"""
        with observed as (select distinct {sql.key(export.key)} as _key from {diff.observed_view(export)}),
        desired as (select {school}, {sql.key(export.key)} as _key from {export.relation})
        select coalesce(cast(desired.{school} as varchar), cast(past.{school} as varchar)), count(*)
        from observed left join desired using (_key)
        left join {applied.table(export.target, export.entity)} as past using (_key)
        group by 1""").fetchall())  # fmt: skip
    planned = connection.execute("""
        select action, school_number, count(*) from changes
        where target = ? and entity = ? and hold is null and school_number is not null and action in (select unnest(?))
        group by all""", [export.target, export.entity, actions]).fetchall()  # fmt: skip
    return [Group(action, number, there.get(where, 0), where) for action, where, number in planned]
