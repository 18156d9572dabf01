"""Check: can the settings of the night be followed, and does the mail server let us in? One line
each; writes nothing, tells nobody.

In: `[access]`, `[night]`, `[schedule]`, `[backup]`, `[retention]`, `[alerts]`, `[passwords]`,
`[serve]`, `[calls]`, and who may read the state folder. Out: printed lines and an exit code (0 all,
3 some cannot).

Alone: `python -m operations check`; `make check` looks at sources and targets too.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from common import access, paths, settings
from common.runs import business_date
from common.words import Words
from ingestion.configured import Archive
from ingestion.tolerance import Tolerance
from operations import backup, channels, parts, preflight, retention, routes, schedule
from operations.configured import Backup, Build, Called
from operations.night import Limits, NightRefusedError
from reverse_etl.passwords import PasswordRecipientError, Passwords, Sealing
from reverse_etl.serve import settings as serving


class CheckError(Exception):
    """What cannot be as it is; the message says what to do."""


def check(say: Callable[[str], object] = print) -> int:
    """Look at each; the exit code."""
    code = 0
    for name, look in {
        "access": access.check,
        "settings": _tables,
        "folders": _folders,
        "night": _night,
        "schedule": _schedule,
        "parts": _parts,
        "backup": _backup,
        "retention": _retention,
        "passwords": _passwords,
        "alerts": _alerts,
        "serve": _serve,
    }.items():
        try:
            say(f"{name}: {look()}")
        except (
            settings.SettingsError,
            NightRefusedError,
            CheckError,
            paths.NotOursError,
            PasswordRecipientError,
        ) as error:
            wrong = getattr(error, "wrong", (str(error),))
            say(f"{name}: not usable: " + ("\n  ".join(("", *wrong)) if wrong[1:] else wrong[0]))
            code = 3
    return code


def _tables() -> str:
    wrong = settings.strangers()
    for model, table in (
        (Words, "words"),
        (Tolerance, "trust"),
        (Archive, "archive"),
        (Build, "build"),
        (serving.Serve, "serve"),
        (Called, "calls"),
    ):
        wrong += settings.read_what_can_be(model, table)[1]
    if wrong:
        raise settings.SettingsError(*wrong)
    return "every table is one that is read"


def _folders() -> str:
    if missing := preflight.folders_missing():
        raise settings.SettingsError(*missing)
    return "every folder of this machine that sources and targets name is there"


def _night() -> str:
    limits = Limits.given()
    again = (
        f"once more after {limits.retry_after / 60:g} min where waiting may help"
        if limits.retry_after is not None
        else "never lived twice"
    )
    return f"at most {limits.night / 60:g} min, {again}"


def _schedule() -> str:
    runs = ", ".join(f"{entry.name} {' and '.join(entry.times)}" for entry in schedule.entries())
    today = schedule.closed(business_date("nightly", None))
    return f"{runs}, {settings.zone().key}" + (f"; {today}" if today else "")


def _parts() -> str:
    return "; ".join(f"{one.name} {one.when}" for one in parts.parts()) or "none, nights only"


def _backup() -> str:
    folder = backup.folder()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise CheckError(f"[backup] folder: {there} cannot be written to by this user")
    asked = settings.read(Backup, "backup")
    if not asked.nightly:
        return f"no night makes one ([backup] nightly = false); by hand they go to {folder}"
    return f"every night, to {folder}; {asked.keep} are kept"


def _retention() -> str:
    given = [
        f"{name} {number} days" for name, number in retention.days().items() if number is not None
    ]
    return ", ".join(given) + ("; the rest for ever" if given else "everything is kept for ever")


def _passwords() -> str:
    recipient = settings.read(Sealing, "passwords").recipient
    Passwords(recipient, None, "check", "check").close()
    return (
        "first ones are sealed to the district's key"
        if recipient
        else "first ones are kept nowhere: [passwords] recipient is empty"
    )


def _alerts() -> str:
    given = routes.read()
    if given.wrong:
        raise settings.SettingsError(*given.wrong)
    if not given.routes:
        return "nobody is told: no [alerts.routes.<name>] in .dlt/config.toml"
    told = f"routes {', '.join(route.name for route in given.routes)}"
    if any(route.email for route in given.routes):
        try:
            with channels.post_office() as server:
                server.noop()
        except Exception as error:  # its text may quote what was sent
            raise CheckError(
                f"the mail server does not let us in ({type(error).__name__}); check [alerts.smtp]"
                " and its password"
            ) from None
        told += "; the mail server lets us in"
    return f'{told}; "make alert TEST=1" sends each a message'


def _serve() -> str:
    hooks = settings.read(serving.Serve, "serve").webhooks
    for name, hook in hooks.items():
        hook.usable(name)
    told = f"; {', '.join(sorted(hooks))} told what happened" if hooks else ""
    if not settings.is_on("serve", "oneroster"):
        return f"nobody reads from here: no [serve.oneroster] in .dlt/config.toml{told}"
    said = serving.read()
    if missing := [
        name
        for name in (said.certificate, said.key_file)
        if name and not (paths.home() / name).is_file()
    ]:
        raise CheckError(f"[serve.oneroster] {missing[0]} is not there")
    return f"{', '.join(sorted(said.clients))} may read at {said.host}:{said.port}{told}"
