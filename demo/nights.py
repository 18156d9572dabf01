"""Nights of the synthetic district: its files for a day, the platforms as a child process, the
night as another.

In: the folder `var/demo/` (district.json says how many students, which seed, which day). Out: what
the night itself prints, and its exit code. The platforms save what they hold when the night is
over.

Refuses: to empty a `var/` that holds a warehouse, or anything else, no demo has made.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from common.paths import root, var
from demo.places import Places

SECONDS_TO_SAVE = 120
HARMLESS = (
    "demo",
    "docs",
    "inbox",
    "logs",
    "runs",
)  # what may stand in a var/ no demo has marked yet
KEPT = ("inbox",)  # files somebody put there by hand are never the demo's to remove


class RefusedError(Exception):
    """The demo will not do that; the text says why and what to do."""


@dataclass(frozen=True)
class District:
    """Which synthetic district stands in var/demo, and on which day."""

    students: int
    seed: int
    day: int
    lived_in: bool = False  # with a past, see `past`

    @staticmethod
    def marker() -> Path:
        return var() / "demo" / "district.json"

    @classmethod
    def there(cls) -> District:
        """The district of this var/. Refuses when no demo has been run in it."""
        if not cls.marker().is_file():
            raise RefusedError(
                f'no demo has been run in {var()} yet; start with "make demo" (python -m demo run'
                " --students 5000 --seed 1)"
            )
        return cls(**json.loads(cls.marker().read_text(encoding="utf-8")))

    def write(self) -> None:
        """This day's extracts and HR database, and the marker that says so."""
        from demo import extracts, hr

        places = Places.within(folder())
        places.extracts.mkdir(parents=True, exist_ok=True)
        extracts.write_day(
            places.extracts,
            students=self.students,
            seed=self.seed,
            day=self.day,
            spoilt=self.lived_in,
        )
        hr.write_day(places.hr, students=self.students, seed=self.seed, day=self.day)
        self.mark()

    def write_oneroster(self, version: str) -> Path:
        """This day as OneRoster files in a folder of their own; the extracts and the marker stay as
        they are.
        """
        from demo import oneroster

        oneroster.write_day(
            folder() / "oneroster",
            students=self.students,
            seed=self.seed,
            day=self.day,
            version=version,
        )
        return folder() / "oneroster"

    def mark(self) -> None:
        part = self.marker().with_suffix(".part")
        part.write_text(json.dumps(asdict(self)), encoding="utf-8")
        part.replace(self.marker())

    def tomorrow(self) -> District:
        return replace(self, day=self.day + 1)

    @property
    def words(self) -> str:
        from demo import district

        date = district.date_of(self.day)
        return f"{date:%A} {date.day} {date:%B %Y}, day {self.day}"


def folder() -> Path:
    """Everything the demo keeps beside what the nights themselves write."""
    path = var() / "demo"
    path.mkdir(parents=True, exist_ok=True)
    return path


def begin(students: int, seed: int, *, lived_in: bool = False) -> District:
    """Empty var/ and write day 0. Refuses when var/ is not the demo's to empty."""
    others = sorted(path.name for path in var().iterdir() if path.name not in HARMLESS)
    if others and not District.marker().is_file():
        named = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        raise RefusedError(
            f"{var()} holds {named} and was not made by the demo, which begins by emptying the"
            " folder: run the demo elsewhere (HOMEROOM_VAR=/tmp/homeroom-demo make demo), or move"
            " the folder away first"
        )
    for path in var().iterdir():
        if path.name in KEPT:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    district = District(students, seed, 0, lived_in)
    folder()
    district.mark()  # first of all, so that a demo that dies while writing can be started again
    district.write()
    return district


@contextmanager
def platforms() -> Iterator[dict[str, str]]:
    """The platforms in a process of their own, on the saved state; yields the environment their
    clients need, with HOMEROOM_DEMO, by which the verbs of make know that they run already.
    """
    places = Places.within(folder())
    command = [
        sys.executable,
        "-m",
        "demo",
        "serve",
        "--state",
        str(places.state),
        "--requests",
        str(places.requests),
    ]
    # its own session: Ctrl-C is for us, and the platforms stop, saving their state, when we close
    # their input
    with subprocess.Popen(
        command,
        cwd=root(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            line = child.stdout.readline() if child.stdout else ""
            if not line:
                raise RefusedError(
                    "the emulated platforms did not start; their message stands above"
                )
            yield os.environ | json.loads(line) | {"HOMEROOM_DEMO": "running"}
        finally:
            if child.stdin:
                child.stdin.close()
            try:
                child.wait(SECONDS_TO_SAVE)
            except subprocess.TimeoutExpired:
                child.terminate()


def night(district: District, environment: dict[str, str], *arguments: str) -> int:
    """One night as the scheduler would run it, on the date of the district's day; its exit code."""
    from demo.district import date_of

    settings = environment | {"HOMEROOM_AS_OF": date_of(district.day).isoformat()}
    settings.pop("HOMEROOM_RUN", None)  # every night is a run of its own
    command = [sys.executable, "-m", "operations", "nightly", *arguments]
    return subprocess.run(command, cwd=root(), env=settings, check=False).returncode
