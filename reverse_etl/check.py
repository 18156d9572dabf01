"""Does every target let us in? One line each: what works, what does not and what to do.

In: the configured targets. Out: printed lines and an exit code (0 all, 3 some did not, or this
machine's clock is off by theirs). Signs in and makes one cheap read; for file targets, connects and
lists the folder. Writes nothing anywhere,
and no secret is ever printed: the sentences are those the adapters raise themselves.

Alone: `python -m reverse_etl check [--target T]`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from common.problems import action, sentence
from common.sftp import SftpError
from reverse_etl import configured
from reverse_etl.model import Adapter


def check(
    targets: Sequence[str], adapter: Callable[[str], Adapter], say: Callable[[str], object] = print
) -> int:
    """Look at each target; the exit code."""
    good = [_look(name, adapter, say) for name in targets or configured.names()]
    if not targets and (off := configured.off()):
        say(f"off: {', '.join(off)}; nothing of them is read or written (docs/targets/README.md)")
    if not good:
        say("no target is configured: write [targets.<name>] in .dlt/config.toml")
    return 0 if all(good) else 3


def _look(name: str, adapter: Callable[[str], Adapter], say: Callable[[str], object]) -> bool:
    from reverse_etl.targets.files import (
        TargetNotConfiguredError,
    )  # the API clients take a second to import
    from reverse_etl.targets.reading import TargetUnreadableError

    try:
        chosen = adapter(name)
        try:
            lacking = list(getattr(chosen, "lacking", list)())
            for one in lacking:
                say(f"{name}: not usable: {one}; {action(one.code, one.values)}")
            if lacking:
                return False
            say(f"{name}: {chosen.check_connection()}")
            if off := getattr(chosen, "clock_off", ""):
                found = {"target": name, "off": off}
                say(f"{sentence('clock_off', found)}; {action('clock_off', found)}")
                return False
        finally:
            chosen.close()
    except (
        configured.TargetSettingsError,
        TargetNotConfiguredError,
        TargetUnreadableError,
        SftpError,
    ) as error:
        say(f"{name}: not usable: {str(error).removeprefix(f'{name}: ')}")
        return False
    except (
        Exception
    ) as error:  # one target's surprise is not the others', and its text may quote a secret
        say(
            f"{name}: not usable: it failed in a way nobody expected ({type(error).__name__});"
            f" check [targets.{name}] and its credentials"
        )
        return False
    return True
