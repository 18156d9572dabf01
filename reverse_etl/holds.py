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
    status = {(feed["source"], feed["feed"]): feed["status"] for feed in feeds}
    bad = [f"{source}.{feed} ({status[source, feed]})" for source, feed in export.feeds if status.get((source, feed)) in DISTRUSTED]
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
