"""Exports: what their YAML and dbt's own documents say about the tables that hold desired state.

Before a build: `declared`, by which an adapter knows its entities and fields. In: the YAML under
`models/exports/`. Out: entity -> `Export`.

After it: `load`. In: the run's `dbt/manifest.json` and `dbt/run_results.json`. Out: one `Export`
per model that carries `meta.export`, and one `Refusal` per export that must not be written tonight:
its model did not succeed in this run's build, a test of it failed or did not run, or its meta
cannot be read. A refusal concerns that export only; the others go on. dbt leaves a new bad table in
place when a test fails and yesterday's when a contract fails, so the table's being there proves
nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from common import paths, sql
from common.runs import Run
from common.words import words
from reverse_etl import form
from reverse_etl.limits import LimitError, parse
from reverse_etl.model import (
    ADOPTS,
    BOTH,
    CLOSED,
    CREATE,
    DELETE,
    DONE,
    IGNORING,
    LOGIN,
    ON_ABSENT,
    ON_DRIFT,
    OWNERS,
    PASSWORD,
    REMOVE,
    RENAME,
    RESTORE,
    ROLES,
    STATES,
    SUSPEND,
    SWITCH,
    TELLS_NOBODY,
    THERE,
    UPDATE,
    Column,
    Export,
    FileFormat,
    Follow,
)

KNOWN = (
    "target",
    "entity",
    "key",
    "on_absent",
    "on_drift",
    "when_empty",
    "limits",
    "references",
    "after",
    "needs",
    "seats",
    "context",
    "subject",
    "known_by",
    "partition",
    "hold",
    "family",
    "expected",
    "expires",
    "opt_in",
    "sheet",
    "file",
    "rests",
)
# which of its feeds an export rests on: per row by a column's value, on those of one kind,
# without those of a part
RESTS = ("by", "as", "without")
COLUMN_KNOWN = (
    "owner",
    "personal_data",
    "header",
    "field",
    "form",
    "role",
    "off_value",
    "off_because",
    "on_drift",
    "ignoring",
    "in_file",
    "rests",
    *form.CELL,
)
# Where a project has this seed, every export carries the test that compares its columns with it.
REGISTER, SIGNED = "privacy_register", "personal_data_is_signed"


DBTS_OWN = ("macro.dbt.", "macro.dbt_duckdb.")


class ExportsMissingError(Exception):
    """This run has no build to plan from; the message says what to run."""


# what a kind of change waits for where its `after:` does not say: arrivals and what opens again for
# what is there, what closes or goes for what is closed, all else for what is done
STATE_OF = {
    **dict.fromkeys((CREATE, RESTORE), THERE),
    **dict.fromkeys((UPDATE, RENAME), DONE),
    **dict.fromkeys((SUSPEND, REMOVE, DELETE), CLOSED),
}


class ExportError(Exception):
    """An export's meta cannot be followed; the message names file and key."""


@dataclass(frozen=True)
class RefusalError:
    """An export that must not be written tonight, and why."""

    model: str
    target: str
    entity: str
    reason: str


@dataclass(frozen=True)
class Exports:
    """What the build of this run offers to the writer."""

    good: tuple[Export, ...]
    refused: tuple[tuple[Export, RefusalError], ...]  # readable, but its build or tests failed
    unreadable: tuple[
        RefusalError, ...
    ]  # meta that cannot be followed: nothing is known about its table

    @property
    def every(self) -> tuple[Export, ...]:
        """All that can be read, refused or not."""
        return (*self.good, *(export for export, _ in self.refused))


def declared(target: str, folder: Path | None = None) -> dict[str, Export]:
    """Entity -> the export the YAML of `models/exports/` declares for it, for one target.

    Asks no build: its `feeds` are not known, and whether it may be written is not said. Raises
    ExportError (or LimitError) when one of this target cannot be followed, or a file not be read.
    """
    found: dict[str, Export] = {}
    for path in sorted((folder or paths.project() / "models" / "exports").rglob("*.yml")):
        for model in _models(path, path.stat().st_mtime_ns):
            meta = meta_of(model).get("export")
            if not isinstance(meta, Mapping) or str(meta.get("target")) != target:
                continue
            node = {
                **model,
                "schema": "exports",
                "original_file_path": path,
                "columns": {column["name"]: column for column in model.get("columns", ())},
            }
            export = parsed(node, meta)
            if export.entity in found:
                raise _twice(node, export, found[export.entity].model)
            found[export.entity] = export
    return found


def targets(folder: Path | None = None) -> tuple[str, ...]:
    """Every target the YAML of `models/exports/` declares an export for, by name. What cannot be
    read names none: whoever reads it for its own sake says so.
    """
    found = set()
    for path in sorted((folder or paths.project() / "models" / "exports").rglob("*.yml")):
        try:
            described = _models(path, path.stat().st_mtime_ns)
        except ExportError:
            continue
        metas = [meta_of(model).get("export") for model in described]
        found |= {
            str(meta["target"])
            for meta in metas
            if isinstance(meta, Mapping) and meta.get("target")
        }
    return tuple(sorted(found))


def opt_ins(folder: Path | None = None) -> tuple[tuple[str, str], ...]:
    """(target, setting) of every export that is only planned where the setting is true."""
    found = set()
    for path in sorted((folder or paths.project() / "models" / "exports").rglob("*.yml")):
        try:
            described = _models(path, path.stat().st_mtime_ns)
        except ExportError:
            continue
        for meta in (meta_of(model).get("export") for model in described):
            if isinstance(meta, Mapping) and meta.get("opt_in"):
                found.add((str(meta.get("target", "")), str(meta["opt_in"])))
    return tuple(sorted(found))


@cache
def _models(path: Path, changed_at: int) -> list[dict[str, Any]]:  # noqa: ARG001 - read again when changed
    """The models a YAML of dbt speaks of."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) or {}
        return [model for model in document.get("models") or () if "name" in model]
    except (yaml.YAMLError, AttributeError, TypeError) as error:
        raise ExportError(f"{path} cannot be read as YAML of dbt ({error})") from None


def _twice(node: Mapping[str, Any], export: Export, first: str) -> ExportError:
    return ExportError(
        f"{_file(node)}: {export.target} {export.entity} is already the export of {first}; one"
        " model per entity"
    )


def load(run: Run) -> Exports:
    """Read the exports of this run's build. Raises ExportsMissingError when the run has none of its
    own.
    """
    manifest, results = run.read("dbt/manifest.json"), run.read("dbt/run_results.json")
    if manifest is None or results is None:
        raise ExportsMissingError(
            f'run {run.run_id} has no build; run "make build" (or "make plan", which builds first)'
        )
    generated = datetime.fromisoformat(results["metadata"]["generated_at"].replace("Z", "+00:00"))
    if generated < run.started_at:
        raise ExportsMissingError(
            f"the build in run {run.run_id} is of {generated:%Y-%m-%d %H:%M} and older than the"
            ' run; run "make build" again'
        )
    return read(manifest, results)


def read(manifest: Mapping[str, Any], results: Mapping[str, Any]) -> Exports:
    """The exports in dbt's documents, ordered by model name, each judged by this
    build's results.
    """
    status = {one["unique_id"]: str(one["status"]) for one in results["results"]}
    tests = _tests(manifest)
    registered = any(
        node["resource_type"] == "seed" and node["name"] == REGISTER
        for node in manifest["nodes"].values()
    )
    good: list[Export] = []
    refused: list[tuple[Export, RefusalError]] = []
    unreadable: list[RefusalError] = []
    taken: dict[tuple[str, str], str] = {}
    for unique_id, node in sorted(manifest["nodes"].items()):
        meta = meta_of(node).get("export") if node["resource_type"] == "model" else None
        if meta is None:
            continue
        target, entity = (
            str(meta.get(name, "")) if isinstance(meta, Mapping) else ""
            for name in ("target", "entity")
        )
        try:
            export = of_manifest(manifest, unique_id)
            if (target, entity) in taken:
                raise _twice(node, export, taken[target, entity])
        except (ExportError, LimitError) as error:
            unreadable.append(RefusalError(node["name"], target, entity, str(error)))
            continue
        taken[target, entity] = node["name"]
        trouble = _trouble(
            node["name"], unique_id, status, tests.get(unique_id, []), registered=registered
        )
        trouble = trouble or (_uncounted(manifest, status, export) if export.file else "")
        if trouble:
            refused.append((export, RefusalError(export.model, target, entity, trouble)))
        else:
            good.append(export)
    return Exports(tuple(good), tuple(refused), tuple(unreadable))


def parsed(
    node: Mapping[str, Any], meta: Any, made_from: tuple[tuple[str, str], ...] = ()
) -> Export:
    """One manifest node as an Export. Raises ExportError (or LimitError) naming file and key for
    anything unknown.
    """
    where = f"{_file(node)}: meta.export"
    if not isinstance(meta, Mapping):
        raise ExportError(f"{where} must be a table of settings, not {meta!r}")
    _strict(meta, KNOWN, where)
    for name in ("target", "entity", "key"):
        if not meta.get(name):
            raise ExportError(f"{where}.{name} is missing")
    for name in ("key", "context", "known_by", "sheet"):
        if not isinstance(meta.get(name, []), list):
            raise ExportError(f"{where}.{name} is {meta[name]!r}; it must be a list of columns")
    _one_of(meta, "on_drift", ON_DRIFT, where)
    _one_of(meta, "when_empty", ("hold", "write"), where)
    columns = tuple(
        _column(name, column, where, meta.get("on_drift", "revert"))
        for name, column in node["columns"].items()
    )
    names = {column.name for column in columns}
    key, context = tuple(meta["key"]), tuple(meta.get("context", ()))
    references = dict(meta.get("references", {}))
    named = {
        name: meta.get(name)
        for name in ("subject", "partition", "hold", "family", "expected", "expires")
    }
    after, follows = _after(meta.get("after", {}), f"{where}.after")
    needs = {column: str(needed) for column, needed in dict(meta.get("needs", {})).items()}
    if strange := sorted(needs.keys() - references.keys()):
        raise ExportError(f"{where}.needs names column {strange[0]!r}, which `references` does not")
    seats = {column: str(entity) for column, entity in dict(meta.get("seats", {})).items()}
    limits = parse(meta.get("limits", {}), where)
    rests = _rests(meta.get("rests", {}), f"{where}.rests")
    known_by, sheet = tuple(meta.get("known_by", ())), tuple(meta.get("sheet", ()))
    used = {
        "key": key,
        "known_by": known_by,
        "sheet": sheet,
        "context": context,
        "references": references,
        "after": (*after, *(one.column for one in follows)),
        "seats": seats,
        "rests.by": (rests["by"],) if "by" in rests else (),
        **{setting: (name,) if name else () for setting, name in named.items()},
        "limits.columns": limits.columns,
        "limits.per_partition.columns": limits.columns_per_partition,
    }
    for setting, given in used.items():
        for name in given:
            if name not in names:
                raise ExportError(
                    f"{where}.{setting} names column {name!r}, which the model does not list"
                )
    if fixed := [c.name for c in columns if c.rests and c.name in {*key, *context}]:
        raise ExportError(
            f"{where}, column {fixed[0]!r}: a column of the key or the context cannot stand while"
            " the rest of its row goes on; it has no rests"
        )
    telling = [c.name for c in columns if c.name in key and c.personal_data not in TELLS_NOBODY]
    if telling and not meta.get("file"):
        raise ExportError(
            f"{where}.key names column {telling[0]!r}, which tells who somebody is: an object's key"
            " stands in the ledger, on pages and in the audit tables; take a number or an id of the"
            " district's, and send this as any other column"
        )
    if set(key) & set(context):
        raise ExportError(
            f"{where}.context holds key column {sorted(set(key) & set(context))[0]!r}; a key is"
            " always sent"
        )
    for name in ("hold", "family", "expected"):
        if named[name] and named[name] not in context:
            raise ExportError(
                f"{where}.{name} is {named[name]!r}, which is no context column; a {name} is never"
                " sent"
            )
    if named["expires"] and not meta.get("file"):
        raise ExportError(f"{where}.expires is for files: of what else vanishes `on_absent` says")
    if named["family"] and not named["subject"]:
        raise ExportError(f"{where}.family needs `subject`: it says of whom")
    _roles(columns, context, where)
    if sheet and (set(sheet) & set(context) or not any(c.role == PASSWORD for c in columns)):
        raise ExportError(
            f"{where}.sheet names what is printed beside a first password: columns that are sent"
            " (not context), of an export that has one of role password"
        )
    file = _file_format(meta["file"], f"{where}.file", columns, meta) if meta.get("file") else None
    _not_sent(node, columns, (key, context), where, is_file=file is not None)
    on_absent = meta.get("on_absent", "ignore")
    if on_absent not in ON_ABSENT:
        raise ExportError(
            f"{where}.on_absent is {on_absent!r}; it must be one of {', '.join(ON_ABSENT)}"
        )
    schema, table = node["schema"], node.get("alias") or node["name"]
    return Export(
        model=node["name"],
        relation=sql.name(schema, table),
        schema=schema,
        target=str(meta["target"]),
        entity=str(meta["entity"]),
        key=key,
        columns=columns,
        on_absent=on_absent,
        limits=limits,
        references=references,
        after=after,
        follows=follows,
        needs=needs,
        seats=seats,
        context=context,
        **named,
        known_by=known_by,
        sheet=sheet,
        opt_in=str(meta.get("opt_in", "")),
        when_empty=meta.get("when_empty", "hold"),
        file=file,
        feeds=made_from,
        kind=rests.get("by"),
    )


def _rests(rests: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(rests, Mapping):
        raise ExportError(f"{where} must be a table of settings, not {rests!r}")
    _strict(rests, RESTS, where)
    if not isinstance(rests.get("without", []), list):
        raise ExportError(f"{where}.without is {rests['without']!r}; it must be a list of parts")
    return rests


def of_manifest(manifest: Mapping[str, Any], unique_id: str) -> Export:
    """An export of a build, with the feeds it rests on, and those the rows of each kind do. A
    model says of what kind it is, or what part, in its `meta.rests`: a walk that is of another
    kind, or without that part, ends there.
    """
    meta = meta_of(manifest["nodes"][unique_id])["export"]
    export = parsed(manifest["nodes"][unique_id], meta)
    rests = _rests(meta.get("rests", {}), export.model)
    marked = {
        name: dict(found)
        for name, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and (found := meta_of(node).get("rests"))
    }
    kinds = {one["kind"] for one in marked.values() if "kind" in one}
    without = set(rests.get("without", []))
    parts = {part for column in export.columns for part in column.rests}
    if strange := sorted((without | parts) - {one.get("part") for one in marked.values()}):
        raise ExportError(f"{export.model}: no model is of part {strange[0]!r} (meta.rests.part)")
    if rests.get("as", None) not in {None, *kinds}:
        raise ExportError(f"{export.model}: no model is of kind {rests['as']!r} (meta.rests.kind)")

    def of(kind: str | None, besides: set[str] = frozenset()) -> tuple[tuple[str, str], ...]:
        ends = {
            name
            for name, one in marked.items()
            if one.get("part") in without | besides or (kind and one.get("kind", kind) != kind)
        }
        return feeds(manifest, unique_id, ends - {unique_id})

    every, rows = of(rests.get("as")), of(rests.get("as"), parts)
    return replace(
        export,
        feeds=every,
        # a file of what happened in one day has no row that could stand as it was
        columns_on={}
        if export.file and export.file.daily
        else {
            feed: tuple(
                column.name
                for column in export.columns
                if feed in of(rests.get("as"), parts - set(column.rests))
            )
            for feed in every
            if feed not in rows
        },
        made_by=made_by(manifest, unique_id),
        feeds_of={kind: of(kind) for kind in sorted(kinds)}
        if export.kind or export.subject
        else {},
    )


def _one_of(settings: Mapping[str, Any], name: str, choices: tuple[str, ...], where: str) -> None:
    if settings.get(name, choices[0]) not in choices:
        raise ExportError(
            f"{where}.{name} is {settings[name]!r}; it must be one of {', '.join(choices)}"
        )


def _after(said: Any, where: str) -> tuple[dict[str, tuple[str, str]], tuple[Follow, ...]]:
    """Column -> whose object has to be there before a row is made, and what every other kind of
    change waits for: `crm.contacts`, or per action `crm.contacts closed`.
    """
    made, follows = dict[str, tuple[str, str]](), list[Follow]()
    for column, given in dict(said).items():
        if not isinstance(given, Mapping):
            made[column] = _place(given, f"{where}.{column}")
            continue
        for action, there in given.items():
            place = f"{where}.{column}.{action}"
            if action not in STATE_OF:
                raise ExportError(f"{place}: after what action? One of {', '.join(STATE_OF)}")
            place_of, _, state = str(there).partition(" ")
            if state and state not in STATES:
                raise ExportError(
                    f"{place} is {there!r}; what has to be so is one of {', '.join(STATES)}"
                )
            target, entity = _place(place_of, place)
            if action == CREATE and (state or THERE) == THERE:
                made[column] = (target, entity)
            else:
                follows.append(Follow(column, action, target, entity, state or STATE_OF[action]))
    return made, tuple(follows)


def _place(there: Any, where: str) -> tuple[str, str]:
    """`crm.contacts` as (target, entity)."""
    target, _, entity = str(there).partition(".")
    if not target or not entity:
        raise ExportError(f"{where} is {there!r}; write target.entity, for example crm.contacts")
    return target, entity


def _column(name: str, column: Mapping[str, Any], where: str, on_drift: str) -> Column:
    meta = meta_of(column)
    _strict(meta, COLUMN_KNOWN, f"{where}, column {name}")
    owner = meta.get("owner", "ours")
    if owner not in OWNERS:
        raise ExportError(
            f"{where}, column {name}: owner is {owner!r}; it must be one of {', '.join(OWNERS)}"
        )
    _one_of(meta, "on_drift", ON_DRIFT, f"{where}, column {name}")
    if owner == BOTH and (said := next(filter(meta.get, ("on_drift", "role", "ignoring")), "")):
        raise ExportError(
            f"{where}, column {name}: owner is both, and it says {said}; what both sides may change"
            " is compared as it is, has no role, and what they changed is no drift"
        )
    resting = meta.get("rests", [])
    if not isinstance(resting, list) or (resting and (owner != "ours" or meta.get("role"))):
        raise ExportError(
            f"{where}, column {name}: rests is {resting!r}; it must be a list of parts, of a column"
            " that is ours and has no role"
        )
    ignoring = meta.get("ignoring", [])
    ignoring = tuple(ignoring) if isinstance(ignoring, list) else (str(ignoring),)
    if not set(ignoring) <= set(IGNORING):
        raise ExportError(
            f"{where}, column {name}: ignoring is {meta['ignoring']!r}; it may name"
            f" {', '.join(IGNORING)}"
        )
    role, off = meta.get("role", ""), meta.get("off_value")
    if role and role not in ROLES:
        raise ExportError(
            f"{where}, column {name}: role is {role!r}; it must be one of {', '.join(ROLES)}"
        )
    if (role == SWITCH) != ("off_value" in meta) or not isinstance(off, bool | str | int | None):
        raise ExportError(
            f"{where}, column {name}: off_value is {off!r} and role {role!r}; a column of role"
            " switch, and no other, says which value means closed"
        )
    try:
        re.compile(str(meta.get("form", "")))
    except re.error as error:
        raise ExportError(
            f"{where}, column {name}: form is {meta['form']!r}, which is no pattern: {error}"
        ) from None
    if role == SWITCH and meta.get("on_drift", "revert") != "revert":
        raise ExportError(
            f"{where}, column {name}: on_drift is {meta['on_drift']!r} and role switch; who closed"
            " or opened an object is no drift, so a switch has none"
        )
    because = meta.get("off_because")
    if because is not None and (
        role != SWITCH or not isinstance(because, Mapping) or set(because) != {"column", "ours"}
    ):
        raise ExportError(
            f"{where}, column {name}: off_because is {because!r}; a column of role switch may say"
            " {column: <what the target observes>, ours: <what stands there of those we closed>}"
        )
    try:
        cell = form.cell(meta)
    except form.FormError as error:
        raise ExportError(f"{where}, column {name}: {error}") from None
    return Column(
        name=name,
        type=str(column.get("data_type") or "varchar"),
        owner=owner,
        personal_data=str(meta.get("personal_data", "none")),
        header=str(meta.get("header", "")),
        field=str(meta.get("field", "")),
        form=str(meta.get("form", "")),
        role=role,
        off_value=off,
        off_because=(str(because["column"]), str(because["ours"])) if because else None,
        on_drift="revert" if role == SWITCH else meta.get("on_drift", on_drift),
        ignoring=ignoring,
        in_file=meta.get("in_file", True) is not False,
        rests=tuple(map(str, resting)),
        cell=cell,
    )


def _roles(columns: Sequence[Column], context: Sequence[str], where: str) -> None:
    """Refuse a role several columns have, but for login and switch, and one on a column that is not
    sent, but for adopt, which only names an object.
    """
    for role in ROLES:
        having = [column.name for column in columns if column.role == role]
        if role not in (LOGIN, SWITCH) and len(having) > 1:
            raise ExportError(
                f"{where}: columns {', '.join(having)} have role {role}; one column may"
            )
        for name in having:
            if (name in context) != (role == ADOPTS):
                raise ExportError(
                    f"{where}, column {name}: role {role} is for a column that"
                    f" {'is' if role == ADOPTS else 'is not'} context"
                )


SAYS_HOW_IT_IS_SENT = ("header", "field", "width", "align", "pad", "max_length", "format")


def _not_sent(
    node: Mapping[str, Any],
    columns: Sequence[Column],
    named: tuple[Sequence[str], Sequence[str]],
    where: str,
    *,
    is_file: bool,
) -> None:
    """Refuse a column that says how it is sent and is not, or that a file cannot leave to whoever
    it belongs to.
    """
    key, context = named
    for column in columns:
        meta = meta_of(node["columns"][column.name])
        if "in_file" in meta and (not is_file or column.name not in key):
            raise ExportError(
                f"{where}, column {column.name}: in_file is for a key column of a file, which tells"
                " rows apart that read the same; any other is named in context"
            )
        says = next((name for name in SAYS_HOW_IT_IS_SENT if name in meta), "")
        if says and column.name in context and column.role != ADOPTS:
            raise ExportError(
                f"{where}, column {column.name}: has {says} and would not be sent, for it is named"
                f" in context; take it out there, or take {says} away"
            )
        if is_file and column.owner in ("theirs", BOTH) and column.name not in context:
            raise ExportError(
                f"{where}, column {column.name}: owner is {column.owner}, and a file has no value"
                " of theirs to keep: take the column out of the export, or say ours"
            )


def _file_format(
    settings: Any, where: str, columns: Sequence[Column], export: Mapping[str, Any]
) -> FileFormat:
    """`file:` of an export, and the cells of its columns. Raises ExportError."""
    context = tuple(export.get("context", ()))
    sent = [one for one in columns if one.name not in context and one.owner != "theirs"]
    sent = [one for one in sent if one.in_file]
    try:
        if not isinstance(settings, Mapping):
            raise form.FormError(f" must be a table of settings, not {settings!r}")
        made = form.file_format(settings, ("partition", words().partition))
        form.judge(made, {c.name: c.cell for c in sent}, {c.name: c.header or c.name for c in sent})
    except form.FormError as error:
        raise ExportError(f"{where}{error}") from None
    names = [
        one for form_ in (made, made.delta) if form_ for one in (form_.name, form_.archive or "")
    ]
    if any(map(form.per_partition, names)) and export.get("partition") not in export["key"]:
        raise ExportError(
            f"{where}.name is {made.name!r}, a file per {words().partition}; then the column that"
            f" says which ({export.get('partition')!r}) has to be one of the key, so that who"
            " moves leaves the one file and comes into the other"
        )
    return made


def _strict(settings: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    try:
        form.strict(settings, known, where)
    except form.FormError as error:
        raise ExportError(str(error)) from None


def feeds(
    manifest: Mapping[str, Any], unique_id: str, ends: AbstractSet[str] = frozenset()
) -> tuple[tuple[str, str], ...]:
    """The (source, feed) pairs a model is made from, however far up: every `raw_<source>.<feed>`
    among its ancestors, but for what it has by way of `ends` alone.
    """
    parents, found, waiting = manifest["parent_map"], set(), [unique_id]
    seen = {unique_id, *ends}
    while waiting:
        for parent in parents.get(waiting.pop(), ()):
            if parent in seen:
                continue
            seen.add(parent)
            waiting.append(parent)
            source = manifest["sources"].get(parent)
            if source is not None and source["schema"].startswith("raw_"):
                found.add(
                    (
                        source["schema"].removeprefix("raw_"),
                        source.get("identifier") or source["name"],
                    )
                )
    return tuple(sorted(found))


def made_by(manifest: Mapping[str, Any], unique_id: str) -> str:
    """A hash of every model, seed and macro a model is made by, however far up; dbt's own macros
    are of its version.
    """
    macros, parents = manifest.get("macros", {}), manifest["parent_map"]
    seen: set[str] = set()
    waiting = [unique_id]
    while waiting:
        name = waiting.pop()
        if name not in seen and not name.startswith(DBTS_OWN):
            seen.add(name)
            node = manifest["nodes"].get(name) or macros.get(name) or {}
            waiting += [*parents.get(name, ()), *node.get("depends_on", {}).get("macros", ())]
    said = hashlib.sha256()
    for name in sorted(seen):
        node = manifest["nodes"].get(name) or macros.get(name) or {}
        made = node.get("raw_code") or node.get("macro_sql") or node.get("checksum", {})
        said.update(f"{name}\x1f{made}\x1e".encode())
    return said.hexdigest()


def _tests(manifest: Mapping[str, Any]) -> dict[str, list[str]]:
    """Model -> its tests. A generic test belongs to the model it is written under, a singular one
    to all it reads.
    """
    tests: dict[str, list[str]] = {}
    for unique_id, node in manifest["nodes"].items():
        if node["resource_type"] == "test" and node.get("config", {}).get("enabled", True):
            attached = node.get("attached_node")
            for model in [attached] if attached else node["depends_on"]["nodes"]:
                tests.setdefault(model, []).append(unique_id)
    return tests


def _trouble(
    name: str, unique_id: str, status: Mapping[str, str], tests: list[str], *, registered: bool
) -> str:
    """Why this export may not be written tonight; '' when it may."""
    built = status.get(unique_id, "not built")
    if built != "success":
        return (
            f"model {name} is \"{built}\" in this run's build, so its table is not tonight's; run"
            f' "make build SELECT=+{name}" and read the message'
        )
    if registered and not any(SIGNED in test.split(".")[2] for test in tests):
        return (
            f"{name} lacks the test {SIGNED}, so nobody has signed for the personal data in it; add"
            ' it under data_tests in its YAML, then "make plan"'
        )
    bad = sorted(test for test in tests if status.get(test, "not run") not in ("pass", "warn"))
    if bad:
        first, said = bad[0].split(".")[2], status.get(bad[0], "not run")
        return (
            f'{len(bad)} of {len(tests)} tests of {name} did not pass (first: {first}, "{said}");'
            ' mend the rows or the rule, then "make plan"'
        )
    return ""


def left_out_model(target: str) -> str:
    """The model that says who should be in a target's files and is not, where it has one."""
    return f"{target}__left_out"


def _uncounted(manifest: Mapping[str, Any], status: Mapping[str, str], export: Export) -> str:
    """Why it is not known tonight how many a file leaves out; '' when it is, or is never asked."""
    name = left_out_model(export.target)
    for unique_id, node in manifest["nodes"].items():
        if (node["resource_type"], node["name"]) == ("model", name):
            built = status.get(unique_id, "not built")
            if built == "success":
                return ""
            return (
                f"model {name} is {built} in this run's build, so how many {export.model} leaves"
                f' out is not known; run "make build SELECT=+{name}"'
            )
    return ""


def meta_of(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a node of the manifest says of itself under `meta`."""
    return {**(node.get("meta") or {}), **((node.get("config") or {}).get("meta") or {})}


def _file(node: Mapping[str, Any]) -> str:
    """The YAML the meta stands in, as somebody would open it."""
    patch = node.get("patch_path") or node.get("original_file_path") or node["name"]
    return str(patch).split("://")[-1]
