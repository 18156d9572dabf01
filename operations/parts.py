"""Parts: runs that are not nights. Each `[[schedules]]` of the settings is a part of the whole:
some feeds, some targets, every few minutes, at given times, when a file arrives, or when somebody
asks.

In: `[[schedules]]`. Out: a run with the same trust, plan, limits, journal and audit as a night's,
which reads these feeds, builds what these targets rest on, and writes to them alone. Parts that
share no target run side by side (`common/turns.py`). What is told of them is a series: a line per
run in `var/series/<part>.jsonl`; a run that wrote nothing leaves no more than that once it is old.

Alone: `python -m operations run stock`, `python -m operations watch`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from common import paths, settings
from common.runs import PART, Run
from operations import schedule, series
from operations.configured import Called, CalledPart, Part
from operations.night import Step, nightly
from reverse_etl import observe


class PartError(settings.SettingsError):
    """A part that cannot be followed; the message says which and what it should look like."""


def parts() -> list[Part]:
    """Every part whose targets are not all off, in the order of the settings. Raises
    SettingsError.
    """
    every = settings.read_each(Part, "schedules")
    wrong = [sentence for one in every for sentence in _wrong(one)]
    names = [one.name for one in every]
    wrong += [
        f"[[schedules]] {name}: two have that name"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    if wrong:
        raise PartError(*wrong)
    return [one for one in every if served(one)]


def served(part: Part) -> tuple[str, ...]:
    """Those of its targets that are on."""
    return tuple(one for one in part.targets if settings.is_on("targets", one))


def _wrong(part: Part) -> Iterator[str]:
    where = f"[[schedules]] {part.name}"
    taken = {"nightly", "watch", *settings.section("schedule").get("intraday", {})}
    if part.name in taken:
        yield f"{where}: name is taken by another kind of run; give it another"
    known = sorted(settings.section("targets"))
    for one in part.targets:
        if one not in known:
            yield (
                f"{where}: targets has {one!r}, which is no target; {settings.nearest(one, known)}"
            )
    sources = sorted(settings.section("sources"))
    for feed in part.feeds:
        source = feed.partition(".")[0]
        if source not in sources:
            yield (
                f"{where}: feeds has {feed!r}, and there is no source {source};"
                f" {settings.nearest(source, sources)}"
            )
    if part.on_call:
        called = settings.read(Called, "calls")
        if not called.port:
            yield f"{where}: on_call, and nothing listens; say [calls] port = 8790"
        if part.name not in called.parts or not called.parts[part.name].secret:
            yield (
                f"{where}: on_call, and [calls.parts.{part.name}] secret is not set; put it into"
                " .dlt/secrets.toml (echo whsec_$(openssl rand -base64 32))"
            )
        yield from settings.in_sight(CalledPart, "calls", "parts", part.name)
    if part.on_arrival and not _folders(part):
        yield (
            f"{where}: on_arrival waits for files, and none of its feeds comes from a folder of"
            ' this machine; say every = "5 minutes"'
        )


def of(name: str) -> Part:
    """The part of that name. Raises PartError."""
    every = parts()
    found = next((one for one in every if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in every) or "none"
        raise PartError(f"there is no [[schedules]] with name = {name!r}; there are {known}")
    return found


def run(name: str, allow: str = "", why: str = "") -> int:
    """One run of a part; the exit code, as of a night. Raises PartError, NightRunningError where
    the part is under way or somebody else writes to one of its targets, NightRefusedError.
    """
    part = of(name)
    try:
        return nightly(
            allow, why, verb=PART, steps=steps(part), part=part.name, targets=served(part)
        )
    finally:
        series.forget(part.name)


def steps(part: Part) -> tuple[Step, ...]:
    """The steps of a run of a part."""
    scope = tuple(word for target in served(part) for word in ("--target", target))
    models = " ".join(schedule.NEEDED.format(target) for target in served(part))
    feeds = tuple(word for feed in part.feeds for word in ("--feed", feed))
    # a rule may stand on what a target holds, so that is read before the build, as in a night
    looks = observe.api_targets(served(part))
    observing: tuple[Step, ...] = (("observe", ("reverse_etl", "observe", *scope), ()),)
    return (
        ("ingest", ("ingestion", *feeds), ()),
        *(observing if looks else ()),
        ("build", ("operations", "build", "--select", models), ()),
        ("plan", ("reverse_etl", "plan", *scope), ("build",)),
        ("push", ("reverse_etl", "push", *scope), ("build", "plan")),
        ("verify", ("reverse_etl", "verify", *scope), ("build", "plan")),
        ("report", ("operations", "report"), ()),
        ("alert", ("operations", "alert"), ()),
    )


# ---------------------------------------------------------------- when one is due


def due(part: Part, now: datetime, begun: datetime | None) -> bool:
    """Whether a run of it is to begin by time: `every` so long after the last one began, or one of
    the local times `at` has come since. A file that arrives is `arrived`.
    """
    if part.seconds and (begun is None or now - begun >= timedelta(seconds=part.seconds)):
        return True
    here = now.astimezone(settings.zone())
    for time in part.at:
        hour, minute = map(int, time.split(":"))
        moment = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
        # one that was missed is of no use an hour later
        if moment <= here < moment + timedelta(hours=1) and (begun is None or begun < moment):
            return True
    return False


def last_begun(name: str) -> datetime | None:
    """When the newest run of a part began."""
    newest = Run.latest_night(name)
    return newest.started_at if newest else None


def arrived(part: Part) -> tuple[tuple[str, int, int], ...]:
    """What lies in the folders of its feeds: name, size and time of each file that is whole."""
    if not part.on_arrival:
        return ()
    return tuple(
        sorted(
            (str(path), facts.st_size, facts.st_mtime_ns)
            for folder in _folders(part)
            if folder.is_dir()
            for path in folder.iterdir()
            if path.is_file() and path.suffix != ".part"
            for facts in [path.stat()]
        )
    )


def _folders(part: Part) -> list[Path]:
    """The folders of this machine its feeds come from."""
    sources = settings.section("sources")
    asked = {feed.partition(".")[0] for feed in part.feeds} or sources.keys()
    places = [
        str(sources[name].get("location") or "")
        for name in sorted(asked)
        if isinstance(sources.get(name), Mapping) and sources[name].get("kind") == "files"
    ]
    return [paths.home() / place for place in places if place and "://" not in place]
