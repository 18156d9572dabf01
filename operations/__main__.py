"""`python -m operations nightly | intraday | build | report | alert | status | replay | rehearse |
explain | audit | pause | resume | backup | …`
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from common import access, findings, paths, settings, store, terminal, turns
from common.lock import LockHeldError
from common.runs import NoSuchRunError, Run, business_date
from common.terminal import Terminal
from operations import audit as cookbook
from operations import copies, interventions, schedule
from operations import night as nights
from operations import report as reports
from operations.preflight import size

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="The night and what people see of it.",
    pretty_exceptions_enable=False,
)


@app.callback()
def _begin(context: typer.Context) -> None:
    verb = str(context.invoked_subcommand)
    # root types install for whoever the nights run as; nothing is there yet to be somebody's
    # a province has a state folder of its own, which it says first
    if verb not in ("install", "init", "init-district", "province"):
        access.begin(verb)
    if verb in ("build", "report", "backup"):
        context.with_resource(turns.taken(verb))


@app.command()
def nightly(
    allow: Annotated[
        str,
        typer.Option(help="lift limits for this night only, e.g. create or crm.contacts.suspend"),
    ] = "",
    why: Annotated[str, typer.Option(help="the reason, recorded with the plan")] = "",
    scheduled: Annotated[
        bool,
        typer.Option("--scheduled", help="a timer calls: heed the days the district is closed"),
    ] = False,
) -> None:
    """Run one whole night: ingest, observe, build, plan, push, verify, backup, report, alert."""
    if scheduled and (
        reason := schedule.not_today(schedule.entries()[0], business_date("nightly", None))
    ):
        print(f"no night today: {reason}")
        raise SystemExit(0)
    if allow and not why:
        raise SystemExit(
            _refuse('--allow lifts a limit and is recorded with its reason: add WHY="…"')
        )
    with copies.steps():
        raise SystemExit(nights.nightly(allow, why))


@app.command()
def intraday(
    name: Annotated[str, typer.Argument(help="a [schedule.intraday.<name>] of the settings")],
) -> None:
    """A short run by day for some targets, e.g. the call-out after attendance was taken."""
    with copies.steps():
        raise SystemExit(schedule.intraday(name, business_date("intraday", None)))


@app.command()
def init(
    to: Annotated[str, typer.Argument(help="the folder of the new project, beside this one")],
) -> None:
    """Begin a project of your own: one source, one model, one target, one test; edits stay."""
    from operations.init import begin

    print(begin(to))


@app.command()
def run(
    part: Annotated[str, typer.Argument(help="the name of one of [[schedules]] of the settings")],
    allow: Annotated[str, typer.Option(help="lift limits for this run only")] = "",
    why: Annotated[str, typer.Option(help="the reason, recorded with the plan")] = "",
) -> None:
    """One run of a part: some feeds, some targets, with all else as in a night."""
    from operations import parts

    if allow and not why:
        raise SystemExit(
            _refuse('--allow lifts a limit and is recorded with its reason: add WHY="…"')
        )
    with copies.steps():
        raise SystemExit(parts.run(part, allow, why))


@app.command()
def province(
    folder: Annotated[str, typer.Argument(help="the folder of province.toml")] = "",
    status: Annotated[bool, typer.Option("--status", help="say how the last run ended")] = False,
    ask: Annotated[str, typer.Option(help="a question in SQL of all published copies")] = "",
) -> None:
    """The nights of many districts, under one budget; what each needs, worst first."""
    from operations import province as many
    from operations import province_page as told
    from operations import province_settings

    home = province_settings.enter(folder or os.environ.get("PROVINCE", ""))
    access.begin("status" if status or ask else "province")
    if ask:
        connection, left_out = told.view(home, province_settings.read(home)[1])
        for line in left_out:
            print(f"province: {line}", file=sys.stderr)
        connection.sql(ask).show(max_rows=1000)
        return
    if not status:
        many.run(home)
    said = many.known()
    found = said["districts"]
    for line in told.lines(found):
        print(line)
    if status:
        raise SystemExit(told.code(found))
    print(f"page {told.write(said)}")
    raise SystemExit(max(told.code(found), told.alert(found)))


@app.command()
def watch(
    seconds: Annotated[
        float, typer.Option("--for", help="end after so many seconds; 0: when asked to")
    ] = 0.0,
) -> None:
    """Stay, and begin each part of [[schedules]] when its time comes or its file arrives."""
    from operations import watch as watching

    raise SystemExit(watching.watch(seconds))


@app.command()
def install(
    to: Annotated[str, typer.Option(help="folder of the systemd units")] = "/etc/systemd/system",
    user: Annotated[
        str, typer.Option(help="who the service runs as; default: the owner of the state folder")
    ] = "",
    show: Annotated[str, typer.Option(help="write nothing, print: cron, cron.d or windows")] = "",
) -> None:
    """Have this machine run the nights: systemd units, or the lines for cron or Windows Task
    Scheduler.
    """
    if show not in ("", "cron", "cron.d", "windows"):
        raise SystemExit(_refuse(f"--show {show}: cron, cron.d or windows"))
    if show:
        who = (user or schedule.owner()) if show == "cron.d" else ""
        print(schedule.windows() if show == "windows" else schedule.cron(who))
        raise SystemExit(0)
    after = schedule.install(Path(to), user or schedule.owner())
    print(f"units written to {to}; now run, as root:")
    for line in after:
        print(f"  {line}")
    for day, runs in schedule.next_days(7, business_date("nightly", None)):
        print(f"  {day:%a} {day.isoformat()}: {', '.join(runs) or 'closed'}")


@app.command()
def health() -> None:
    """One line and exit 0 when all is well, 1 when the last night failed or none has ended for too
    long.
    """
    from operations import status as standing

    good, sentence = standing.health()
    print(sentence)
    raise SystemExit(0 if good else 1)


@app.command()
def retention(
    really: Annotated[
        bool, typer.Option("--really", help="let it go; without, only say what would go")
    ] = False,
) -> None:
    """What is past its days, class by class ([retention] of the settings)."""
    from operations import retention as keeping

    found = keeping.past()
    for one in found:
        what = (
            f"{one.rows:,} rows"
            if one.name in keeping.ROWS
            else f"{len(one.files):,} files, {one.bytes / 1e6:,.1f} MB"
        )
        print(
            f"{one.name}: "
            + ("kept for ever" if one.days is None else f"{what} older than {one.days} days")
        )
    if not any(one.rows or one.files for one in found):
        print("nothing is past its days")
    elif really:
        keeping.let_go(found)
        print("let go")
    else:
        print('nothing was deleted; "make retention REALLY=1" does it')


@app.command()
def compact() -> None:
    """Write warehouse and ledger anew without the air in them."""
    from operations import retention as keeping

    share = keeping.air()
    if share < keeping.AIR:
        print(f"{share:.0%} of the warehouse is air; below {keeping.AIR:.0%} it is not worth it")
        raise SystemExit(0)
    before, after = keeping.compact()
    print(f"compacted: {before / 1e6:,.1f} MB became {after / 1e6:,.1f} MB")


@app.command()
def pause(
    until: Annotated[str, typer.Option(help="the first day nights run again, 2027-09-07")],
    why: Annotated[
        str, typer.Option(help="the reason, recorded and said by every night that does not run")
    ],
) -> None:
    """No night begins until then."""
    print(interventions.pause(until, why).sentence)


@app.command()
def resume() -> None:
    """End the pause."""
    print("nights run again" if interventions.resume() else "nothing was paused")


@app.command()
def acknowledge(
    code: Annotated[str, typer.Argument(help="the kind of finding, as the page says it")] = "",
    *,
    until: Annotated[str, typer.Option(help="the first day it is told again, 2027-09-07")] = "",
    why: Annotated[str, typer.Option(help="the reason, recorded and said on the page")] = "",
    target: Annotated[str, typer.Option(help="of one target only")] = "",
    partition: Annotated[str, typer.Option(help="of one partition only")] = "",
    subject: Annotated[str, typer.Option(help="of one key only")] = "",
) -> None:
    """Set findings apart that somebody answers for, until a day; without a code, list them."""
    from operations import acknowledged

    if code:
        which = acknowledged.Which(code.replace(" ", "_"), target, partition, subject)
        print(acknowledged.acknowledge(which, until, why))
        return
    for one in acknowledged.in_force():
        print(f"{one.which}: {one.sentence}")
    if not acknowledged.in_force():
        print("nothing is acknowledged")


@app.command()
def backup() -> None:
    """Copy what cannot be built again, prove the copy, keep the newest few."""
    from operations import backup as backups

    older = backups.looked_over(datetime.now(UTC).date())
    if os.environ.get("HOMEROOM_RUN"):
        findings.record(Run.load(os.environ["HOMEROOM_RUN"]), older)
    for one in older:
        print(f"backup: {one.message}", file=sys.stderr)
    try:
        made = backups.backup()
    except backups.BackupError as error:
        if os.environ.get("HOMEROOM_RUN"):
            findings.record(
                Run.load(os.environ["HOMEROOM_RUN"]),
                [findings.Finding("backup_failed", {"why": str(error)})],
            )
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
        print(
            f"{len(later)} runs are newer than this backup ({later[0]} to {later[-1]}): what they"
            " wrote stands in the targets and in their run folders, their changes are no longer in"
            " the audit tables; the next night compares everything anew"
        )


@app.command()
def build(
    select: Annotated[str, typer.Option(help="dbt selection, e.g. +exp_crm__contacts")] = "",
    *,
    target: Annotated[str, typer.Option(help="only what this target's exports rest on")] = "",
    full: Annotated[
        bool, typer.Option("--full", help="build also what is as it was when it was last built")
    ] = False,
) -> None:
    """Run the models and their tests; keep what dbt said with the run."""
    from operations.build import build as run_build
    from reverse_etl.configured import names, off

    if target in off():
        raise SystemExit(_refuse(f"{target!r} is off, so nothing of it is built"))
    if target and target not in names():
        raise SystemExit(_refuse(f"{target!r} is no target; configured are {', '.join(names())}"))
    raise SystemExit(run_build(Run.current("build"), select, only=target, full=full))


@app.command("init-district")
def init_district() -> None:
    """Begin a district's own folder, where HOMEROOM_DISTRICT names one that holds nothing yet."""
    from operations.init_district import begin

    print(begin())


@app.command("upgrade-plan")
def upgrade_plan(
    to: Annotated[str, typer.Option(help="a folder with the other version, or a tag of this one")],
) -> None:
    """What another version of Homeroom would mean for this district; writes to no target."""
    from operations.upgrade import NotUpgradableError, plan

    try:
        raise SystemExit(plan(to, Terminal()))
    except NotUpgradableError as error:
        raise SystemExit(_refuse(str(error))) from None


@app.command()
def seeds() -> None:
    """Print what dbt has to be told when it is called by hand, as HOMEROOM_SEEDS."""
    from operations.seeds import environment

    print(environment()["HOMEROOM_SEEDS"])


@app.command()
def report() -> None:
    """Close the run, fill the audit tables, publish the copy, print the report. With nothing open:
    the latest again.
    """
    latest = (
        Run.load(os.environ["HOMEROOM_RUN"]) if os.environ.get("HOMEROOM_RUN") else Run.latest()
    )
    if latest is None:
        raise SystemExit(_refuse('there is no run yet; "make nightly" makes one'))
    if latest.is_nights and not latest.facts()["finished_at"] and not turns.of_a_night():
        raise SystemExit(
            _refuse(
                f"night {latest.run_id} was killed and is not over: the next one goes on with it,"
                " or begins anew and says so; no report typed by hand closes it"
            )
        )
    if latest.facts()["finished_at"]:
        reports.show(latest, reports.summarise(latest), Terminal())
        reports.let_read()
        raise SystemExit(0)
    so_far = os.environ.get("HOMEROOM_EXIT_CODE")
    code = (
        int(so_far)
        if so_far
        else nights.worst(step["exit_code"] for step in latest.facts()["steps"])
    )
    raise SystemExit(reports.report(latest, code))


@app.command()
def check() -> None:
    """Can the settings of the night be followed? One line each; writes nothing. Exit 3 when one
    cannot.
    """
    from operations.check import check as look

    raise SystemExit(look())


@app.command()
def alert(
    test: Annotated[
        bool, typer.Option("--test", help="send every place a message that says it is a test")
    ] = False,
) -> None:
    """Tell whom it concerns what the latest run found: e-mail, chat, incidents, heartbeat."""
    from operations import alerts

    if test:
        raise SystemExit(alerts.try_out())
    if not turns.of_a_night():
        with turns.taken("alert"):
            raise SystemExit(_told_again())
    latest = Run.load(os.environ["HOMEROOM_RUN"])
    if not latest.facts()["finished_at"]:  # the report died: what broke it is the news
        latest.finish(1)
    so_far = int(os.environ.get("HOMEROOM_EXIT_CODE", "0"))  # of a report that broke, too
    summary = reports.summarise(latest)
    if so_far == 1 != summary["exit_code"]:
        summary |= {"exit_code": 1, "status": "failed"}
    code = alerts.send(latest, summary)
    reports.let_read()  # the incidents it opened and closed
    raise SystemExit(code)


@app.command()
def status() -> None:
    """How things stand: the latest night, what is open, what is unusual."""
    from operations import status as standing

    raise SystemExit(standing.show(Terminal()))


@app.command()
def replay(day: Annotated[str, typer.Argument(help="the night's date, 2026-10-05")]) -> None:
    """Build an old night again from the archive, beside everything else, and compare its exports
    with what was recorded.
    """
    from operations.replay import NotReplayableError
    from operations.replay import replay as run_replay

    try:
        chosen = date.fromisoformat(day)
    except ValueError:
        raise SystemExit(_refuse(_no_day(day, "DATE=2026-10-05"))) from None
    try:
        raise SystemExit(run_replay(chosen, Terminal()))
    except NotReplayableError as error:
        raise SystemExit(_refuse(str(error))) from None


@app.command()
def rehearse(day: Annotated[str, typer.Argument(help="a day to come, 2027-09-07")]) -> None:
    """Live through the days until then on a copy, build and plan that day, and print what would
    happen; changes nothing.
    """
    from operations.rehearse import NotRehearsableError
    from operations.rehearse import rehearse as run_rehearsal

    try:
        chosen = date.fromisoformat(day)
    except ValueError:
        raise SystemExit(_refuse(_no_day(day, "AS_OF=2027-09-07"))) from None
    try:
        raise SystemExit(run_rehearsal(chosen, Terminal()))
    except NotRehearsableError as error:
        raise SystemExit(_refuse(str(error))) from None


@app.command()
def explain(
    who: Annotated[
        str, typer.Argument(help="any word somebody is known by: a number, an id, an account")
    ],
    names: Annotated[
        bool, typer.Option("--names", help="show names, addresses and the like")
    ] = False,
) -> None:
    """One subject in plain words: who, which state and until when, what the targets hold, and who
    can mend what.
    """
    from operations.explain import NobodyFoundError
    from operations.explain import explain as run_explanation

    try:
        raise SystemExit(run_explanation(who, Terminal(), names=names))
    except NobodyFoundError as error:
        raise SystemExit(_refuse(str(error))) from None


@app.command()
def audit(
    ask: Annotated[str, typer.Argument(help="the number of a question")] = "",
    *,
    values: Annotated[
        list[str] | None, typer.Option("--set", help="a value for a question, name=value")
    ] = None,
    subject: Annotated[str, typer.Option(help="of one subject, by any word it is known by")] = "",
    target: Annotated[str, typer.Option(help="of one target")] = "",
    first: Annotated[str, typer.Option("--from", help="of this day and later")] = "",
    last: Annotated[str, typer.Option("--to", help="of this day and earlier")] = "",
    field: Annotated[str, typer.Option(help="about one field of an export")] = "",
    form: Annotated[str, typer.Option("--format", help="text, csv or xlsx")] = "text",
) -> None:
    """List the questions of docs/audit.md, or ask one of the published warehouse."""
    from operations.explain import NobodyFoundError

    given = dict(value.partition("=")[::2] for value in values or [])
    asked = cookbook.Asked(given, subject, target, first, last, field)
    try:
        raise SystemExit(cookbook.show(ask, asked, Terminal(), form))
    except (cookbook.UnanswerableError, NobodyFoundError) as error:
        raise SystemExit(_refuse(str(error))) from None


def _told_again() -> int:
    """By hand: what the latest night that is over found."""
    from operations import alerts

    nights_over = [run for run in Run.finished() if run.is_nights]
    if not nights_over:
        return _refuse('no night is over yet; "make nightly" lives one')
    return alerts.send(nights_over[-1], reports.summarise(nights_over[-1]))


@app.command(context_settings={"ignore_unknown_options": True})
def alone(
    command: Annotated[list[str], typer.Argument(help="a program and its words", metavar="…")],
) -> None:
    """Run another program while nothing else writes to the state: `make docs`, `make clean`."""
    with turns.taken(Path(command[0]).name):
        raise SystemExit(subprocess.run(command, check=False).returncode)


def _no_day(given: str, example: str) -> str:
    return f"{given!r} is no date; write {example}" if given else f"say which day: {example}"


def _refuse(sentence: str, code: int = 2) -> int:
    print(sentence, file=sys.stderr)
    return code


@terminal.streams()
def main() -> None:
    """Run the command; what we expect to go wrong is a sentence and exit code 2."""
    from operations.backup import NotRestorableError

    expected = (
        store.StoreError,
        nights.NightRunningError,
        nights.NightRefusedError,
        interventions.InterventionError,
        NotRestorableError,
        settings.SettingsError,
        paths.NotOursError,
        NoSuchRunError,
        LockHeldError,
    )
    try:
        app()
    except expected as error:
        raise SystemExit(_refuse(str(error))) from None
    except PermissionError as error:
        raise SystemExit(_refuse(paths.whose(error.filename or paths.var()), 1)) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise SystemExit(
            _refuse(
                f"the disk of {paths.var()} is full: nothing more could be written; make room, e.g."
                ' with "make retention"',
                1,
            )
        ) from None


if __name__ == "__main__":
    main()
