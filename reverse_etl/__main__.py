"""`python -m reverse_etl check | observe | plan | show | release | push | verify | undo | serve`"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from common import access, findings, paths, settings, store, terminal, turns
from common.findings import Finding
from common.lock import LockHeldError
from common.runs import NoSuchRunError, Run
from common.terminal import Terminal
from common.words import words
from reverse_etl import (
    causes,
    configured,
    diff,
    exports,
    first_sheet,
    pacing,
    releases,
    settle,
    shared,
    write_back,
)
from reverse_etl import check as checking
from reverse_etl import observe as observing
from reverse_etl import plan as planning
from reverse_etl import push as pushing
from reverse_etl import show as showing
from reverse_etl import undo as undoing
from reverse_etl import verify as verifying
from reverse_etl.holds import TargetUnusableError
from reverse_etl.journal import JournalDamagedError
from reverse_etl.limits import Allowed, LimitError
from reverse_etl.model import Adapter
from reverse_etl.receipts import read as receipts
from reverse_etl.serve import events

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Make every target equal to the export tables.",
    pretty_exceptions_enable=False,
)


def _configured(targets: list[str] | None) -> list[str] | None:
    if off := [name for name in targets or () if name in configured.off()]:
        raise planning.ScopeError(
            f"{off[0]!r} is off: [targets.{off[0]}] is not in the settings, or says enabled = false"
        )
    if unknown := [name for name in targets or () if name not in configured.names()]:
        raise planning.ScopeError(
            f"{unknown[0]!r} is no target; configured are {', '.join(configured.names())}"
        )
    return targets


Targets = Annotated[
    list[str] | None,
    typer.Option("--target", help="only this target (may be repeated)", callback=_configured),
]
Partition = Annotated[
    str, typer.Option(help="only the changes of this partition ([words] says what one is)")
]
Subject = Annotated[
    str, typer.Option(help="only the changes of this subject, by its key or what it is known by")
]
Action = Annotated[str, typer.Option(help="only this action, e.g. suspend")]
RunId = Annotated[
    str, typer.Option("--run", help="the run to work on; default: the one that is open")
]


@app.callback()
def _begin(context: typer.Context) -> None:
    verb = str(context.invoked_subcommand)
    access.begin(verb)
    if verb not in (*access.READ, "check", "serve"):
        context.with_resource(turns.taken(verb))


@app.command()
def check(target: Targets = None) -> None:
    """Does every target let us in? One line each; writes nothing. Exit 3 when one does not."""
    raise SystemExit(
        checking.check(tuple(target or ()), lambda name: configured.adapter(name, "check"))
    )


@app.command()
def observe(target: Targets = None, run: RunId = "") -> None:
    """Read what the API targets hold now, and what others answered to files, into raw_<target>."""
    with _step("observe", _mine(run) or Run.current("observe")) as (current, done):
        scope = tuple(target or ())
        told = receipts.read(scope)
        findings.record(current, told)
        for finding in told:
            print(f"observe: {finding.message}", file=sys.stderr)
        done(
            observing.observe(
                current,
                (*observing.api_targets(scope), *observing.unusable(scope)),
                _adapter(current),
            )
        )


@app.command()
def plan(
    *,
    target: Targets = None,
    partition: Partition = "",
    subject: Subject = "",
    action: Action = "",
    run: RunId = "",
    allow: Annotated[
        str, typer.Option(help="lift limits for this plan only, e.g. create or crm.users.suspend")
    ] = "",
    why: Annotated[str, typer.Option(help="the reason, recorded with the plan")] = "",
) -> None:
    """Compare what should be with what is; writes to no target. Exit 2 when something waits for
    somebody.
    """
    with _step("plan", _mine(run) or Run.current("plan")) as (current, done):
        allowed = Allowed.parse(allow, why, access.typed_by())
        found = configured.exports_of(current)
        with store.connect(read_only=True) as connection:
            scope = showing.scope(
                connection,
                found.every,
                target or (),
                partition=partition,
                subject=subject,
                action=action,
            )
        _observe_again(current, found, scope)
        with store.connect() as connection:
            settle.settle(connection)
            night = _night(current, "")()
            made = planning.build_plan(connection, night, allowed, scope)
            document = planning.store(connection, made, current.run_id)
            shared.remember(
                connection,
                [one for one in night.exports.good if scope.covers(one.target)],
                night.observed,
                diff.observed_view,
            )
        _planned_document(current, document)
        planned, held = planning.totals(document)
        for sentence in document["own"]:
            print(f"plan: {sentence}")
        for part in document["exports"]:
            planned_words = [
                f"{count:,} {what}"
                + (f" ({part['held'][what]:,} held)" if what in part["held"] else "")
                for what, count in part["planned"].items()
            ]
            if planned_words:
                print(f"plan: {part['target']} {part['entity']}: {', '.join(planned_words)}")
            if part["set_aside"]:
                print(
                    f"plan: {part['target']} {part['entity']}: {part['set_aside']:,} changes of"
                    f" {words().subjects} under a hold set aside"
                )
            if part["until"]:
                print(f"plan: {part['target']} {part['entity']}: {part['until']}")
            for sentence in part["holds"]:
                print(f"plan: held: {sentence}", file=sys.stderr)
        for name, one in document["estimate"].items():
            if one["calls"]:
                print(
                    f"plan: {name}: {one['calls']:,} calls, about {_minutes(one['seconds'])}; done"
                    f" at {one['done_at'][11:16]} UTC if pushed now"
                )
        print(
            f"plan: {document['plan_id']}: {planned.total():,} changes, {held.total():,} held"
            if planned
            else f"plan: no change is planned: {_held_exports(document)}"
            if any(part["holds"] or part["set_aside"] for part in document["exports"])
            else "plan: nothing to do"
        )
        done(2 if held or any(part["holds"] for part in document["exports"]) else 0)


def _held_exports(document: Mapping[str, Any]) -> str:
    """`2 exports are held, as said above`; what is set aside where none is."""
    held = sum(bool(part["holds"]) for part in document["exports"])
    aside = sum(part["set_aside"] for part in document["exports"])
    if not held:
        return f"{aside:,} changes are set aside under a hold"
    return f"{'1 export is' if held == 1 else f'{held} exports are'} held, as said above"


@app.command()
def show(
    *,
    target: Targets = None,
    partition: Partition = "",
    subject: Subject = "",
    action: Action = "",
    run: RunId = "",
    names: Annotated[
        bool, typer.Option("--names", help="show values that may name somebody")
    ] = False,
    status: Annotated[
        str, typer.Option(help=f"only changes that are {', '.join(showing.STATUSES)}")
    ] = "",
    limit: Annotated[int, typer.Option(help="how many changes to list; files list all")] = 40,
    form: Annotated[
        str, typer.Option("--format", help=f"one of {', '.join(showing.FORMATS)}")
    ] = "text",
) -> None:
    """The plan, change by change; keys only, unless --names."""
    with _sentences():
        current = _run(run) or Run.latest()
        if current is None:
            raise planning.NoPlanError('there is no run yet; run "make plan"')
        with store.to_read() as connection:
            scope = showing.scope(
                connection,
                showing.exports_of(current),
                target or (),
                partition=partition,
                subject=subject,
                action=action,
            )
            chosen = showing.Chosen(scope, status, names, limit)
            if form == "text":
                showing.show(connection, current, chosen, console=Terminal())
            else:
                sys.stdout.write(showing.written(connection, current, chosen, form))


@app.command()
def passwords(
    *,
    target: Targets = None,
    partition: Partition = "",
    run: RunId = "",
    key: Annotated[str, typer.Option(help="the file with the private key (age-keygen)")] = "",
    source: Annotated[
        str, typer.Option("--from", help="a folder or file with sealed passwords copied here")
    ] = "",
    to: Annotated[str, typer.Option(help="write a page to print there, and print nothing")] = "",
) -> None:
    """Open sealed first passwords with the district's private key: a sheet per partition."""
    with _sentences():
        if not key:
            raise first_sheet.SheetError("say in which file the private key is: KEY=…")
        given = Path(source).expanduser() if source else None
        found = first_sheet.files(run or os.environ.get("HOMEROOM_RUN", ""), partition, given)
        sheet = first_sheet.opened(found, first_sheet.key(Path(key).expanduser()))
        sheet = sheet.of(target or ())
        if not to:
            for line in first_sheet.lines(sheet):
                print(line)
            return
        district = settings.read(settings.District, "district").name
        first_sheet.write(sheet, Path(to).expanduser(), district)
        for line in (f"{len(sheet.slips):,} first passwords written to {to}", *sheet.remarks):
            print(line)


@app.command()
def preview_file(target: Targets = None, run: RunId = "") -> None:
    """Write a target's files as they would go out, and send nothing. Exit 2 where one would not
    go.
    """
    from reverse_etl.preview import preview

    with _sentences():
        current = _run(run) or Run.latest()
        if current is None or not current.read("plan.json"):
            raise planning.NoPlanError('there is no plan yet; run "make plan"')
        codes = [0]
        found = configured.exports_of(current).every
        for name in target or sorted({one.target for one in found if one.file}):
            chosen = [one for one in found if one.target == name]
            if not chosen:
                known = ", ".join(sorted({one.target for one in found if one.file}))
                raise planning.ScopeError(f"no export is for {name!r}; files go to {known}")
            with store.connect(read_only=True) as connection:
                codes.append(preview(connection, current, chosen, _adapter(current)(name)))
    raise SystemExit(max(codes))


@app.command()
def release(
    *,
    target: Targets = None,
    partition: Partition = "",
    subject: Subject = "",
    action: Action = "",
    run: RunId = "",
    only: Annotated[
        str,
        typer.Option(
            help=(
                "keys, subjects or change ids, separated by commas; none: all that is held of"
                " what the filters say"
            )
        ),
    ] = "",
    why: Annotated[str, typer.Option(help="the reason, recorded")] = "",
    who: Annotated[
        str, typer.Option(help="who says so, beside the user of this machine who types it")
    ] = "",
) -> None:
    """Let changes go that a limit held in a run, each once: the next plan that finds them unchanged
    applies them.
    """
    with _sentences():
        current = _run(run) or Run.latest()
        document = current.read("plan.json") if current else None
        if current is None or document is None:
            raise planning.NoPlanError(
                'there is no plan whose changes could be released; run "make plan"'
            )
        if not why.strip():
            raise LimitError('a release is recorded with its reason: add WHY="…"')
        with store.connect() as connection:
            scope = showing.scope(
                connection,
                showing.exports_of(current),
                target or (),
                partition=partition,
                subject=subject,
                action=action,
            )
            if not only and scope == planning.Scope():
                raise LimitError(
                    'say what is released: ONLY="key,key", or TARGET='
                    f" {words().partition.upper()}= {words().subject.upper()}= ACTION="
                )
            where, values = showing.conditions(document["plan_id"], scope)
            typed = access.typed_by()
            who = f"{who.strip()}, typed by {typed}" if who.strip() else typed
            keys = tuple(word.strip() for word in only.split(",") if word.strip())
            count = releases.release(
                connection, document["plan_id"], where, values, only=keys, who=who, why=why.strip()
            )
        print(
            f"release: {count:,} held {'change' if count == 1 else 'changes'} of run"
            f' {current.run_id} released by {who}; the next night lets them through once, or "make'
            ' plan" and "make push" do now'
        )


@app.command()
def undo(
    undone: Annotated[str, typer.Argument(help="the run to take back", metavar="RUN")],
    target: Targets = None,
    allow: Annotated[
        str, typer.Option(help="lift limits for this plan only, e.g. crm.users.delete")
    ] = "",
    why: Annotated[str, typer.Option(help="the reason, recorded with the plan")] = "",
) -> None:
    """Plan how a run is taken back: the opposite of every change it applied that still stands. Then
    show, push, report.
    """
    with _sentences():
        if not undone:
            raise undoing.NothingToUndoError(
                'say which run is to be taken back: RUN=…; "ls var/runs" lists them'
            )
        before = Run.load(undone)
        allowed = Allowed.parse(allow, why, access.typed_by())
        with store.connect() as connection:
            settle.settle(connection)
            undoing.written(connection, before.run_id)
    with _step("undo", Run.open("undo")) as (current, done):
        wanted = observing.api_targets(tuple(target or ()))
        observing.observe(current, wanted, _adapter(current))
        with store.connect() as connection:
            made = planning.build_plan(
                connection,
                _night(current, before.run_id)(),
                allowed,
                planning.Scope(tuple(target or ())),
            )
            document = planning.store(connection, made, current.run_id)
        _planned_document(current, document)
        planned, held = planning.totals(document)
        for sentence in document["cannot"]:
            print(f"undo: not as before: {sentence}")
        for part in document["exports"]:
            for sentence in part["holds"]:
                print(f"undo: held: {sentence}", file=sys.stderr)
        print(
            f"undo: {planned.total():,} changes take run {before.run_id} back, {held.total():,} of"
            ' them held; "make show" lists them, "make push" does it'
        )
        done(2 if held else 0)


@app.command()
def push(
    target: Targets = None,
    run: RunId = "",
    wait: Annotated[float, typer.Option(help="seconds to wait for another push to end")] = 30.0,
) -> None:
    """Apply the plan, as far as its limits let it. Goes on where an interrupted push stopped.

    By hand, what the targets hold is read again first: a plan somebody approved is pushed onto what
    he approved it for.
    """
    with _step("push", _planned(run, "push")) as (current, done):
        look = None if "HOMEROOM_EXIT_CODE" in os.environ else _look(current)
        code = pushing.push(
            current, _night(current), _adapter(current), tuple(target or ()), look=look, wait=wait
        )
        untold = events.tell()
        findings.record(current, untold)
        for finding in untold:
            print(f"push: {finding.message}", file=sys.stderr)
        done(code)


@app.command()
def verify(target: Targets = None, run: RunId = "") -> None:
    """Read the targets back and measure what is left. Exit 3 when something of ours did not
    converge.
    """
    with _step("verify", _planned(run, "verify")) as (current, done):
        done(
            verifying.verify(
                current,
                _night(current),
                _look(current),
                tuple(target or ()),
                level=configured.level,
                in_one_go="HOMEROOM_EXIT_CODE" in os.environ,
            )
        )


@app.command()
def serve(
    what: Annotated[str, typer.Argument(help="which service; the only one unless said")] = "",
) -> None:
    """Let others read what was last delivered, until it is stopped; writes nothing."""
    from reverse_etl.serve import server
    from reverse_etl.serve import settings as serving

    with _sentences():
        raise SystemExit(server.run(serving.read(what)))


# ---------------------------------------------------------------- what the verbs share


def _night(run: Run, undoes: str | None = None) -> Callable[[], planning.PlanInputs]:
    """What a plan of this run is made from; `undoes` (default: what its plan says): the run it
    takes back.
    """
    undone = run.read("plan.json", {}).get("undoes", "") if undoes is None else undoes

    def make() -> planning.PlanInputs:
        observed = run.read("observed.json", {})
        if undone:
            targets = {name: _adapter(run)(name) for name in observing.api_targets()}
            taking_back = undoing.Undo.of(undone, targets)
            found = configured.exports_of(Run.load(undone))
            # an undo rests on what the ledger remembers, not on tonight's feeds and tests
            every = exports.Exports(found.every, (), ())
            return planning.PlanInputs(
                run.run_id,
                run.as_of.isoformat(),
                every,
                [],
                observed,
                _entities,
                settle.last_written,
                taking_back,
            )
        return planning.PlanInputs(
            run.run_id,
            run.as_of.isoformat(),
            configured.exports_of(run),
            _feeds(run),
            observed,
            _entities,
            settle.last_written,
            before=causes.before(run.run_id),
            at=run.started_at.astimezone(settings.zone()).time().replace(microsecond=0),
            append_only=_append_only,
        )

    return make


def _look(run: Run) -> Callable[[Sequence[str]], int]:
    """Observe those of some targets that can be read."""
    readable = observing.api_targets()
    return lambda names: observing.observe(
        run, [name for name in names if name in readable], _adapter(run)
    )


def _planned_document(run: Run, document: dict[str, Any]) -> None:
    """Keep a plan with its run: when it would be done, and what somebody should know of it."""
    document["estimate"] = _estimate(document)
    run.write("plan.json", document)
    found = (_holds, _drifts, _conflicts, _closed, _documents)
    findings.record(run, [one for of in found for one in of(document)])


def _estimate(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Target -> calls the plan makes and how long they take at the target's quota."""
    calls: Counter[str] = Counter()
    for part in document["exports"]:
        try:
            files = configured.takes_files(configured.kind(part["target"]))
        except configured.TargetSettingsError:
            continue
        calls[part["target"]] += (
            0
            if files
            else sum(part["planned"].values()) - sum(part["held"].values()) - part["waiting"]
        )
    estimate = {}
    for target, count in calls.items():
        seconds = (
            pacing.seconds(count, configured.adapter(target, "estimate").rate) if count else 0.0
        )
        done_at = datetime.fromisoformat(document["made_at"]) + timedelta(seconds=seconds)
        estimate[target] = {
            "calls": count,
            "seconds": round(seconds, 1),
            "done_at": done_at.isoformat(),
        }
    return estimate


def _minutes(seconds: float) -> str:
    if seconds < 1:
        return "a second"
    return (
        f"{seconds:.0f} s"
        if seconds < 100
        else f"{seconds / 60:.0f} min"
        if seconds < 6000
        else f"{seconds / 3600:.1f} h"
    )


def _drifts(document: Mapping[str, Any]) -> list[Finding]:
    """What somebody changed by hand in a target, and what is done about it."""
    codes = {
        "revert": "changed_by_hand",
        "leave": "changed_by_hand_left",
        "take_over": "changed_by_hand_taken_over",
        "give_back": "changed_by_hand_given_back",
        write_back.LATE: "write_back_late",
    }
    return [
        Finding(
            codes[policy],
            {
                "values": sum(columns.values()),
                "columns": ", ".join(f"{column} {count:,}" for column, count in columns.items()),
            },
            target=part["target"],
            entity=part["entity"],
        )
        for part in document["exports"]
        for policy, columns in part["drift"].items()
    ]


def _conflicts(document: Mapping[str, Any]) -> list[Finding]:
    """What was changed on both sides, value by value: neither is written."""
    return [
        Finding(
            "changed_on_both_sides",
            {"column": one["column"]},
            target=part["target"],
            entity=part["entity"],
            key=one["key"],
            **{findings.PARTITION: one["partition"]},
        )
        for part in document["exports"]
        for one in part["conflicts"]
    ]


def _documents(document: Mapping[str, Any]) -> list[Finding]:
    """Documents that should be otherwise, were altered in the target, or are gone."""
    return [
        Finding(
            one["code"],
            {name: one[name] for name in ("count", "first", "columns")},
            target=part["target"],
            entity=part["entity"],
        )
        for part in document["exports"]
        for one in part["documents"]
    ]


def _closed(document: Mapping[str, Any]) -> list[Finding]:
    """What somebody else closed, and what somebody else opened, one by one: each is somebody's to
    look at.
    """
    return [
        Finding(
            "opened_by_somebody_else",
            target=part["target"],
            entity=part["entity"],
            key=one["key"],
            **{findings.PARTITION: one["partition"]},
        )
        for part in document["exports"]
        for one in part["opened"]
    ] + [
        Finding(
            "closed_by_somebody_else",
            {"why": f" ({one['why']})" if one["why"] else ""},
            target=part["target"],
            entity=part["entity"],
            key=one["key"],
            **{findings.PARTITION: one["partition"]},
        )
        for part in document["exports"]
        for one in part["closed"]
    ]


def _feeds(run: Run) -> list[dict]:
    """What ingestion said last of each feed: a run that did not ingest, or read a part, rests on
    the feeds of the night that did.
    """
    said: dict[tuple[str, str], dict] = {}
    for path in sorted(paths.runs().glob("2*/feeds.json"), reverse=True):
        if path.parent.name > run.run_id:
            continue
        one = Run.load(path.parent.name)
        for feed in one.read("feeds.json", []):
            said.setdefault((feed["source"], feed["feed"]), feed)
        if said and not one.part:
            break
    return list(said.values())


def _append_only(target: str) -> Mapping[str, str]:
    try:
        return dict(getattr(configured.adapter(target, "plan"), "append_only", {}))
    except configured.TargetSettingsError as error:
        raise TargetUnusableError(str(error)) from None


def _entities(target: str) -> tuple[str, ...]:
    try:
        return tuple(configured.adapter(target, "plan").entities)
    except configured.TargetSettingsError as error:
        raise TargetUnusableError(str(error)) from None


def _adapter(run: Run) -> Callable[[str], Adapter]:
    return lambda name: configured.adapter(name, run.run_id)


def _observe_again(run: Run, found: exports.Exports, scope: planning.Scope) -> None:
    """Observe the targets this plan needs and that were not read in this run, or were written to
    since.
    """
    wanted = {e.target for e in found.every if e.file is None and scope.covers(e.target)}
    seen = run.read("observed.json", {})
    readable = set(observing.api_targets())
    missing = sorted(
        t
        for t in wanted & readable
        if t not in seen
        or (seen[t]["status"] == "ok" and _written_since(t, seen[t]["observed_at"]))
    )
    if missing:
        observing.observe(run, missing, _adapter(run))


def _written_since(target: str, observed_at: str) -> bool:
    return settle.last_written(target) > datetime.fromisoformat(observed_at).timestamp()


def _holds(document: dict) -> list[Finding]:
    held = [
        Finding("changes_held", {"why": sentence}, target=part["target"], entity=part["entity"])
        for part in document["exports"]
        for sentence in part["holds"]
    ]
    if document["allowed"]["words"]:
        allowed = {name: document["allowed"][name] for name in ("who", "why")}
        words = ", ".join(document["allowed"]["words"])
        held.append(Finding("limits_lifted", {**allowed, "words": words}))
    return held


def _run(run_id: str) -> Run | None:
    """The run somebody named, by option or environment."""
    chosen = run_id or os.environ.get("HOMEROOM_RUN", "")
    return Run.load(chosen) if chosen else None


def _mine(run_id: str) -> Run | None:
    """The same, where it is not a night's, or this is a step of that night."""
    chosen = _run(run_id)
    return chosen.mine() if chosen else None


def _planned(run_id: str, verb: str) -> Run:
    """The run whose plan is to be pushed or verified: never a new one, which could have no plan.
    What a night planned is read back by hand in a run of its own, and not pushed again.
    """
    with _sentences():
        chosen = _run(run_id) or Run.latest()
        if chosen is not None and chosen.is_nights and not turns.of_a_night():
            plan = chosen.read("plan.json")
            if verb != "verify" or plan is None:
                raise planning.NoPlanError(
                    f"the latest plan is of the night {chosen.run_id}, which no verb typed by hand"
                    ' goes on with: "make plan" makes one of your own, "make show" shows it, "make'
                    ' push" pushes it'
                )
            own = Run.open(verb)
            for name in ("plan.json", "observed.json"):
                own.write(name, chosen.read(name, {}))
            return own
        if chosen is None:
            raise planning.NoPlanError(
                'there is no run yet; run "make plan", look at it with "make show", then "make'
                ' push"'
            )
        return chosen


EXPECTED: tuple[tuple[type[Exception], int], ...] = (
    (planning.NoPlanError, 2),
    (planning.ScopeError, 2),
    (exports.ExportsMissingError, 2),
    (LimitError, 2),
    (NoSuchRunError, 2),
    (store.StoreError, 1),
    (JournalDamagedError, 1),
    (settings.SettingsError, 1),
    (paths.NotOursError, 2),
    (configured.TargetSettingsError, 1),
    (releases.NothingToReleaseError, 2),
    (undoing.NothingToUndoError, 2),
    (LockHeldError, 2),
    (showing.UnknownFormatError, 2),
    (first_sheet.SheetError, 2),
)


@contextmanager
def _sentences() -> Iterator[None]:
    """What we expect to go wrong is a sentence and an exit code, not a traceback."""
    try:
        yield
    except tuple(kind for kind, _ in EXPECTED) as error:
        print(error, file=sys.stderr)
        raise SystemExit(next(code for kind, code in EXPECTED if isinstance(error, kind))) from None
    except PermissionError as error:
        print(paths.whose(error.filename or paths.var()), file=sys.stderr)
        raise SystemExit(1) from None


@contextmanager
def _step(name: str, run: Run) -> Iterator[tuple[Run, Callable[[int], None]]]:
    """Run a verb as a step of its run and leave with its exit code. Inside a night the night keeps
    the time itself.
    """
    codes = [0]

    def done(code: int) -> None:
        codes[0] = code

    with _sentences():
        if "HOMEROOM_EXIT_CODE" in os.environ or run.facts()["finished_at"]:
            yield run, done
        else:
            with run.step(name) as step:
                yield run, done
                step.exit_code = codes[0]
    raise SystemExit(codes[0])


if __name__ == "__main__":
    with terminal.streams(), _sentences():
        app()
