"""Room: is there what a night needs, before it begins: space on the disk, a warehouse and a ledger
that can be read?

In: the state folder, `[night] free_megabytes`. Out: findings, and 0 to go on, 1 to try again later,
2 for a person to act. What Homeroom does by itself: it removes its own left-overs when space is
short, and moves a warehouse nobody can read aside, which the night then builds again. A ledger that
is gone or damaged is never begun anew: a person restores it.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from common import disk_reserve, documents, paths, problems, settings, store
from common.findings import Finding
from common.log import event
from ingestion import fetch
from operations.configured import Night
from reverse_etl import configured

# Left by something that was killed, or made again whenever it is asked for.
LEFT_OVERS = ("tmp", "published/.next", "replay", "preview", "inbox/.fetched")


def ready() -> tuple[list[Finding], int]:
    """What is to be known before a run goes on, and whether it may."""
    found: list[Finding] = []
    lacking = shortage()
    if lacking:
        freed = make()
        if freed:
            found.append(Finding("space_made", {**lacking, "freed": round(freed / 1e6)}))
        lacking = shortage()
    if lacking:
        return [*found, Finding("disk_full", lacking)], 2
    disk_reserve.lay()
    try:
        store.whole_copy(read=True)
    except store.StoreError as error:
        found.append(_not_published(str(error)))
    except PermissionError:
        found.append(_not_published(paths.whose(paths.published())))
    try:
        store.look()
        with store.connect():
            pass
    except store.StoreDamagedError as error:
        if error.path == paths.ledger():
            return [*found, _unusable("ledger_damaged", error)], 2
        aside = _aside(error.path)
        event("warehouse_put_aside", as_=aside)
        found.append(Finding("warehouse_damaged", {"path": str(aside)}))
    except store.StoreBusyError as error:
        return [*found, _unusable("warehouse_locked", error)], 1
    except store.StoreError as error:
        return [
            *found,
            _unusable("ledger_gone" if not paths.ledger().is_file() else "store_refused", error),
        ], 2
    return found, 0


def folders_missing() -> list[str]:
    """A sentence for each folder of this machine that sources and targets name and that is not
    there. Settings nobody can follow are left to the steps, which say so.
    """
    asked = [
        (f"[sources.{name}] location", str(said.get("location", "")), fetch.local_folder)
        for name, said in settings.section("sources").items()
        if isinstance(said, dict) and settings.says_on(said) and said.get("kind") == "files"
    ]
    asked += [
        (f"[targets.{name}] folder", str(said.get("folder", "")), Path)
        for name in configured.names()
        if (said := settings.section("targets", name)).get("via") == "folder"
    ]
    return [
        f"{setting}: {place(written)} does not exist"
        for setting, written, place in asked
        if written and "://" not in written and not place(written).is_dir()
    ]


def shortage() -> problems.Values:
    """How much is free and how much is needed where that is too little, else nothing. A night needs
    the size of its databases again, and something over.
    """
    least = settings.read(Night, "night").free_megabytes * 1_000_000
    files = (paths.warehouse(), paths.ledger(), paths.published())
    needed = least + sum(file.stat().st_size for file in files if file.is_file())
    free = shutil.disk_usage(paths.var()).free
    if free >= needed:
        return {}
    return {"var": str(paths.var()), "free": round(free / 1e6), "needed": round(needed / 1e6)}


def is_full() -> bool:
    """Whether next to nothing is free: less than the ballast itself."""
    return shutil.disk_usage(paths.var()).free < disk_reserve.MEGABYTES << 20


def make() -> int:
    """Remove what is ours and not needed; returns how many bytes that was."""
    freed = size(disk_reserve.path()) if disk_reserve.path().is_file() else 0
    disk_reserve.drop()
    for name in LEFT_OVERS:
        folder = paths.var() / name
        if folder.is_dir():
            freed += size(folder)
            shutil.rmtree(folder, ignore_errors=True)
    return freed


def size(path: Path) -> int:
    """Bytes of a file or of everything in a folder; links are not followed."""
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum(
        file.lstat().st_size for file in path.rglob("*") if file.is_symlink() or file.is_file()
    )


def _aside(path: Path) -> Path:
    folder = paths.var() / "replaced" / f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    folder.mkdir(parents=True, mode=0o700)
    for file in (path, path.with_suffix(".duckdb.wal")):
        if documents.exists(file):
            file.replace(folder / file.name)
    return folder / path.name


def _not_published(why: str) -> Finding:
    """A published copy nobody can read makes room for the next one."""
    if paths.published().is_dir():
        shutil.rmtree(paths.published())
    else:
        paths.published().unlink()
    return Finding("published_damaged", {"why": why})


def _unusable(code: str, error: store.StoreError) -> Finding:
    return Finding(code, {"why": str(error)})
