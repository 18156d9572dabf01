"""Events: what became of accounts and other objects, told to whoever wants to know at once.

In: `[serve.webhooks.<name>]`, the outcomes and holds of the last days in the ledger. Out: signed
POSTs in the form of Standard Webhooks (standardwebhooks.com: `webhook-id`, `webhook-timestamp`,
`webhook-signature`), keys only, nothing of anybody; `ledger.applied.events`, which keeps every one
until it is told, and for a month after.

The events of a subject go in their order: where one cannot be told, those after it wait. The same
event has the same id however often it is sent, so who listens knows a repeated one. A hook begins
with what happens after it was first seen.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import duckdb
import httpx

from common import store
from common.findings import Finding
from common.log import event
from common.settings import SettingsError, read_what_can_be
from common.signed import signature
from reverse_etl.left_out import WAITS
from reverse_etl.serve.settings import Hook, Serve

TABLES = """
create schema if not exists ledger.applied;
create table if not exists ledger.applied.hooks (hook text, since timestamptz);
create table if not exists ledger.applied.events (hook text, event_id text, subject text,
    happened_at timestamptz, seq bigint, body text, attempts integer, told_at timestamptz);
"""
# what an applied action is called
TYPES = {
    "create": "created",
    "adopt": "created",
    "undelete": "created",
    "update": "changed",
    "rename": "renamed",
    "suspend": "closed",
    "restore": "opened",
    "remove": "removed",
    "delete": "removed",
}
PAUSES = (1.0, 4.0)  # seconds before it is tried again
KEPT_DAYS = 30
DOWN_AFTER = 3  # events one after the other that cannot be told: the rest waits for the next push
# Applied changes and holds of so many days that are no events yet.
COLLECT = f"""
with happened as (
    select planned.*, outcome.status,
        coalesce(outcome.finished_at, planned.planned_at) as happened_at,
        lag(case when outcome.status = 'applied' then planned.partition end ignore nulls)
            over (partition by planned.target, planned.entity, planned.key
            order by coalesce(outcome.finished_at, planned.planned_at), planned.seq) as was_in
    from ledger.audit.planned_changes as planned
    left join ledger.audit.outcomes as outcome using (change_id)
    where planned.target || '.' || planned.entity in (select unnest($of))
        and (outcome.status = 'applied' or (planned.hold is not null and not {WAITS}))
)
select * from happened where happened_at >= $since order by happened_at, seq, change_id
"""


class Event(NamedTuple):
    """One event, as it is kept until it is told."""

    event_id: str
    subject: str
    body: str


def tell(pause: Callable[[float], object] = time.sleep) -> list[Finding]:
    """Collect what happened and tell it; what could not be told."""
    said, _ = read_what_can_be(Serve, "serve")  # what is wrong in it is for check
    if not said.webhooks:
        return []
    found = []
    with store.connect() as connection:
        connection.execute(TABLES)
        for name, hook in sorted(said.webhooks.items()):
            try:
                hook.usable(name)
            except SettingsError as error:
                found.append(Finding("webhook_untold", {"hook": name, "why": str(error)}))
                continue
            _collect(connection, name, hook)
            left, why = _tell(connection, name, hook, pause)
            if left:
                values = {"hook": name, "why": f"{left} events wait: {why}"}
                found.append(Finding("webhook_untold", values))
        connection.execute(
            f"delete from ledger.applied.events where told_at < now() - interval {KEPT_DAYS} day"
        )
    return found


def _collect(connection: duckdb.DuckDBPyConnection, name: str, hook: Hook) -> None:
    """Keep what happened since the hook was first seen."""
    first = connection.execute(
        "select since from ledger.applied.hooks where hook = ?", [name]
    ).fetchone()
    if first is None:
        connection.execute("insert into ledger.applied.hooks values (?, now())", [name])
        # what this very push did is news already
        first = connection.execute(
            "select coalesce(max(planned_at), now()) from ledger.audit.planned_changes"
        ).fetchone()
        connection.execute(
            "update ledger.applied.hooks set since = ? where hook = ?", [*(first or ()), name]
        )
    since = max(first[0], datetime.now(UTC) - hook.kept) if first else datetime.now(UTC)
    cursor = connection.execute(COLLECT, {"of": hook.of, "since": since})
    names = [column[0] for column in cursor.description or ()]
    for row in cursor.fetchall():
        change = dict(zip(names, row, strict=True))
        for kind in _kinds(change):
            if kind in hook.types:
                one = _event(name, kind, change)
                connection.execute(
                    "insert into ledger.applied.events select ?, ?, ?, ?, ?, ?, 0, null where not"
                    " exists (from ledger.applied.events where hook = ? and event_id = ?)",
                    [
                        *(
                            name,
                            one.event_id,
                            one.subject,
                            change["happened_at"],
                            change["seq"],
                            one.body,
                        ),
                        *(name, one.event_id),
                    ],
                )


def _kinds(change: dict[str, Any]) -> Iterator[str]:
    """What a change is told as; who changes school as well moves."""
    if change["status"] != "applied":
        yield "held"
        return
    was_in, part = change["was_in"], change["partition"]
    if was_in is not None and part is not None and was_in != part:
        yield "moved"
    if change["action"] in TYPES:
        yield TYPES[change["action"]]


def _event(hook: str, kind: str, change: dict[str, Any]) -> Event:
    """A held change that is found every night is one event; one that was made is another."""
    named = [hook, kind, change["target"], change["entity"], change["key"], change["action"]]
    named += [change["hold"], str(change["new"])] if kind == "held" else [str(change["change_id"])]
    data = {
        "target": change["target"],
        "entity": change["entity"],
        "key": change["key"],
        "subject": change["subject"],
        "partition": change["partition"],
        "action": change["action"],
        "run": change["run_id"],
    }
    if kind == "moved":
        data["from_partition"] = change["was_in"]
    if kind == "held":
        data["hold"] = json.loads(change["hold"]).get("code")
    body = {
        "type": f"{change['entity']}.{kind}",
        "timestamp": change["happened_at"].astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "data": {key: value for key, value in data.items() if value is not None},
    }
    made = hashlib.sha256("\0".join(named).encode()).hexdigest()[:32]
    subject = change["subject"] or f"{change['target']}|{change['entity']}|{change['key']}"
    return Event(f"evt_{made}", subject, json.dumps(body, separators=(",", ":")))


def _tell(
    connection: duckdb.DuckDBPyConnection, name: str, hook: Hook, pause: Callable[[float], object]
) -> tuple[int, str]:
    """Tell what waits, each subject's in order; how many still wait, and why."""
    waiting = [
        Event(*row)
        for row in connection.execute(
            "select event_id, subject, body from ledger.applied.events where hook = ? and told_at"
            " is null order by happened_at, seq, event_id",
            [name],
        ).fetchall()
    ]
    stuck: set[str] = set()
    left, why, in_a_row = 0, "", 0
    with httpx.Client(timeout=hook.timeout, follow_redirects=False) as http:
        for one in waiting:
            if one.subject in stuck or in_a_row >= DOWN_AFTER:
                left += 1
                continue
            said = _post(http, hook, one, pause)
            in_a_row = in_a_row + 1 if said else 0
            if said:
                stuck.add(one.subject)
                left, why = left + 1, said
            connection.execute(
                "update ledger.applied.events set attempts = attempts + 1, told_at = case when ?"
                " then now() end where hook = ? and event_id = ?",
                [not said, name, one.event_id],
            )
    event("events_told", hook=name, told=len(waiting) - left, waiting=left)
    return left, why


def _post(http: httpx.Client, hook: Hook, one: Event, pause: Callable[[float], object]) -> str:
    """Send an event; '' when it was taken, else why not, without a word of the answer."""
    why = ""
    for wait in (0.0, *PAUSES):
        if wait:
            pause(wait)
        try:
            headers = signed(hook.secret, one, int(time.time()))
            answer = http.post(hook.address, content=one.body.encode(), headers=headers)
        except httpx.HTTPError as error:
            why = f"no answer came ({type(error).__name__})"
            continue
        if answer.is_success:
            return ""
        why = f"it answered {answer.status_code}"
        if answer.status_code < 500 and answer.status_code not in {408, 429}:
            break
    return why


def signed(secret: str, one: Event, at: int) -> dict[str, str]:
    """The headers of Standard Webhooks: who verifies counts `id.timestamp.body`."""
    return {
        "content-type": "application/json",
        "webhook-id": one.event_id,
        "webhook-timestamp": str(at),
        "webhook-signature": signature(secret, one.event_id, at, one.body),
    }
