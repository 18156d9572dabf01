"""Upgrade plan: what another version of the product would mean for a district, before anything of
it is in force.

In: the district's folder, the product as it is and as it would be (a folder, or a tag of this
repository), the warehouse, ledger and last observation as they are now. Out: what the district has
in the product's place that no longer fits or whose original is another one; and, target by target,
the changes the other version would plan on the same records and the same observation. Both are
built and planned in copies under `var/upgrade`; no target is asked or told anything.

Alone: `python -m operations upgrade-plan --to v0.2.0`.
"""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml
from rich.console import Console

from common import district, findings, paths
from common.runs import Run
from operations import rehearse

CHANGE = ("target", "entity", "action", "key", "old", "new", "hold")
ARGUMENTS = re.compile(r"\{%-?\s*macro\s+(\w+)\s*\(([^)]*)\)")


class NotUpgradableError(Exception):
    """It cannot be said what the other version would do; the message says why."""


@dataclass(frozen=True)
class Fit:
    """One choice of the district beside the other version."""

    choice: district.Choice
    sentence: str
    fits: bool
    """False: it must be mended before the other version is used."""


def plan(to: str, console: Console) -> int:
    """Print what the version `to` would mean; 0 nothing, 2 a person should look, 3 it would not
    build. Raises NotUpgradableError.
    """
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    folder = paths.district()
    if folder is None:
        raise NotUpgradableError(
            "an update is planned for a district's own folder: DISTRICT=../sd74; make"
            " init-district DISTRICT=../sd74 begins one"
        )
    scratch = paths.var() / "upgrade"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, mode=0o700)
    product = _product(to, scratch)
    found = fits(folder, paths.root(), product)
    for one in found:
        mark = "changed beneath" if one.fits else "no longer fits"
        say(f"{mark}: {one.choice.words}: {one.sentence}")
    if not found:
        say(f"every choice of {folder.name} fits as it is")
    if any(not one.fits for one in found):
        say(
            f"mend these in {folder.name} (on a branch), and ask again; what would be planned is"
            " looked at as far as it can be built"
        )
    if _needs(product) != _needs(paths.root()) and not (product / ".venv").is_dir():
        say(
            "its requirements.txt is another, and what is installed here is used all the same; in a"
            " folder of its own it brings its own: git clone, make setup, TO=../homeroom-next"
        )
    run = Run.latest()
    kept = rehearse.documents()
    if run is None or "observed.json" not in kept or not paths.warehouse().is_file():
        say("nothing has been built and observed here yet, so there is no plan to compare with")
        return 2 if found else 0
    now, broken_now = _planned(paths.root(), scratch / "now", run, kept)
    then, broken = _planned(product, scratch / "then", run, kept)
    news = [sentence for sentence in broken if sentence not in broken_now]
    for sentence in news:
        say(f"would fail: {sentence}")
    differ = _print(now, then, say)
    say(f"nothing was written but {scratch}")
    return 3 if news else 2 if found or differ else 0


def _product(to: str, scratch: Path) -> Path:
    """The folder of the other version: one that is there, or a tag or commit of this repository."""
    there = (paths.root() / Path(to).expanduser()).resolve()
    if to and (there / "dbt_project.yml").is_file():
        return there
    product = scratch / "product"
    safe = ("git", "-c", f"safe.directory={paths.root()}", "-C", str(paths.root()))
    packed = subprocess.run(
        [*safe, "archive", "--format=tar", "--end-of-options", to], capture_output=True, check=False
    )
    if not to or packed.returncode:
        raise NotUpgradableError(
            f"TO={to}: neither a folder with Homeroom in it nor a tag or commit of"
            f" {paths.root()}; fetch it first: git fetch --tags"
        )
    product.mkdir()
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(product, filter="data")
    return product


def _needs(product: Path) -> bytes:
    file = product / "requirements.txt"
    return file.read_bytes() if file.is_file() else b""


# ---------------------------------------------------------------- what fits


def fits(folder: Path, now: Path, then: Path) -> list[Fit]:
    """Every choice that another version touches: whose original is gone, new, or another one."""
    found: list[Fit] = []
    for choice in district.choices(folder, now):
        kind = "seed" if choice.kind == "rows" else choice.kind
        before, after = (district.named(one, kind).get(choice.name) for one in (now, then))
        mine = folder / choice.file
        if before is None and after is None:
            continue
        if after is None:
            what = "adds rows to a seed" if choice.kind == "rows" else "takes the place of one"
            sentence = f"{choice.file} {what} that Homeroom has no longer; is it still needed?"
            found.append(Fit(choice, sentence, fits=False))
            continue
        wrong = _wrong(choice.kind, mine, after)
        described = [_described(one, choice.name) for one in (folder, now, then)]
        if kind in ("model", "seed"):
            wrong += _undescribed(*described)
        if before is None:
            wrong.append(
                "Homeroom brings one of its own, and the district's would take its place: drop"
                " it, or rename it"
            )
        if wrong:
            found.append(Fit(choice, f"{choice.file}: {'; '.join(wrong)}", fits=False))
        elif before is not None and choice.kind != "rows" and _other(before, after, described):
            sentence = f"look whether {choice.file} should follow: diff {before} {after}"
            found.append(Fit(choice, sentence, fits=True))
    return found


def _other(before: Path, after: Path, described: list[dict]) -> bool:
    same = before.read_bytes() == after.read_bytes()
    return not same or described[1] != described[2]


def _wrong(kind: str, mine: Path, after: Path) -> list[str]:
    """What of the district's file the other version cannot take."""
    if kind in ("seed", "rows"):
        given, wanted = _heading(mine), _heading(after)
        return _columns(given, wanted) or (
            ["its headings stand in another order"] if kind == "rows" and given != wanted else []
        )
    if kind == "macro":
        given, wanted = (dict(ARGUMENTS.findall(one.read_text("utf-8"))) for one in (mine, after))
        return [
            f"{name} is now called with ({wanted[name]}), and this one takes ({given[name]})"
            for name in given
            if name in wanted and _plain(given[name]) != _plain(wanted[name])
        ]
    return []


def _plain(arguments: str) -> list[str]:
    return [one.partition("=")[0].strip() for one in arguments.split(",")]


def _heading(file: Path) -> list[str]:
    with file.open(encoding="utf-8-sig", newline="") as rows:
        return next(csv.reader(rows), [])


def _columns(given: list[str], wanted: list[str]) -> list[str]:
    missing = [one for one in wanted if one not in given]
    gone = [one for one in given if one not in wanted]
    return [
        *([f"Homeroom's now has {', '.join(missing)}, and this one has not"] if missing else []),
        *([f"it has {', '.join(gone)}, which Homeroom's has no longer"] if gone else []),
    ]


def _undescribed(mine: dict, now: dict, then: dict) -> list[str]:
    """Columns that come or go with the other version, and that a description of the district's own
    has not or still has.
    """
    if not mine:
        return []
    given, before, after = (
        [column["name"] for column in one.get("columns") or ()] for one in (mine, now, then)
    )
    come = [one for one in after if one not in before and one not in given]
    went = [one for one in before if one not in after and one in given]
    return _columns(went, come)


def _described(folder: Path, name: str) -> dict:
    """What the YAML of a folder says of a model or a seed; {} for nothing."""
    for room in ("models", "seeds"):
        for file in sorted((folder / room).rglob("*.yml")):
            text = file.read_text(encoding="utf-8")
            if name not in text:
                continue
            document = yaml.load(text, Loader=yaml.CSafeLoader) or {}
            for entry in document.get(room) or ():
                if entry.get("name") == name:
                    return entry
    return {}


# ---------------------------------------------------------------- what it would do


def _planned(
    product: Path, scratch: Path, run: Run, kept: Mapping[str, Path]
) -> tuple[Counter, list[str]]:
    """The changes a product plans in a copy of the state, and what failed on the way."""
    rehearse.copied(scratch, "upgrade-plan")
    then = rehearse.opened(scratch, run.as_of, dict(kept))
    environment = {
        "HOMEROOM_VAR": str(scratch),
        "HOMEROOM_RUN": then.run_id,
        "HOMEROOM_AS_OF": run.as_of.isoformat(),
    }
    failed: list[str] = []
    for words in (("operations", "build", "--full"), ("reverse_etl", "plan")):
        code, _, said = _run(product, environment, words)
        if code not in (0, 2, 3):
            last = said.strip().splitlines() or ["no message"]
            failed.append(f"{' '.join(words)}: {last[-1]}")
            return Counter(), failed
    failed += [one["message"] for one in findings.read(then) if one["level"] == "critical"]
    _, text, _ = _run(product, environment, ("reverse_etl", "show", "--format", "csv", "--names"))
    csv.field_size_limit(1 << 30)
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return Counter(tuple(row.get(name, "") for name in CHANGE) for row in rows), failed


def _run(product: Path, environment: Mapping[str, str], words: tuple[str, ...]):
    own = product / ".venv" / "bin" / "python"
    python = str(own) if own.is_file() else sys.executable
    ended = subprocess.run(
        [python, "-m", *words],
        cwd=product,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


def _print(now: Counter, then: Counter, say: Callable[..., None]) -> bool:
    """Target by target, what the other version plans besides and what it plans no longer."""
    besides, no_longer = then - now, now - then
    for target in sorted({one[0] for one in (*besides, *no_longer)}):
        say(target, style="bold")
        for sign, changes in (("+", besides), ("-", no_longer)):
            counted = Counter(
                (entity, action, bool(hold))
                for where, entity, action, *_, hold in changes.elements()
                if where == target
            )
            for (entity, action, held), count in sorted(counted.items()):
                waits = " (would be held)" if held else ""
                say(f"  {sign} {count:,} {entity}: {action}{waits}")
    if not besides and not no_longer:
        say("in no target would anything be another than it is planned now")
    else:
        say(
            '(+ planned by the other version alone, - no longer planned; change by change: "make'
            ' show" with HOMEROOM_VAR of the copy)'
        )
    return bool(besides or no_longer)
