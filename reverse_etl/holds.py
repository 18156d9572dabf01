"""Holds: what of a plan has to wait, because tonight's facts are not to be trusted or a limit is
exceeded.

In: the changes of one export, the run's feeds and observation, the limits. Out: sentences, and
`hold` set on the rows concerned. What is not concerned flows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import duckdb

from common import sql
from common.problems import WITHIN, Reason
from common.words import words
from reverse_etl import applied, diff, expected
from reverse_etl.exports import RefusalError
from reverse_etl.form import per_partition
from reverse_etl.limits import (
    DEFAULT_PER_PARTITION,
    EMPTY,
    FIRST,
    KEYS,
    Allowed,
    Group,
    column_holds,
    drop_hold,
    growth_hold,
)
from reverse_etl.limits import holds as over_limit
from reverse_etl.model import CREATE, MOVE, Export

DISTRUSTED = ("refused", "missing")
COUNTED = (  # what limits count: released changes were counted by somebody, refused ones before
    "target = ? and entity = ? and hold is null and not released and not refused and not expected"
)
ACTION = "case when move is not null then 'move' else action end"  # as limits know it
PARTITION = "coalesce(left_from, partition)"  # a move counts where it leaves
EDITED = 0.01  # so many of our keys may be edited by hand and are held alone; more are misread
SEVERAL = 5  # and as many in a small district: each is held alone all the same
CROWD = 50  # a tenant with as many objects of a kind that are not ours was lived in before we came


class TargetUnusableError(Exception):
    """A target that is not configured as it must be; the message says what to write where."""


def of_night(
    export: Export,
    feeds: Sequence[Mapping[str, Any]],
    observed: Mapping[str, Any],
    written_at: Callable[[str], float],
) -> Reason | None:
    """Why nothing of this export may flow tonight; None when it may."""
    target = {"target": export.target}
    why = {(feed["source"], feed["feed"]): _distrust(feed) for feed in feeds}
    bad = [
        f"{source}.{feed} ({why[source, feed]})"
        for source, feed in export.feeds
        if why.get((source, feed)) and (source, feed) not in export.columns_on
    ]
    if bad:
        return Reason("hold_feed", {**target, "entity": export.entity, "feeds": ", ".join(bad)})
    if export.file is not None:
        return None
    seen = observed.get(export.target)
    if seen is None:
        return Reason("hold_not_observed", target)
    if seen["status"] != "ok":
        return Reason("hold_unread", {**target, "why": str(seen.get("error") or "no reason given")})
    if written_at(export.target) > datetime.fromisoformat(seen["observed_at"]).timestamp():
        return Reason("hold_written_since", {**target, "moment": seen["observed_at"][:19]})
    return None


def of_columns(export: Export, feeds: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The columns that stand as they are tonight, as a feed they alone rest on is not good, each
    with those feeds.
    """
    found: dict[str, list[str]] = {}
    for feed in feeds:
        if why := _distrust(feed):
            for column in export.columns_on.get((feed["source"], feed["feed"]), ()):
                found.setdefault(column, []).append(f"{feed['source']}.{feed['feed']} ({why})")
    return found


def said_of_columns(export: Export, still: Mapping[str, list[str]]) -> str:
    """The sentence of columns that stand."""
    values = {
        "target": export.target,
        "entity": export.entity,
        "columns": ", ".join(still),
        "feeds": ", ".join(dict.fromkeys(feed for feeds in still.values() for feed in feeds)),
    }
    return str(Reason("hold_columns", values))


def kinds(connection: duckdb.DuckDBPyConnection, exports: Sequence[Export]) -> None:
    """Make the temporary table `kinds`: of what kind each subject is, as an export says that knows,
    or said when it was written.
    """
    connection.execute("create or replace temp table kinds (subject text, kind text)")
    for export in exports:
        if not (export.kind and export.subject):
            continue
        for relation in (export.relation, applied.table(export.target, export.entity)):
            if {export.kind, export.subject} <= set(applied.columns(connection, relation)):
                connection.execute(
                    f"""
                    insert into kinds
                    select distinct {sql.name(export.subject)}, {sql.name(export.kind)}
                    from {relation}"""
                )


def of_other_kinds(export: Export, feeds: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The kinds whose rows rest on good feeds, though the export as a whole does not. A file's rows
    go together.
    """
    if export.file is not None or not export.subject:
        return frozenset()
    bad = {(feed["source"], feed["feed"]) for feed in feeds if _distrust(feed)}
    bad -= export.columns_on.keys()
    return frozenset(kind for kind, of in export.feeds_of.items() if not bad & set(of))


def by_kind(
    connection: duckdb.DuckDBPyConnection, export: Export, why: Reason, free: frozenset[str]
) -> str:
    """Hold the changes but those of a kind that rests on good feeds; the sentence, '' when none
    waits. Of whom nothing says the kind waits.
    """
    one = Reason("hold_feed_kind", {**why.values, "kinds": ", ".join(sorted(free))})
    held = _count(
        connection,
        """
        update changes set hold = $hold where target = $target and entity = $entity
        and (subject is null or subject not in
        (select subject from kinds where subject is not null group by subject
        having bool_and(coalesce(kind in (select unnest($free)), false))))""",
        {"hold": one.json, "target": export.target, "entity": export.entity, "free": sorted(free)},
    )
    return str(one) if held else ""


def _distrust(feed: Mapping[str, Any]) -> str:
    """Why nothing may be written from a feed tonight; '' when what is in force of it is good
    enough. Ingestion says so in `hold`.
    """
    return (
        feed["hold"] if "hold" in feed else (feed["status"] if feed["status"] in DISTRUSTED else "")
    )


def protect(connection: duckdb.DuckDBPyConnection, exports: Sequence[Export]) -> None:
    """Make the temporary table `protected`: the subjects some export says are under a hold, and the
    held rows (target, entity, key) of those that have no subject.
    """
    connection.execute(
        "create or replace temp table protected (subject text, target text, entity text, key text)"
    )
    for export in exports:
        named = {export.hold, *export.key, *([export.subject] if export.subject else [])}
        if export.hold and named <= set(applied.columns(connection, export.relation)):
            subject = sql.name(export.subject) if export.subject else "null"
            connection.execute(
                f"""
                insert into protected
                select {subject}, $target, $entity, {sql.key(export.shown_key)}
                from {export.relation}
                where {sql.name(export.hold)} is not null""",
                {"target": export.target, "entity": export.entity},
            )


def set_aside(connection: duckdb.DuckDBPyConnection, export: Export) -> int:
    """Take the changes of what is `protected` out of the plan; how many. Files go on: a hold is
    about objects.
    """
    if export.file is not None:
        return 0
    return _count(
        connection,
        """
        delete from changes where target = $target and entity = $entity and (
            subject in (select subject from protected where subject is not null)
            or key in (select key from protected where subject is null and target = $target
            and entity = $entity))""",
        {"target": export.target, "entity": export.entity},
    )


def by_partition(
    connection: duckdb.DuckDBPyConnection, export: Export, feeds: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Hold the changes of partitions whose rows collapsed in a feed this export rests on; the
    others flow.

    A change belongs to a partition by its own, by its subject's and by its row's as we last wrote
    it: whoever stood in a held one is not moved away from it because its rows are gone.
    """
    past = applied.table(export.target, export.entity)
    named = sql.name(export.partition) if export.partition else "null"
    held: dict[str, list[str]] = {}
    for feed in feeds:
        if (feed["source"], feed["feed"]) in export.feeds:
            for partition in feed.get("held_partitions", ()):
                held.setdefault(partition, []).append(f"{feed['source']}.{feed['feed']}")
    sentences = []
    said = words()
    daily = export.file is not None and export.file.daily
    stand = ""
    if export.file:
        stand = f"{'none' if daily else 'they'} stand in the file as they were last delivered, "
    for partition, names in sorted(held.items()):
        count = _count(
            connection,
            f"""
            update changes set hold = $hold where target = $target and entity = $entity
            and hold is null {"and action <> 'remove'" if daily else ""}
            and (partition = $partition or subject in ({applied.subjects_of(connection)})
            or key in (select _key from {past} where cast({named} as varchar) = $partition))""",
            {
                "hold": Reason(
                    "hold_partition",
                    {"word": said.partition, "partition": partition, "feeds": ", ".join(names)},
                ).json,
                "target": export.target,
                "entity": export.entity,
                "partition": partition,
            },
        )
        if count:
            changes = "1 change" if count == 1 else f"{count:,} changes"
            sentences.append(
                f"{export.target} {export.entity}: {changes} of {said.partition} {partition} held,"
                f" because its rows are missing from {', '.join(names)}; {stand}the other"
                f" {said.partitions} go on"
            )
    return sentences


def files(exports: Sequence[Export]) -> dict[tuple[str, str], list[Export]]:
    """(target, template of the file's name) -> the exports that travel in it."""
    found: dict[tuple[str, str], list[Export]] = {}
    for export in exports:
        if export.file is not None:
            found.setdefault((export.target, export.file.template), []).append(export)
    return found


def refused(why: str) -> Reason:
    """What an export, a target or the settings of either are refused for, in their own words."""
    return Reason("hold_refused", {"why": why})


def spread_over_files(
    exports: Sequence[Export],
    stopped: Mapping[tuple[str, str], Reason],
    unreadable: Sequence[RefusalError],
) -> Iterator[tuple[str, str, Reason]]:
    """A zip with one export missing would tell its reader that all of it left: one stopped member
    stops the file.
    """
    lost = {refusal.target: refused(refusal.reason) for refusal in unreadable}
    for (target, _), members in files(exports).items():
        reasons = [stopped[target, e.entity] for e in members if (target, e.entity) in stopped]
        # An export nobody can read may belong to any file of its target.
        reasons += [lost[target]] if target in lost else []
        for export in members if reasons else ():
            yield target, export.entity, reasons[0]


def by_limits(
    connection: duckdb.DuckDBPyConnection,
    export: Export,
    observed: int,
    allowed: Allowed,
    as_of: str = "",
) -> list[str]:
    """Hold what exceeds the limits of this export; returns the sentences."""
    target, entity = export.target, export.entity
    if export.file is not None and not export.file.write_back:
        gone = _count(
            connection,
            "select count(*) filter (action = 'remove') - count(*) filter (action = 'create') from"
            " changes where target = ? and entity = ? and hold is null",
            [target, entity],
        )
        if (
            export.file.when_empty == "skip"
            and export.file.actions is None  # who left a delta says, to the last row
            and _count(connection, f"select count(*) from {export.relation}") == 0
        ):
            return []  # nothing is sent, so nothing vanishes at the target
        counts = {"before": observed, "after": observed - gone}
        over = expected.expired(connection, export, as_of)
        kept = {**counts, "before": observed - over}  # of what was still to be there
        why = drop_hold(target, entity, export.limits, **kept, allowed=allowed)
        # a day's rows are others every day: as many as there are, unless somebody limits them
        if CREATE in export.limits.per_run or not export.file.daily:
            why = why or growth_hold(target, entity, export.limits, **counts, allowed=allowed)
        if why:
            connection.execute(
                "update changes set hold = ? where target = ? and entity = ? and hold is null",
                [why.json, target, entity],
            )
        return [str(why)] if why else _part_drops(connection, export, allowed)
    subjects = _counts_subjects(export)
    there = _subjects(connection, export) if subjects else observed
    groups = [
        Group(action, planned, there, subjects=subjects)
        for action, planned in connection.execute(
            f"select {ACTION} as did, {_counted(export)} from changes where {COUNTED} group by did",
            [target, entity],
        ).fetchall()
    ]
    watched = [
        group.action
        for group in groups
        if group.action in {*export.limits.per_partition, *DEFAULT_PER_PARTITION, MOVE}
    ]
    if export.partition:
        groups += _partitions(connection, export, watched)
    sentences = []
    for hold in over_limit(target, entity, export.limits, groups, allowed):
        connection.execute(
            f"update changes set hold = $hold where target = $target and entity = $entity and"
            f" {ACTION} = $action and hold is null and not released and not expected"
            f" and ($partition is null or {PARTITION} = $partition)",
            {
                "hold": hold.why.json,
                "target": target,
                "entity": entity,
                "action": hold.action,
                "partition": hold.partition,
            },
        )
        sentences.append(hold.sentence)
    return sentences + _by_columns(connection, export, observed, allowed)


def _part_drops(
    connection: duckdb.DuckDBPyConnection, export: Export, allowed: Allowed
) -> list[str]:
    """Where there is a file per partition, hold those of which too much would vanish."""
    form, sentences = export.file, list[str]()
    if not (form and export.partition and per_partition(form.template)):
        return sentences
    partition = f"cast({sql.name(export.partition)} as varchar)"
    rows = connection.execute(
        f"""
        select before.part, before.rows, before.rows - gone.rows,
        before.part in (select {partition} from {export.relation})
        from (select {partition} as part, count(*) as rows
        from {applied.table(export.target, export.entity)} group by all) as before
        join (select partition as part, count(*) filter (action = 'remove')
        - count(*) filter (action = 'create') as rows from changes where target = ? and entity = ?
        and hold is null group by all) as gone on gone.part = before.part order by 1""",
        [export.target, export.entity],
    ).fetchall()
    for part, before, after, is_there in rows:
        if not is_there and form.when_empty == "skip" and form.actions is None:
            continue  # no file is sent, so nothing vanishes at the target
        why = drop_hold(
            export.target, export.entity, export.limits, before=before, after=after, allowed=allowed
        )
        if why:
            named = {"word": words().partition, "partition": part}
            why = Reason("hold_drop_partition", {**why.values, **named})
            connection.execute(
                "update changes set hold = ? where target = ? and entity = ? and partition = ?"
                " and hold is null",
                [why.json, export.target, export.entity, part],
            )
            sentences.append(str(why))
    return sentences


def _by_columns(
    connection: duckdb.DuckDBPyConnection, export: Export, observed: int, allowed: Allowed
) -> list[str]:
    """Hold the changes of a column that changes in too many rows: first within partitions, then
    over the export.
    """
    target, entity, sentences = export.target, export.entity, []
    for limits, by_partition in (
        (export.limits.columns_per_partition, True),
        (export.limits.columns, False),
    ):
        if not limits or (by_partition and not export.partition):
            continue
        there = _there(connection, export) if by_partition else {}
        named = "partition" if by_partition else "cast(null as varchar)"
        rows = connection.execute(
            f"""
            select field, {named} as named, count(*)
            from (select partition, unnest(json_keys(new)) as field from changes where {COUNTED}
            and action in ('update', 'rename', 'suspend', 'restore'))
            where field in (select unnest(?)) and
            {"partition is not null" if by_partition else "true"} group by all order by all""",
            [target, entity, list(limits)],
        ).fetchall()
        groups = [
            Group(
                "update", planned, there.get(where, 0) if by_partition else observed, where, column
            )
            for column, where, planned in rows
        ]
        for hold in column_holds(target, entity, limits, groups, allowed):
            connection.execute(
                f"""
                update changes set hold = $hold where target = $target and entity = $entity
                and hold is null and not released and not expected and action <> 'create'
                and ($partition is null or partition = $partition) and json_exists(new,
                {sql.text(f'$."{hold.column}"')})""",
                {
                    "hold": hold.why.json,
                    "target": target,
                    "entity": entity,
                    "partition": hold.partition,
                },
            )
            sentences.append(hold.sentence)
    return sentences


def _count(connection: duckdb.DuckDBPyConnection, query: str, values: object = None) -> int:
    """What a query that counts, or a statement that changes rows, says."""
    ((count,),) = connection.execute(query, values).fetchall()
    return int(count)


def _partitions(
    connection: duckdb.DuckDBPyConnection, export: Export, actions: list[str]
) -> list[Group]:
    """Per partition: how much of each watched action is planned, and how many rows of ours
    are there.
    """
    planned = connection.execute(
        f"""
        select {ACTION} as did, {PARTITION} as place, {_counted(export)} from changes
        where {COUNTED} and {PARTITION} is not null and {ACTION} in (select unnest(?))
        group by did, place""",
        [export.target, export.entity, actions],
    ).fetchall()
    there = (
        _there(connection, export) if planned else {}
    )  # a night without changes does not count everybody
    subjects = _counts_subjects(export)
    return [
        Group(action, number, there.get(where, 0), where, subjects=subjects)
        for action, where, number in planned
    ]


def _there(connection: duckdb.DuckDBPyConnection, export: Export) -> dict[str | None, int]:
    """Partition -> how many rows of ours the target holds, or of how many subjects."""
    named = sql.name(str(export.partition))
    what = f"count(distinct {_subject(export)})" if _counts_subjects(export) else "count(*)"
    return dict(
        connection.execute(
            f"""
        with observed as (select distinct {sql.key(export.shown_key)} as _key
        from {diff.observed_view(export)}),
        desired as (select *, {sql.key(export.shown_key)} as _key from {export.relation})
        select coalesce(cast(desired.{named} as varchar), cast(past.{named} as varchar)), {what}
        from observed left join desired using (_key)
        left join {applied.table(export.target, export.entity)} as past using (_key)
        group by 1"""
        ).fetchall()
    )


def _counts_subjects(export: Export) -> bool:
    """Whether limits count the subjects of an export's rows: one may have several."""
    return export.subject is not None and export.key != (export.subject,)


def _counted(export: Export) -> str:
    return "count(distinct coalesce(subject, key))" if export.subject else "count(*)"


def _subject(export: Export) -> str:
    """Whom a row the target holds is about, as the export says it, or said it when we wrote."""
    name = sql.name(str(export.subject))
    places = [f"cast({place}.{name} as varchar)" for place in ("desired", "past")]
    return f"coalesce({', '.join(places)}, observed._key)"


def _subjects(connection: duckdb.DuckDBPyConnection, export: Export) -> int:
    """Of how many subjects the target holds rows of ours."""
    return _count(
        connection,
        f"""
        with observed as (select distinct {sql.key(export.shown_key)} as _key
        from {diff.observed_view(export)}),
        desired as (select *, {sql.key(export.shown_key)} as _key from {export.relation})
        select count(distinct {_subject(export)}) from observed left join desired using (_key)
        left join {applied.table(export.target, export.entity)} as past using (_key)
        where observed._key is not null""",
    )


# ---------------------------------------------------------------- what waits for a word


def refusals(
    connection: duckdb.DuckDBPyConnection,
    export: Export,
    desired: int,
    observed: int,
    allowed: Allowed,
) -> list[Reason]:
    """Why nothing of this export may flow until somebody says so: an emptied export, keys that do
    not come back as they were written, a first push into a target that was lived in. Each is lifted
    by its word, for one plan.
    """
    if export.file is not None:
        return []
    table = applied.table(export.target, export.entity)
    written = _count(connection, f"select count(*) from {table}")
    emptied = written and not desired and export.when_empty == "hold"
    found = [
        (EMPTY, Reason("hold_emptied", {"written": written}) if emptied else None),
        (KEYS, _keys_changed(connection, export, written) if desired else None),
        (
            FIRST,
            _first_push(connection, export, desired, observed) if not written and desired else None,
        ),
    ]
    target, entity = export.target, export.entity
    around = {"target": target, "entity": entity, WITHIN: "hold_until_looked_at"}
    return [
        replace(why, values={**why.values, **around, "word": word})
        # on a first push every create is over its limit: who lifts that has said that this is one
        for word, why in found
        if why
        and not allowed.lifts(target, entity, word)
        and not (word == FIRST and allowed.lifts(target, entity, CREATE))
    ]


def by_key(connection: duckdb.DuckDBPyConnection, export: Export, allowed: Allowed) -> list[str]:
    """Hold what is to be done to objects whose key somebody edited, where they are few; nothing
    would be mended by making them anew, and the others have nothing to do with it.
    """
    target, entity = export.target, export.entity
    if export.file is not None or allowed.lifts(target, entity, KEYS):
        return []
    edited = _came_back(connection, export)
    if not edited:
        return []
    first = f"{edited[0][0]} came back as {edited[0][1]}"
    why = Reason(
        "hold_key_edited",
        {"target": target, "entity": entity, "count": len(edited), "first": first},
    )
    connection.execute(
        "update changes set hold = ? where target = ? and entity = ? and hold is null"
        " and key in (select unnest(?))",
        [why.json, target, entity, [key for pair in edited for key in pair]],
    )
    return [str(why)]


def _keys_changed(
    connection: duckdb.DuckDBPyConnection, export: Export, written: int
) -> Reason | None:
    """Whether so many keys came back in another form that it is no edited object but how they are
    read: such a target would be given everybody twice, and lose them after.
    """
    pairs = _came_back(connection, export)
    few = len(pairs) <= max(SEVERAL, EDITED * written) and 2 * len(pairs) < written
    if not pairs or few:
        return None
    first = f"{pairs[0][0]} came back as {pairs[0][1]}"
    return Reason("hold_keys_changed", {"count": len(pairs), "first": first})


def _came_back(connection: duckdb.DuckDBPyConnection, export: Export) -> list[tuple[str, str]]:
    """The keys we wrote that came back in another form, each as it was written and as found.

    Looked for in `decided`, among the keys we wrote, want and no longer find, and those we find and
    neither wrote nor want: the same object by its remote id, or the same key but for letter case,
    signs and leading zeros. Or it was given another's key: then two objects carry that one.
    """
    view = diff.observed_view(export)
    remote = "remote_id" in applied.columns(connection, view)
    every = f"union select {sql.key(export.shown_key)}, remote_id from {view}" if remote else ""
    plain = (
        r"regexp_replace(regexp_replace(lower({}), '[^a-z0-9|]', '', 'g'), '(^|\|)0+', '\1', 'g')"
    )
    return connection.execute(
        f"""
        with ours as (
            select planned.key from ledger.audit.planned_changes as planned
            join ledger.audit.outcomes as outcome using (change_id)
            where planned.target = $target and planned.entity = $entity
            and planned.action = 'create' and outcome.status = 'applied'
        ),
        -- a write is in doubt until it is read back, and under another key it never is: what was
        -- answered counts here too
        missing as (select key as _key from decided where action = 'create' and (a._key is not null
        or key in (select key from ours))),
        strange as (select key as _key, {"o.remote_id" if remote else "null as remote_id"}
        from decided where d._key is null and a._key is null),
        found as (from strange {every}),
        made as (
            select planned.key, outcome.remote_id from ledger.audit.planned_changes as planned
            join ledger.audit.outcomes as outcome using (change_id)
            where planned.target = $target and planned.entity = $entity
            and planned.action in ('create', 'adopt') and outcome.status = 'applied'
                and planned.key in (select _key from missing)
        ),
        pairs as (
            select missing._key as written, strange._key as found from missing join strange
            on {plain.format("missing._key")} = {plain.format("strange._key")}
            union
            select made.key, found._key from made join found using (remote_id)
        )
        select written, found from pairs order by all""",
        {"target": export.target, "entity": export.entity},
    ).fetchall()


def _first_push(
    connection: duckdb.DuckDBPyConnection, export: Export, desired: int, observed: int
) -> Reason | None:
    """Whether a ledger that never wrote here meets a target that is not empty."""
    view = diff.observed_view(export)
    known = _count(
        connection,
        f"""
        select count(*) from {export.relation} as wanted
        join {view} as found
        on {sql.key(export.shown_key, "found")} = {sql.key(export.shown_key, "wanted")}""",
    )
    if known >= CROWD:
        return Reason("hold_other_ledger", {"known": known, "desired": desired})
    raw = f"{sql.name(f'raw_{export.target}')}.{sql.name(export.entity)}"
    others = (
        _count(connection, f"select count(*) from {raw}") - observed
        if applied.columns(connection, raw)
        else 0
    )
    if others >= CROWD:
        return Reason("hold_first_push", {"others": others, "subjects": words().subjects})
    return None
