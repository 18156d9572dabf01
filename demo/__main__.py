"""The demo command: a synthetic district, emulated platforms, and nights between them.

    python -m demo run --students 5000 --seed 1     from nothing: day 0, then day 1 with its changes
    python -m demo run --lived-in                   the same where Homeroom worked last spring:
                                                    closed accounts, two spoilt lines
    python -m demo run --accounts-before            the same where people have accounts already:
                                                    they are adopted
    python -m demo again                            one more night on the same files
    python -m demo next                             one school day on, and its night
    python -m demo year                             from nothing: a year of turning days, judged
    python -m demo state google                     what the platform holds, as JSON
    python -m demo with -- make push                any command, with the platforms running
    python -m demo serve --state DIR --requests FILE   the platforms alone; prints the environment
                                                       their clients need

Exit codes: those of the last night; 2 also when the demo itself refuses, with a sentence.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from common import access, settings
from demo.holdings import holdings
from demo.nights import District, RefusedError, begin, folder, night, platforms
from demo.places import PLATFORMS, Places

app = typer.Typer(
    help="A synthetic district, emulated platforms, and nights between them.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _say(title: str, *lines: str) -> None:
    """A heading a person finds again between the nights' own output."""
    print(
        f"\n━━━ {title} {'━' * max(3, 74 - len(title))}",
        *(f"    {line}" for line in lines),
        sep="\n",
        flush=True,
    )


def _end(code: int) -> None:
    if code:
        means = {
            1: "an error",
            2: "something was refused or waits for a person",
            3: "part of it failed",
        }.get(code, "an unknown exit code")
        print(
            f"\nthe night ended with exit code {code}: {means}; its report and findings stand in"
            f" {folder().parent / 'runs' / 'latest'}",
            file=sys.stderr,
        )
    raise typer.Exit(code)


@app.command()
def run(
    students: Annotated[
        int, typer.Option(min=1, help="How many students the district has.")
    ] = 5000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same district.")] = 1,
    *,
    accounts_before: Annotated[
        bool,
        typer.Option(
            help=(
                "Nearly everybody has accounts already, without our key and with the faults of"
                " years."
            )
        ),
    ] = False,
    lived_in: Annotated[
        bool,
        typer.Option(
            help="Homeroom worked here last spring: it closed accounts, and its ledger knows whose."
        ),
    ] = False,
    nights: Annotated[
        int,
        typer.Option(min=1, max=2, help="Stop after the first night, or go on to the next day's."),
    ] = 2,
) -> None:
    """Start from nothing: write a district, run its first night, then the night of the next day."""
    if accounts_before and lived_in:
        raise RefusedError(
            "accounts of before Homeroom and accounts it closed last spring are two districts:"
            " --accounts-before or --lived-in"
        )
    _say(
        f"A synthetic district of {students:,} students, seed {seed}",
        f"files, platforms and results are kept under {folder().parent}",
    )
    from demo import before, past

    today = begin(students, seed, lived_in=lived_in)
    allow = "create"
    if accounts_before:
        before.fill(Places.within(folder()), students, seed)
        # whose match is doubtful waits for somebody, and the portfolio goes without them
        allow = "adopt,create,portfolio.drop"
    else:
        past.fill(Places.within(folder()), students, seed, lived_in=lived_in)
    with platforms() as environment:
        _say(
            f"First night: {today.words}",
            "everything is new, so the limit on creates is lifted once, by name and with a reason",
        )
        code = night(today, environment, "--allow", allow, "--why", "first night of the demo")
        if code == 1 or nights == 1:
            _end(code)  # a second night cannot mend an error; what is merely held can wait for it
        today = today.tomorrow()
        today.write()
        _say(
            f"Second night: {today.words}",
            "a school day later: transfers, new children, leavers, renamed people; the usual limits"
            " hold",
        )
        code = night(today, environment)
    _say(
        "Done",
        'one more night on the same files writes nothing: "make demo-again"; the next school day:'
        ' "make demo-next"',
    )
    _end(code)


@app.command()
def again() -> None:
    """One more night on the same files: nothing should be written."""
    today = District.there()
    with platforms() as environment:
        _say(
            f"The same night once more: {today.words}",
            "nothing has changed in the district, so nothing should be written",
        )
        code = night(today, environment)
    _end(code)


@app.command("next")
def next_day() -> None:
    """Move the district one school day on, and run its night."""
    today = District.there().tomorrow()
    today.write()
    with platforms() as environment:
        _say(f"The next school day: {today.words}")
        code = night(today, environment)
    _end(code)


@app.command()
def year(
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Two years, every night on which something may change.")
    ] = False,
) -> None:
    """A year's turning days under the shipped limits, each night judged by the district's own
    state; exit 1 when anything is not as it says.
    """
    from demo import year as judge

    nights = tuple(judge.every()) if every else judge.SHORT
    _say(f"A district with its own calendar: {len(nights)} nights, and nobody types anything")
    begin(50, 1)
    wrong = judge.live(nights, _say)
    _say(
        "Everything was as the district's own state says, on every night"
        if not wrong
        else f"{wrong} things were not as the district's own state says"
    )
    raise typer.Exit(1 if wrong else 0)


@app.command()
def extracts(
    day: Annotated[
        int,
        typer.Option(
            min=0, help="0 is the first Monday of October 2026; N the Nth school day after."
        ),
    ],
    as_: Annotated[
        str,
        typer.Option(
            "--as", help="myedbc (with the HR database), oneroster (1.2) or oneroster-1.1"
        ),
    ] = "myedbc",
) -> None:
    """Write the district's files as they are on a day, and run nothing."""
    there = District.there()
    versions = {"oneroster": "1.2", "oneroster-1.2": "1.2", "oneroster-1.1": "1.1"}
    if as_ in versions:
        where = District(there.students, there.seed, day).write_oneroster(versions[as_])
        print(f"{where} now stands at day {day}, as OneRoster {versions[as_]}")
        return
    if as_ != "myedbc":
        raise RefusedError(f"the demo does not write {as_!r}: myedbc, oneroster or oneroster-1.1")
    replace(there, day=day).write()
    print(f"{folder() / 'extracts'} and {folder() / 'hr.sqlite'} now stand at day {day}")


@app.command(
    "with",
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    },
)
def with_platforms(context: typer.Context) -> None:
    """Start the platforms on their saved state, run a command with their environment, save."""
    if not context.args:
        raise RefusedError(
            "say which command to run, after two dashes: python -m demo with -- make verify"
        )
    from demo.district import date_of

    today = District.there()
    with platforms() as environment:
        environment.setdefault("HOMEROOM_AS_OF", date_of(today.day).isoformat())
        code = subprocess.run(context.args, env=environment, check=False).returncode
    raise typer.Exit(code if code >= 0 else 128 - code)


@app.command()
def state(platform: Annotated[str, typer.Argument(help="google or microsoft")]) -> None:
    """What a platform holds, as it was saved last: users, groups, members, org units, schemas, as
    JSON.
    """
    if platform not in PLATFORMS:
        raise RefusedError(f"there is no emulated platform {platform!r}: google or microsoft")
    path = Places.within(folder()).state_of(platform)
    if not path.is_file():
        raise RefusedError(
            f'{platform} has no saved state in {path.parent}; start with "make demo"'
        )
    json.dump(
        holdings(platform, json.loads(path.read_text(encoding="utf-8"))),
        sys.stdout,
        ensure_ascii=False,
        indent=1,
    )
    print()


@app.command()
def serve(
    *,
    state: Annotated[Path, typer.Option(help="Folder of the platforms' own state and keys.")],
    requests: Annotated[
        Path, typer.Option(help="File every request is appended to, one JSON line each.")
    ],
    faults: Annotated[
        str, typer.Option(help="Fault switches as JSON, e.g. '{\"random_5xx\": 0.01}'.")
    ] = "{}",
    speed: Annotated[
        float,
        typer.Option(
            min=0.001, help="How many times faster than in production the quotas' clocks run."
        ),
    ] = 30.0,
    received: Annotated[
        Path | None,
        typer.Option(help="Folder of what vendors receive; beside the requests file unless given."),
    ] = None,
    extracts: Annotated[
        Path | None,
        typer.Option(help="Folder of the district's files; beside the requests file unless given."),
    ] = None,
) -> None:
    """The platforms alone: print one JSON line with the environment their clients need, and serve
    until stopped.
    """
    from demo.platforms import running

    beside = requests.resolve().parent
    places = Places(
        state.resolve(),
        requests.resolve(),
        (received or beside / "received").resolve(),
        (extracts or beside / "extracts").resolve(),
        beside / "hr.sqlite",
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        switches: dict[str, Any] = json.loads(faults)
        with running(beside, faults=switches, speed=speed, places=places) as started:
            print(json.dumps(started.environment), flush=True)
            # whoever started us over a pipe stops us by closing it, even when killed; a terminal or
            # /dev/null says nothing
            kind = os.fstat(sys.stdin.fileno()).st_mode
            if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
                threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
            stop.wait()
    except ValueError as error:
        raise RefusedError(f"--faults: {error}") from None


def main() -> None:
    access.private()
    try:
        app()
    except (RefusedError, settings.SettingsError) as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
