"""A night's last act: whoever watches is told how it ended, whatever broke before.

In: the run's id, the exit code that stands, and which steps crashed. Out: the heartbeat; and where
the alerts themselves broke, or no run could even be begun, one short message to everyone who hears
of nights, made of nothing but the settings. It reads no document, opens no database, and nothing
that fails in it stops the rest or makes a night look better than it was.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence

from common.log import event
from common.runs import Run


def place_of(error: BaseException) -> str:
    """What broke and where in the code, without its text, which may quote a row or a secret."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({last[0].filename.rpartition('/')[2]}:{last[0].lineno})" if last else ""
    return f"{type(error).__name__}{where}"


def guarded(what: str, act: Callable[[], int]) -> int:
    """The code of an act; 1 and a line in the log when it crashes."""
    try:
        return act()
    except Exception as error:
        event("broke", what=what, error=place_of(error))
        return 1


def how_it_went(run: Run) -> tuple[str, bool]:
    """Its verb, and whether any step of it was lived: a night that could not begin has not ended
    well, whoever it waits for.
    """
    try:
        facts = run.facts()
        return facts["verb"], bool(facts["steps"])
    except Exception as error:
        event("broke", what="the run", error=place_of(error))
        return "nightly", False


def last_act(
    verb: str, run_id: str, code: int, broken: Sequence[str], *, lived: bool = False
) -> int:
    """Tell those the alerts could not, and let the heart beat; returns the code that stands then.
    `broken`: what crashed. A night of which something crashed has not ended well.
    """
    code = 1 if broken else code
    if "alert" in broken or "night" in broken:
        code = max(code, guarded("last words", lambda: _last_words(run_id, broken)))
    if verb != "nightly":
        return code
    told = guarded("heartbeat", lambda: _beat(code, failed=bool(broken) or not lived))
    return told if told == 1 or code == 0 else code


def _beat(code: int, *, failed: bool) -> int:
    from operations import channels

    lost = [one for one in channels.heartbeat(code, failed=failed) if one["status"] != "sent"]
    for one in lost:
        print(f"night: the heartbeat could not be told: {one['reason']}", file=sys.stderr)
    return 3 if lost else 0


def _last_words(run_id: str, broken: Sequence[str]) -> int:
    from operations import channels, routes

    about = f"of run {run_id} " if run_id else ""
    text = (
        f"{' and '.join(broken)} {about}broke, so this is all that can be said here. What was"
        ' done stays; the log of the night and "make status" say more.\n'
    )
    message = channels.Message("Homeroom: ERROR, the night broke", text, "critical", "last words")
    lost = 0
    for route in routes.read().routes:
        for channel, address in route.channels if route.hears_of_the_night else ():
            told = channels.deliver(
                channel, lambda to=address, by=channel: channels.CHANNELS[by](to, message)
            )
            lost += told["status"] != "sent"
    return 1 if lost else 0
