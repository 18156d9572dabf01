"""Releases: somebody lets changes go that a limit held, each once.

In: the plan whose changes were held, which of them, who says so and why. Out: rows in
`audit.releases`; the next plan that finds the very same changes still to do lets them pass the
limits, and does not count them against them. A release is used up when its change was tried, and
void when the change is no longer the same or after DAYS. It opens limits only: what waits for a
feed, for an object of another target or for a word of `ALLOW` still waits. A row of
`seeds/openings.csv` is a release of what somebody else closed, written down: once, within DAYS of
its day. A row of `seeds/standing_releases.csv` is one made anew whenever it is needed, until its
day: these are right, whenever they come.

Alone: `python -m reverse_etl release --run R --only KEY,KEY --why "…" [--target T] [--partition P]
[--action A]`.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import duckdb

from reverse_etl import applied

DAYS = 14  # how long a release waits for its change

# Open: not used, not too old. A change is known by what it would do; `seal` is over its action and
# new values.
OPEN = f"""
    select distinct release.target, release.entity, release.key, release.seal
    from ledger.audit.releases as release
    where release.released_at > now() - interval {DAYS} day
        and not exists (
            select 1 from ledger.audit.planned_changes as planned
            join ledger.audit.outcomes as outcome using (change_id)
            where planned.target = release.target and planned.entity = release.entity
            and planned.key = release.key
                and planned.planned_at > release.released_at and planned.hold is null
                and outcome.status in ('applied', 'failed'))"""
SEAL = "left(sha256(concat_ws('|', {0}.action, cast({0}.new as varchar))), 16)"


# What the target refused for good when it was last tried, and would have us do again tonight.
REFUSED = f"""
    select planned.target, planned.entity, planned.key,
        arg_max({SEAL.format("planned")}, planned.planned_at) as seal
    from ledger.audit.planned_changes as planned
    join ledger.audit.outcomes as outcome using (change_id)
    where (planned.target, planned.entity, planned.key) in
        (select (changes.target, changes.entity, changes.key) from changes)
    group by all
    having arg_max(outcome.status = 'failed' and outcome.code between 400 and 499
        and outcome.code not in (401, 429), planned.planned_at)"""


SEED = "seeds/openings.csv"  # stands as the plan of a release that a row made
# No row of the seed is a release twice: what is closed anew after it was used wants a new day.
OF_ROWS = f"""
    insert into ledger.audit.releases
    with rows as (
        select *, left(sha256(concat_ws('|', '{SEED}', target, entity, key, decided_on)), 16) as id
        from seeds.openings
        where cast(decided_on as date) between cast($day as date) - {DAYS} and cast($day as date)
    )
    select min(rows.id), now(), min(rows.decided_by), min(rows.why), '{SEED}', '', changes.target,
        changes.entity, changes.key, changes.action, {SEAL.format("changes")}
    from changes
    join rows on rows.target = changes.target and rows.entity = changes.entity
        and rows.key in (changes.key, changes.subject)
    where {{closed}} and rows.id not in (select release_id from ledger.audit.releases)
    group by all"""

STANDING = "seeds/standing_releases.csv"
OF_STANDING_ROWS = f"""
    insert into ledger.audit.releases
    with found as (
        select changes.target, changes.entity, changes.key, changes.action, rows.decided_by,
            rows.why, {SEAL.format("changes")} as seal
        from (select * from changes where coalesce(not ({{closed}}), true)) as changes
        join seeds.standing_releases as rows
            on coalesce(rows.target, changes.target) = changes.target
            and coalesce(rows.entity, changes.entity) = changes.entity
            and coalesce(rows.action, changes.action) = changes.action
            and rows.key in (changes.key, changes.subject)
        where cast(rows.until as date) >= cast($day as date)
    ),
    named as (
        select *, left(sha256(concat_ws('|', '{STANDING}', target, entity, key, seal, $day)), 16)
            as id
        from found
    )
    select id, now(), min(decided_by), min(why), '{STANDING}', '', target, entity, key, action, seal
    from named where id not in (select release_id from ledger.audit.releases)
    group by all"""


class NothingToReleaseError(Exception):
    """No held change answers to what was said; the message says how to find the held ones."""


def set_apart(connection: duckdb.DuckDBPyConnection) -> None:
    """Set `refused` on the changes of `changes` the target refused for good as they are: they are
    tried again, and no limit that was theirs is taken from others a second time.
    """
    connection.execute(
        f"""
        update changes set refused = true from ({REFUSED}) as before
        where changes.target = before.target and changes.entity = before.entity
        and changes.key = before.key and before.seal = {SEAL.format("changes")}"""
    )


def of_rows(connection: duckdb.DuckDBPyConnection, day: str, closed: str) -> None:
    """Release what the district's rows say may be opened although somebody else closed it
    (`closed`: those changes).
    """
    if applied.columns(connection, "seeds.openings"):
        connection.execute(OF_ROWS.format(closed=closed), {"day": day})


def of_standing_rows(connection: duckdb.DuckDBPyConnection, day: str, closed: str) -> None:
    """Release what the district's rows say is right whenever it comes, but for what somebody else
    closed (`closed`: those changes).
    """
    if applied.columns(connection, "seeds.standing_releases"):
        connection.execute(OF_STANDING_ROWS.format(closed=closed), {"day": day})


def mark(connection: duckdb.DuckDBPyConnection) -> None:
    """Set `released` on the changes of `changes` that somebody let go."""
    if not connection.execute("select 1 from ledger.audit.releases limit 1").fetchone():
        return
    connection.execute(
        f"""
        update changes set released = true from ({OPEN}) as let_go
        where changes.target = let_go.target and changes.entity = let_go.entity
        and changes.key = let_go.key and let_go.seal = {SEAL.format("changes")}"""
    )


def release(
    connection: duckdb.DuckDBPyConnection,
    plan_id: str,
    where: str,
    values: dict[str, Any],
    *,
    only: tuple[str, ...],
    who: str,
    why: str,
) -> int:
    """Record the release of held changes of a plan: those in `where`, of them those with these keys
    (or subjects, or change ids; none given: all). Returns how many. Raises NothingToReleaseError.
    """
    held = connection.execute(
        f"""
        select change_id, target, entity, key, action, subject, {SEAL.format("planned")}
        from ledger.audit.planned_changes as planned
        where {where} and hold is not null and entity <> 'file' order by seq""",
        {**values, "plan": plan_id},
    ).fetchall()
    chosen = [row for row in held if not only or not {row[0], row[3], row[5]}.isdisjoint(only)]
    unknown = [one for one in only if not any(one in (row[0], row[3], row[5]) for row in held)]
    if not chosen or unknown:
        words = (
            f"{', '.join(unknown[:5])} is no held change of it"
            if unknown
            else "nothing of it is held that this speaks of"
        )
        raise NothingToReleaseError(
            f'plan {plan_id}: {words}; "make show STATUS=held" lists what is held, with its keys'
        )
    at = datetime.now(UTC).isoformat()
    rows = [
        [
            hashlib.sha256(f"{change_id}|{at}".encode()).hexdigest()[:16],
            at,
            who,
            why,
            plan_id,
            change_id,
            target,
            entity,
            key,
            action,
            seal,
        ]
        for change_id, target, entity, key, action, _, seal in chosen
    ]
    connection.execute("begin")
    connection.executemany(
        "insert into ledger.audit.releases values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
    )
    connection.execute("commit")
    return len(rows)
