"""Which targets the district has, and the adapter of each.

In: the tables [targets.<name>] of the settings. Out: adapters, made without calling anybody. A
target nobody configured, or of a kind nobody wrote, is said in a sentence; the others go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common import settings
from reverse_etl.model import Adapter


class TargetSettingsError(Exception):
    """A target that cannot be used as it is configured; the message says what to write where."""


def names() -> tuple[str, ...]:
    """Every configured target, by name."""
    return tuple(
        sorted(
            name
            for name, table in settings.section("targets").items()
            if isinstance(table, Mapping)
        )
    )


def kind(name: str) -> Any:
    """The adapter class of a target. Raises TargetSettingsError when it is not configured or its
    kind is unknown.
    """
    from reverse_etl.targets import (
        ADAPTERS,
    )  # the API clients take a second to import; `show` does without

    table = settings.section("targets", name)
    if not table:
        raise TargetSettingsError(
            f"target {name} is not configured: write [targets.{name}] with its kind"
            f" ({', '.join(ADAPTERS)}) in .dlt/config.toml"
        )
    if table.get("kind") not in ADAPTERS:
        raise TargetSettingsError(
            f"[targets.{name}] kind is {table.get('kind')!r}; it must be one of"
            f" {', '.join(ADAPTERS)}"
        )
    return ADAPTERS[table["kind"]]


def adapter(name: str, run_id: str) -> Adapter:
    """The adapter of a target, ready to be used in this run."""
    return kind(name)(name, {**settings.section("targets", name), "run_id": run_id})


def is_file_target(adapter_class: Any) -> bool:
    """Whether a target takes whole files: it has no entities of its own."""
    return not adapter_class.entities
