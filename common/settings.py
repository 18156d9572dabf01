"""Settings: `.dlt/config.toml`, overlaid by `.dlt/secrets.toml`, overlaid by the environment, as
dlt itself reads them.

`TARGETS__GOOGLE__ADDRESS=…` in the environment means `[targets.google] address`. Values from the
environment are read as TOML where they parse (`8`, `true`, `["a"]`) and as text where they do not.
"""

from __future__ import annotations

import os
import tomllib
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from common.paths import root

_MISSING: Any = object()


class SettingsError(Exception):
    """Settings that cannot be followed; the message says which, and what they should look like."""


class SettingMissing(SettingsError):
    """A setting nobody gave; the message says where it belongs."""


@cache
def _files() -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name in ("config.toml", "secrets.toml"):
        path = root() / ".dlt" / name
        if path.is_file():
            _merge(merged, _of_file(path))
    return merged


def _of_file(path: Path) -> dict[str, Any]:
    """What a file says. Its text never enters a sentence: it may be a secret, and so may the line
    that is wrong.
    """
    where = f".dlt/{path.name}"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f"{where} is no TOML: {error}; nothing was begun, mend that line"
        ) from None
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{where} is not UTF-8 (byte {error.start + 1:,}); nothing was begun, save it as UTF-8"
        ) from None
    except PermissionError:
        raise SettingsError(
            f"{where} may not be read by this user; nothing was begun, give it to the user the"
            " nights run as (mode 0600)"
        ) from None


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        elif isinstance(value, dict):
            into[key] = {}
            _merge(into[key], value)
        else:
            into[key] = value


def _parsed(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def everything() -> dict[str, Any]:
    """All settings as one nested dict, environment included."""
    merged: dict[str, Any] = {}
    _merge(merged, _files())
    for name, text in os.environ.items():
        parts = name.lower().split("__")
        if len(parts) > 1 and all(parts):
            _merge(merged, _nested(parts, _parsed(text)))
    return merged


def _nested(parts: list[str], value: Any) -> dict[str, Any]:
    for part in reversed(parts):
        value = {part: value}
    return value


def section(*names: str) -> dict[str, Any]:
    """One table of the settings, e.g. `section("targets", "google")`; empty when nobody
    wrote it.
    """
    here: Any = everything()
    for name in names:
        here = here.get(name, {}) if isinstance(here, dict) else {}
    return here if isinstance(here, dict) else {}


def get(path: str, default: Any = _MISSING) -> Any:
    """One value, e.g. `get("targets.google.address")`. Raises SettingMissing when absent and no
    default is given.
    """
    here: Any = everything()
    for name in path.split("."):
        if not isinstance(here, dict) or name not in here:
            if default is not _MISSING:
                return default
            table, _, key = path.rpartition(".")
            raise SettingMissing(
                f"setting {path} is missing: put {key} under [{table}] in .dlt/secrets.toml (or"
                " .dlt/config.toml if it is no secret), or set"
                f" {path.upper().replace('.', '__')} in the environment"
            )
        here = here[name]
    return here


def zone() -> ZoneInfo:
    """The district's time zone. Raises SettingsError for one nobody knows."""
    name = get("district.time_zone", "America/Vancouver")
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, TypeError, OSError):
        raise SettingsError(
            f"[district] time_zone is {name!r}, which is no time zone; write it as"
            " America/Vancouver"
        ) from None
