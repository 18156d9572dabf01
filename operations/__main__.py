"""`python -m operations nightly | build | report | alert | status | replay | audit`"""

from __future__ import annotations

import os
import sys
from datetime import date
from typing import Annotated

import typer
from rich.console import Console

from common import store
from common.runs import Run
from operations import audit as cookbook
from operations import night as nights
from operations import report as reports

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The night and what people see of it.", pretty_exceptions_enable=False)


@app.command()
def nightly(
    allow: Annotated[str, typer.Option(help="lift limits for this night only, e.g. create or google.users.suspend")] = "",
    why: Annotated[str, typer.Option(help="the reason, recorded with the plan")] = "",
) -> None:
    """Run one whole night: ingest, observe, build, plan, push, verify, report."""
    if allow and not why:
        raise SystemExit(_refuse('--allow lifts a limit and is recorded with its reason: add WHY="…"'))
    try:
        raise SystemExit(nights.nightly(allow, why))
    except nights.NightRunning as error:
        raise SystemExit(_refuse(str(error))) from None


@app.command()
def build(select: Annotated[str, typer.Option(help="dbt selection, e.g. +exp_google__users")] = "") -> None:
    """Run the models and their tests; keep what dbt said with the run."""
    from operations.build import build as run_build

    raise SystemExit(run_build(Run.current("build"), select))


@app.command()
def report() -> None:
    """Close the run, fill the audit tables, publish the copy, print the report. With nothing open: the latest again."""
    latest = Run.load(os.environ["HOMEROOM_RUN"]) if os.environ.get("HOMEROOM_RUN") else Run.latest()
    if latest is None:
        raise SystemExit(_refuse('there is no run yet; "make nightly" makes one'))
    if latest.read("run.json")["finished_at"]:
        reports.show(latest, reports.summarise(latest), Console())
        raise SystemExit(0)
    so_far = os.environ.get("HOMEROOM_EXIT_CODE")
    code = int(so_far) if so_far else nights.worst(step["exit_code"] for step in latest.read("run.json")["steps"])
    reports.report(latest, code)


@app.command()
def alert() -> None:
    """Tell whom it concerns what the latest run found: e-mail, chat, incidents, heartbeat."""
    from operations import alerts

    latest = Run.load(os.environ["HOMEROOM_RUN"]) if os.environ.get("HOMEROOM_RUN") else Run.latest()
    if latest is None:
        raise SystemExit(_refuse('there is no run yet; "make nightly" makes one'))
    if not latest.read("run.json")["finished_at"]:  # the report died: what broke it is the news
        latest.finish(1)
    try:
        raise SystemExit(alerts.send(latest, reports.summarise(latest)))
    except ValueError as error:
        raise SystemExit(_refuse(str(error))) from None


@app.command()
def status() -> None:
    """How things stand: the latest night, what is open, what is unusual."""
    from operations import status as standing

    raise SystemExit(standing.show(Console()))


@app.command()
def replay(day: Annotated[str, typer.Argument(help="the night's date, 2026-10-05")]) -> None:
    """Build an old night again from the archive, beside everything else, and compare its exports with what was recorded."""
    from operations.replay import NotReplayable
    from operations.replay import replay as run_replay

    try:
        raise SystemExit(run_replay(date.fromisoformat(day), Console()))
    except ValueError:
        raise SystemExit(_refuse(f"{day!r} is no date; write DATE=2026-10-05")) from None
    except NotReplayable as error:
        raise SystemExit(_refuse(str(error))) from None


@app.command()
def audit(
    ask: Annotated[int | None, typer.Argument(help="the number of a question")] = None,
    values: Annotated[list[str] | None, typer.Option("--set", help="a value for a question, name=value")] = None,
) -> None:
    """List the questions of docs/audit.md, or ask one of the published warehouse."""
    given = dict(value.partition("=")[::2] for value in values or [])
    try:
        raise SystemExit(cookbook.show(ask, given, Console()))
    except cookbook.Unanswerable as error:
        raise SystemExit(_refuse(str(error))) from None


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        app()
    except store.StoreUnusable as error:
        raise SystemExit(_refuse(str(error))) from None
