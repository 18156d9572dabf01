"""`python -m reverse_etl check | observe | plan | show | push | verify`"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console

from common import findings, paths, store
from common.findings import Finding
from common.runs import Run
from reverse_etl import check as checking
from reverse_etl import configured, exports, settle
from reverse_etl import observe as observing
from reverse_etl import plan as planning
from reverse_etl import push as pushing
from reverse_etl import show as showing
from reverse_etl import verify as verifying
from reverse_etl.holds import TargetUnusable
from reverse_etl.journal import JournalDamaged
from reverse_etl.limits import Allowed, LimitWrong
from reverse_etl.model import Adapter

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Make every target equal to the export tables.", pretty_exceptions_enable=False)

Targets = Annotated[list[str] | None, typer.Option("--target", help="only this target (may be repeated)")]
School = Annotated[str, typer.Option(help="only this school's changes (8-character school number)")]
Person = Annotated[str, typer.Option(help="only this person's changes (student number, staff key or person id)")]
Action = Annotated[str, typer.Option(help="only this action, e.g. suspend")]
RunId = Annotated[str, typer.Option("--run", help="the run to work on; default: the one that is open")]


@app.command()
def check(target: Targets = None) -> None:
    """Does every target let us in? One line each; writes nothing. Exit 3 when one does not."""
    raise SystemExit(checking.check(tuple(target or ()), lambda name: configured.adapter(name, "check")))


@app.command()
def observe(target: Targets = None, run: RunId = "") -> None:
    """Read what the API targets hold now into raw_<target>."""
    with _step("observe", _run(run) or Run.current("observe")) as (current, done):
        done(observing.observe(current, observing.api_targets(tuple(target or ())), _adapter(current)))


@app.command()
def plan(
    *, target: Targets = None, school: School = "", person: Person = "", action: Action = "", run: RunId = "",
    allow: Annotated[str, typer.Option(help="lift limits for this plan only, e.g. create or google.users.suspend")] = "",
    why: Annotated[str, typer.Option(help="the reason, recorded with the plan")] = "",
) -> None:  # fmt: skip
    """Compare what should be with what is; writes to no target. Exit 2 when something waits for a person."""
    with _step("plan", _run(run) or Run.current("plan")) as (current, done):
        allowed = Allowed.parse(allow, why)
        scope = planning.Scope(tuple(target or ()), school, person, action)
        found = exports.load(current)
        _observe_again(current, found, scope)
        with store.connect() as connection:
            settle.settle(connection)
            if person:
                scope = replace(scope, person=showing.resolve_person(connection, person))
            made = planning.make(connection, _night(current)(), allowed, scope)
            document = planning.store(connection, made, current.run_id)
        current.write("plan.json", document)
        findings.record(current, _holds(document))
        planned, held = planning.totals(document)
        for part in document["exports"]:
            words = [f"{count:,} {what}" + (f" ({part['held'][what]:,} held)" if what in part["held"] else "") for what, count in part["planned"].items()]
            if words:
                print(f"plan: {part['target']} {part['entity']}: {', '.join(words)}")
            for sentence in part["holds"]:
                print(f"plan: held: {sentence}", file=sys.stderr)
        print(f"plan: {document['plan_id']}: {planned.total():,} changes, {held.total():,} held" if planned else "plan: nothing to do")
        done(2 if held or any(part["holds"] for part in document["exports"]) else 0)


@app.command()
def show(
    *, target: Targets = None, school: School = "", person: Person = "", action: Action = "", run: RunId = "",
    names: Annotated[bool, typer.Option("--names", help="show values that may name a person")] = False,
    limit: Annotated[int, typer.Option(help="how many changes to list")] = 40,
) -> None:  # fmt: skip
    """The plan, change by change; keys only, unless --names."""
    with _sentences():
        current = _run(run) or Run.latest()
        if current is None:
            raise planning.NoPlan('there is no run yet; run "make plan"')
        with store.connect(read_only=True) as connection:
            scope = planning.Scope(tuple(target or ()), school, showing.resolve_person(connection, person) if person else "", action)
            showing.show(connection, current, scope, names=names, limit=limit, console=Console())


@app.command()
def push(target: Targets = None, run: RunId = "") -> None:
    """Apply the plan, as far as its limits let it. Goes on where an interrupted push stopped."""
    with _step("push", _planned(run)) as (current, done):
        done(pushing.push(current, _night(current), _adapter(current), tuple(target or ())))


@app.command()
def verify(target: Targets = None, run: RunId = "") -> None:
    """Read the targets back and measure what is left. Exit 3 when something of ours did not converge."""
    with _step("verify", _planned(run)) as (current, done):
        readable = observing.api_targets()
        look = lambda names: observing.observe(current, [n for n in names if n in readable], _adapter(current))  # noqa: E731 one line says it
        done(verifying.verify(current, _night(current), look, tuple(target or ())))


# ---------------------------------------------------------------- what the verbs share


def _night(run: Run) -> Callable[[], planning.Night]:
    def make() -> planning.Night:
        return planning.Night(
            run.run_id, run.as_of.isoformat(), exports.load(run), _feeds(run), run.read("observed.json", {}), _entities, settle.last_written,
        )  # fmt: skip

    return make


def _feeds(run: Run) -> list[dict]:
    """What ingestion said last: a run that did not ingest still rests on the feeds of the night that did."""
    earlier = sorted((path for path in paths.runs().glob("2*/feeds.json") if path.parent.name <= run.run_id), reverse=True)
    return Run.load(earlier[0].parent.name).read("feeds.json") if earlier else []


def _entities(target: str) -> tuple[str, ...]:
    try:
        return tuple(configured.kind(target).entities)
    except configured.TargetWrong as error:
        raise TargetUnusable(str(error)) from None


def _adapter(run: Run) -> Callable[[str], Adapter]:
    return lambda name: configured.adapter(name, run.run_id)


def _observe_again(run: Run, found: exports.Exports, scope: planning.Scope) -> None:
    """Observe the targets this plan needs and that were not read in this run, or were written to since."""
    wanted = {e.target for e in (*found.good, *(e for e, _ in found.refused)) if e.file is None and scope.covers(e.target)}
    seen = run.read("observed.json", {})
    readable = set(observing.api_targets())
    missing = sorted(t for t in wanted & readable if t not in seen or (seen[t]["status"] == "ok" and _written_since(t, seen[t]["observed_at"])))
    if missing:
        observing.observe(run, missing, _adapter(run))


def _written_since(target: str, observed_at: str) -> bool:
    return settle.last_written(target) > datetime.fromisoformat(observed_at).timestamp()


def _holds(document: dict) -> list[Finding]:
    held = [
        Finding("warning", "changes_held", sentence, target=part["target"], entity=part["entity"], owner="analyst",
                action=f'look with "make show TARGET={part["target"]}"; lift with ALLOW= and WHY=, or mend the cause')
        for part in document["exports"] for sentence in part["holds"]
    ]  # fmt: skip
    if document["allowed"]["words"]:
        words = ", ".join(document["allowed"]["words"])
        held.append(Finding("info", "limits_lifted", f"limits lifted for this plan: {words}: {document['allowed']['why']}", owner="analyst"))
    return held


def _run(run_id: str) -> Run | None:
    """The run somebody named, by option or environment."""
    chosen = run_id or os.environ.get("HOMEROOM_RUN", "")
    return Run.load(chosen) if chosen else None


def _planned(run_id: str) -> Run:
    """The run whose plan is to be pushed or verified: never a new one, which could have no plan."""
    with _sentences():
        chosen = _run(run_id) or Run.latest()
        if chosen is None:
            raise planning.NoPlan('there is no run yet; run "make plan", look at it with "make show", then "make push"')
        return chosen


EXPECTED: tuple[tuple[type[Exception], int], ...] = (
    (planning.NoPlan, 2), (exports.ExportsMissing, 2), (LimitWrong, 2), (store.StoreUnusable, 1), (JournalDamaged, 1), (FileNotFoundError, 1),
    (configured.TargetWrong, 1),
)  # fmt: skip


@contextmanager
def _sentences() -> Iterator[None]:
    """What we expect to go wrong is a sentence and an exit code, not a traceback."""
    try:
        yield
    except tuple(kind for kind, _ in EXPECTED) as error:
        print(error, file=sys.stderr)
        raise SystemExit(next(code for kind, code in EXPECTED if isinstance(error, kind))) from None


@contextmanager
def _step(name: str, run: Run) -> Iterator[tuple[Run, Callable[[int], None]]]:
    """Run a verb as a step of its run and leave with its exit code. Inside a night the night keeps the time itself."""
    codes = [0]

    def done(code: int) -> None:
        codes[0] = code

    with _sentences():
        if "HOMEROOM_EXIT_CODE" in os.environ or run.read("run.json")["finished_at"]:
            yield run, done
        else:
            with run.step(name) as step:
                yield run, done
                step.exit_code = codes[0]
    raise SystemExit(codes[0])


if __name__ == "__main__":
    app()
