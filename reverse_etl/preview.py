"""Preview: the files of a target as they would go out, byte for byte, with what is said of them;
nothing is sent.

In: the latest plan, the exports as they were built. Out: files under `preview/<target>/` of the
state folder, made as a push makes them, and a line each: rows, bytes, sha256, what stands in it
otherwise than it is, what holds it. Where nothing changed the file is made of what stands.

Alone: `python -m reverse_etl preview-file --target T`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence

import duckdb

from common import paths, settings
from common.problems import said
from common.runs import Run
from reverse_etl import deliveries, holds, left_out, standing
from reverse_etl.model import FILE_ENTITY, Adapter, Change, Delivery, Export, FileAdapter, key_tuple
from reverse_etl.plan import ScopeError
from reverse_etl.targets.files import UnfitError

PLANNED = """
    select key, cast(new as varchar), hold from ledger.audit.planned_changes
    where plan_id = ? and target = ? and entity = ? order by seq"""


def preview(
    connection: duckdb.DuckDBPyConnection,
    run: Run,
    exports: Sequence[Export],
    adapter: Adapter,
    say: Callable[[str], object] = print,
) -> int:
    """Make every file of one target; 0, or 2 where one of them would not go."""
    if not isinstance(adapter, FileAdapter):
        raise ScopeError(f'{exports[0].target} takes no files: "make show" shows its changes')
    plan_id, target = run.read("plan.json")["plan_id"], exports[0].target
    folder = paths.var() / "preview" / target
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    feeds = run.read("feeds.json", [])
    exports = [standing.columns(connection, e, holds.of_columns(e, feeds)) for e in exports]
    as_sent = [standing.standing(connection, export, plan_id) for export in exports]
    waiting = left_out.not_there(connection, plan_id, as_sent)
    rows = connection.execute(PLANNED, [plan_id, target, FILE_ENTITY]).fetchall()
    planned = [
        (Change("", target, FILE_ENTITY, key_tuple(key), "deliver", new=json.loads(new)), hold)
        for key, new, hold in rows
    ]
    going = {change.new["template"] for change, _ in planned}
    stands = [
        (_as_it_stands(run, template, sent, partition), None)
        for (_, template), members in holds.files(exports).items()
        if template not in going and not any(deliveries.is_delta(one) for one in members)
        for partition in deliveries.partitions(connection, members, template)
        if (
            sent := [
                one
                for one in members
                if deliveries.is_sent(one, deliveries.counted(connection, one, partition), 0)
            ]
        )
    ]
    if not planned and not stands:
        say(f"{target}: no file would go: no row, or no change to send")
    codes = [0]
    for change, hold in [*planned, *stands]:
        without = deliveries.without(connection, plan_id, change, waiting)
        lacking = {entity: keys for entity, keys in without.items() if keys}
        made = deliveries.delivery(
            connection, plan_id, change, as_sent, lacking, folder / change.key[0]
        )
        codes.append(_one(connection, made, adapter, say))
        if hold:
            say(f"  it would not go: {said(hold)}")
            codes.append(2)
        elif change.new["template"] not in going:
            say("  it would not go: nothing in it changed since it was last delivered")
    return max(codes)


def _one(
    connection: duckdb.DuckDBPyConnection,
    made: Delivery,
    adapter: FileAdapter,
    say: Callable[[str], object],
) -> int:
    try:
        file = adapter.render(connection, made)
    except UnfitError as error:
        say(f"{made.name}: it would not go: {error}")
        return 2
    say(f"{file.path}: {file.rows:,} rows, {file.bytes:,} bytes, sha256 {file.sha256}")
    for finding in deliveries.told(connection, made):
        say(f"  {finding.message}")
    return 0


def _as_it_stands(
    run: Run, template: str, members: Sequence[Export], partition: str | None
) -> Change:
    """The delivery a plan would have, had something changed."""
    at = run.started_at.astimezone(settings.zone()).time().replace(microsecond=0)
    new = {
        "template": template,
        "as_of": run.as_of.isoformat(),
        "time": at.isoformat(),
        "partition": partition,
        "entities": [export.entity for export in members],
    }
    name = deliveries.filled(new, template)
    return Change("", members[0].target, FILE_ENTITY, (name,), "deliver", new=new)
