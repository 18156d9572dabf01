"""The sheet of first passwords: sealed files opened with the district's private key, for whoever
hands them out.

In: the files of `passwords` (a run's, or copies of them in a folder), the private key in a file of
`age-keygen`, sealed with a passphrase or not. Out: lines for the terminal, or one page of HTML with
a sheet per partition, written where the opener says. Nothing of it is logged, and nothing is
written under the state folder.

Refuses: no key, one that opens nothing, a sheet under the state folder or over another file.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pyrage
from jinja2 import Environment, FileSystemLoader, select_autoescape

from common import paths
from reverse_etl.passwords import FOLDER, NO_PARTITION, file_name

SEALED_KEY = ("age-encryption.org/", "-----BEGIN AGE ENCRYPTED FILE-----")


class SheetError(Exception):
    """No sheet can be made; the message says why and what to type."""


@dataclass(frozen=True)
class Slip:
    """One account and its first password."""

    partition: str
    target: str
    subject: str
    shown: Mapping[str, Any]
    password: str


@dataclass(frozen=True)
class Sheet:
    """What was opened; `damaged` lines could not be read, `other` ones are for another key."""

    slips: tuple[Slip, ...]
    damaged: int = 0
    other: int = 0

    @property
    def parts(self) -> Iterator[tuple[str, str, list[str], list[Slip]]]:
        """Per partition and target: the headings of what is shown, and the slips."""
        for (partition, target), slips in groupby(self.slips, lambda s: (s.partition, s.target)):
            these = list(slips)
            yield partition, target, list(these[0].shown), these

    @property
    def remarks(self) -> list[str]:
        """What is not on it."""
        said = []
        if self.other:
            said.append(f"{self.other:,} are sealed to another key and not on the sheet")
        if self.damaged:
            said.append(f"{self.damaged:,} lines are cut or damaged and not on the sheet")
        return said

    def of(self, targets: Sequence[str]) -> Sheet:
        """Of these targets alone; of all where none is named."""
        chosen = [one for one in self.slips if not targets or one.target in targets]
        return replace(self, slips=tuple(chosen))


def files(run_id: str = "", partition: str = "", folder: Path | None = None) -> list[Path]:
    """The sealed files of a run (the newest that has some), of one partition or all of them. Raises
    SheetError.
    """
    where = folder or paths.var() / FOLDER
    if where.is_file():
        return [where]
    of_run, of_one = run_id or "*", file_name(partition) if partition else "*"
    found = sorted(where.glob(f"{of_run}.{of_one}.jsonl"))
    if not found:
        of = f" of {partition}" * bool(partition) + f" of run {run_id}" * bool(run_id)
        raise SheetError(
            f"no sealed first passwords{of} under {where}: none were made, [passwords] recipient"
            " was empty then, or they are past their days"
        )
    newest = max(path.name.partition(".")[0] for path in found)
    return [path for path in found if folder or path.name.partition(".")[0] == newest]


def key(path: Path) -> pyrage.x25519.Identity:
    """The private key of a file. Raises SheetError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SheetError(f"{path} cannot be read ({type(error).__name__})") from None
    if content.startswith(tuple(one.encode() for one in SEALED_KEY)):
        try:
            content = pyrage.passphrase.decrypt(content, getpass.getpass(f"passphrase of {path}: "))
        except pyrage.DecryptError:
            raise SheetError(f"{path} does not open with this passphrase") from None
    for line in content.decode("ascii", "replace").splitlines():
        if line.startswith("AGE-SECRET-KEY-"):
            try:
                return pyrage.x25519.Identity.from_str(line.strip())
            except pyrage.IdentityError:
                break
    raise SheetError(
        f'{path} holds no private age key (a line "AGE-SECRET-KEY-1…", as "age-keygen" writes it)'
    )


def opened(found: Iterable[Path], identity: pyrage.x25519.Identity) -> Sheet:
    """What the key opens of these files. Of an account sealed twice the last one is in force; one
    that was not used is nobody's. Raises SheetError where it opens nothing.
    """
    slips: dict[tuple[str, str], Slip] = {}
    damaged = other = 0
    for path in found:
        for line in path.read_text("ascii", "replace").splitlines():
            try:
                said = json.loads(line)
                change = (said["target"], said["change_id"])
                if said.get("unused"):
                    slips.pop(change, None)
                    continue
                clear = json.loads(pyrage.decrypt(said["sealed"].encode("ascii"), [identity]))
                slips[change] = Slip(
                    clear["partition"],
                    said["target"],
                    said["subject"],
                    clear["shown"],
                    clear["password"],
                )
            except pyrage.DecryptError:
                other += 1
            except (ValueError, KeyError, TypeError, AttributeError):
                damaged += 1
    if other and not slips:
        raise SheetError(
            f"this key opens none of the {other:,} passwords: they were sealed to another one"
            " ([passwords] recipient, when they were made)"
        )
    ordered = sorted(
        slips.values(),
        key=lambda s: (s.partition, s.target, [str(v) for v in s.shown.values()], s.subject),
    )
    return Sheet(tuple(ordered), damaged, other)


def lines(sheet: Sheet) -> Iterator[str]:
    """The sheet for a terminal."""
    for partition, target, headings, slips in sheet.parts:
        rows = [[*map(_text, one.shown.values()), one.password] for one in slips]
        named = [name.replace("_", " ") for name in headings]
        table = [[*named, "first password"], *rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        yield f"{partition or NO_PARTITION}, {target}: {len(slips):,}"
        for row in table:
            yield "  " + "  ".join(map(str.ljust, row, widths)).rstrip()
    yield from sheet.remarks


def write(sheet: Sheet, to: Path, district: str) -> None:
    """The sheet as a page to print, which nobody else may read. Raises SheetError."""
    to = to.absolute()
    if paths.var() in to.resolve().parents:
        raise SheetError(
            f"{to} is under the state folder, where no password stands in the clear: say a place"
            " of your own, and delete the sheet once it is printed"
        )
    try:
        out = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SheetError(f"{to} is there already; say another name") from None
    except OSError as error:
        raise SheetError(f"{to} cannot be written ({type(error).__name__})") from None
    with os.fdopen(out, "w", encoding="utf-8") as page:
        made = Environment(
            loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape()
        )
        page.write(
            made.get_template("first_sheet.html").render(sheet=sheet, district=district or "")
        )


def _text(value: Any) -> str:
    return "" if value is None else str(value)
