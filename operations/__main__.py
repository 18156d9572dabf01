"""`python -m operations nightly | intraday | pause | resume | build | report | alert | status | replay | audit | backup | restore | …`"""

from __future__ import annotations

import errno
import os
import sys
from datetime import date
from typing import Annotated

import typer
from rich.console import Console

from common import findings, paths, store
from common.runs import Run
from operations import audit as cookbook
from operations import interventions
from operations import night as nights
from operations import report as reports
from operations.room import size

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The night and what people see of it.", pretty_exceptions_enable=False)


@app.command()
def nightly(
    allow: Annotated[str, typer.Option(help="lift limits for this night only, e.g. create or google.users.suspend")] = "",
    why: Annotated[str, typer.Option(help="the reason, recorded with the plan")] = "",
) -> None:
    """Run one whole night: ingest, observe, build, plan, push, verify, report."""
    if allow and not why:
        raise SystemExit(_refuse('--allow lifts a limit and is recorded with its reason: add WHY="…"'))
    raise SystemExit(nights.nightly(allow, why))


@app.command()
def pause(
    until: Annotated[str, typer.Option(help="the first day nights run again, 2027-09-07")],
    why: Annotated[str, typer.Option(help="the reason, recorded and said by every night that does not run")],
) -> None:
    """No night begins until then."""
    print(interventions.pause(until, why).sentence)


@app.command()
def resume() -> None:
    """End the pause."""
    print("nights run again" if interventions.resume() else "nothing was paused")


@app.command()
def backup() -> None:
    """Copy what cannot be built again, prove the copy, keep the newest few."""
    from operations import backup as backups

    try:
        made = backups.backup()
    except backups.BackupFailed as error:
        if os.environ.get("HOMEROOM_RUN"):
            findings.record(Run.load(os.environ["HOMEROOM_RUN"]), [findings.Finding("critical", "backup_failed", str(error), owner="technician")])
        print(f"backup: {error}", file=sys.stderr)
        raise SystemExit(3) from None
    print(f"backup: {made}, {size(made) / 1e6:,.1f} MB, unpacked and counted")


@app.command()
def restore(which: Annotated[str, typer.Argument(help="latest, a name, or a folder")] = "") -> None:
    """Put a backup back; what it replaces is kept beside."""
    from operations import backup as backups

    chosen, aside = backups.restore(which)
    print(f"restored: {chosen}")
    print(f"replaced: {aside}")
    later = backups.not_covered(chosen)
    if later:
        print(f"{len(later)} runs are newer than this backup ({later[0]} to {later[-1]}): what they wrote stands in the targets and in their run folders, "
              "their changes are no longer in the audit tables; the next night compares everything anew")  # fmt: skip


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


def _refuse(sentence: str, code: int = 2) -> int:
    print(sentence, file=sys.stderr)
    return code


def main() -> None:
    """Run the command; what we expect to go wrong is a sentence and exit code 2."""
    from operations.backup import NotRestorable

    try:
        app()
    except (store.StoreUnusable, nights.NightRunning, nights.NightRefused, interventions.Wrong, NotRestorable) as error:
        raise SystemExit(_refuse(str(error))) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise SystemExit(_refuse(f'the disk of {paths.var()} is full: nothing more could be written; make room, e.g. with "make retention"', 1)) from None


if __name__ == "__main__":
    main()
