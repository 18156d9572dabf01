"""Which targets there are, and the adapter of each.

In: the tables [targets.<name>] of the settings, the YAML of the exports. Out: adapters, made
without calling anybody, and the exports of the targets the district has. A target that is off
(no table, or `enabled = false`) is no fault: its exports are nobody's. One of a kind nobody wrote
is said in a sentence; the others go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field

from common import settings
from common.runs import Run
from common.settings import Section, Some, Text
from reverse_etl import exports
from reverse_etl.limits import LimitError
from reverse_etl.model import Adapter, Export


def _share(given: str | float) -> float:
    """A share as it is written: 0.995 or "99.5%"."""
    try:
        share = float(str(given).removesuffix("%")) / (100 if str(given).endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError('write a share like "99.5%"')
    return share


class TargetSettingsError(settings.SettingsError):
    """A target that cannot be used as it is configured; the message says what to write where."""


class TargetSettings(Section):
    """[targets.<name>]: what every target may say. A kind that wants more declares a subclass of it
    beside its adapter, as `Settings` of the adapter's class.
    """

    kind: Text = ""
    """Which adapter writes it."""
    enabled: bool = True
    """Whether it is a target of the district: false, and nothing of it is read, built or written;
    what is known of it stays."""
    converged: Annotated[Text | float, AfterValidator(_share)] = 1.0
    """The share of rows that has to be as it should for the target to be green, like "99.5%"."""


PerMinute = Annotated[float, Field(gt=0)]


class ApiSettings(TargetSettings):
    """What a target with an API may say besides."""

    writes_per_minute: PerMinute = 600
    """Its quota."""
    threads: Some = 8
    """Calls under way at once."""
    timeout: PerMinute = 60
    """Seconds without an answer that are no answer."""
    read_only: bool = False
    """Whether it is read and planned and never written, with permissions that allow no more."""


class AccountSettings(ApiSettings):
    """What a platform where subjects sign in may say besides."""

    end_sessions: bool = True
    """Whether the sessions of an account that is closed are ended; it wants a permission of its
    own."""


T = TypeVar("T", bound=TargetSettings)


def settings_of(model: type[T], name: str, written: Mapping[str, Any]) -> T:
    """`[targets.<name>]` as its kind declares it; `run_id` is ours, not the district's. Raises
    TargetSettingsError with all that is wrong.
    """
    given = {key: value for key, value in written.items() if key != "run_id"}
    return settings.parse(model, given, ("targets", name), error=TargetSettingsError)


def level(name: str) -> float:
    """The share of rows that has to be as it should for a target to be green."""
    written, own = settings.section("targets", name), TargetSettings.model_fields
    return settings_of(
        TargetSettings, name, {key: written[key] for key in own if key in written}
    ).converged


def names() -> tuple[str, ...]:
    """Every configured target, by name."""
    return tuple(
        sorted(
            name
            for name, table in settings.section("targets").items()
            if isinstance(table, Mapping) and settings.is_on("targets", name)
        )
    )


def off() -> tuple[str, ...]:
    """The targets the project has exports of and the district has not, by name."""
    return tuple(name for name in exports.targets() if not settings.is_on("targets", name))


def exports_of(run: Run) -> exports.Exports:
    """The exports of a run's build that are for targets of this district. Raises
    ExportsMissingError.
    """
    return of_district(exports.load(run))


def read_only(name: str) -> bool:
    """Whether a target is planned and never pushed."""
    return settings.asks_for("read_only", "targets", name)


def parts_off() -> tuple[str, ...]:
    """What of its targets the district has not asked for, as `target.part`."""
    return tuple(
        f"{target}.{part}"
        for target, part in exports.opt_ins()
        if not settings.is_on("targets", target) or not settings.asks_for(part, "targets", target)
    )


def of_district(found: exports.Exports) -> exports.Exports:
    """Those of some exports that are for targets of this district. A row waits for no object of a
    target it has not; files are in the form the target is sent.
    """

    def ours(export: Export) -> Export:
        after = {
            c: there for c, there in export.after.items() if settings.is_on("targets", there[0])
        }
        follows = tuple(one for one in export.follows if settings.is_on("targets", one.target))
        file = export.file
        if file and file.delta and settings.asks_for("delta", "targets", export.target):
            file = file.delta
        return replace(export, after=after, follows=follows, file=file)

    def is_on(one: Export | exports.RefusalError) -> bool:
        # what says no target cannot be told from what is ours
        opt_in = getattr(one, "opt_in", "")
        on = not one.target or settings.is_on("targets", one.target)
        return on and (not opt_in or settings.asks_for(opt_in, "targets", one.target))

    return exports.Exports(
        tuple(ours(one) for one in found.good if is_on(one)),
        tuple((ours(one), why) for one, why in found.refused if is_on(one)),
        tuple(one for one in found.unreadable if is_on(one)),
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
    said = table.get("kind") or _of_exports(name)
    if said not in ADAPTERS:
        raise TargetSettingsError(
            f"[targets.{name}] kind is {said!r}; it must be one of {', '.join(ADAPTERS)}"
        )
    return ADAPTERS[said]


def _of_exports(name: str) -> str | None:
    """The kind that needs no line of settings: who takes nothing but files is of kind `files`."""
    try:
        declared = exports.declared(name).values()
    except (exports.ExportError, LimitError):
        return None
    return "files" if declared and all(export.file for export in declared) else None


def adapter(name: str, run_id: str) -> Adapter:
    """The adapter of a target, ready to be used in this run. Raises TargetSettingsError with all
    that is wrong in its table, or with the export of it that cannot be followed.
    """
    made_by, written = kind(name), settings.section("targets", name)
    settings_of(made_by.Settings, name, written)
    if seen := list(settings.in_sight(made_by.Settings, "targets", name)):
        raise TargetSettingsError(*seen)
    try:
        declared = exports.declared(name)
    except (exports.ExportError, LimitError) as error:
        raise TargetSettingsError(str(error)) from None
    return made_by(name, {**written, "run_id": run_id}, declared)


def takes_files(adapter: Any) -> bool:
    """Whether a target, or a kind of target, takes whole files instead of objects."""
    return hasattr(adapter, "render")
