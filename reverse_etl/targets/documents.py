"""Documents: objects that are made once and never changed or deleted (`append_only`), and their
numbers without gaps.

In: an export, the value of its column of role `number`, what stands in the target. Out: the next
number of the series. A text column holds the pattern of its series, `INV-2027-{0000}`: zeros in
braces are where the number stands, and how wide it is at least; an empty one, and a whole number's,
is the series of plain numbers. A value that is neither is a number somebody else has given.

Refuses: an export that would change documents, or would write an amount as a float.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reverse_etl.configured import TargetSettingsError
from reverse_etl.model import NUMBER, Change, Column, Export, key_text
from reverse_etl.targets.exact import is_float

PATTERN = re.compile(r"([^{}]*)\{(0+)\}([^{}]*)")
WHOLE = ("tinyint", "smallint", "integer", "int", "bigint", "hugeint")
NEVER = "is a document: never changed, never deleted; reverse it and write a new one"


@dataclass(frozen=True)
class Series:
    """What the numbers of a series have in common."""

    before: str = ""
    width: int = 1
    after: str = ""
    whole: bool = False  # its numbers are numbers, not texts

    def text(self, number: int) -> str | int:
        """A number as it is written."""
        return number if self.whole else f"{self.before}{number:0{self.width}d}{self.after}"

    def number(self, text: object) -> int:
        """The number in what stands in the target; 0 of what is of another series."""
        said = str(text)
        inside = said.removeprefix(self.before).removesuffix(self.after)
        if not (inside.isascii() and inside.isdigit()) or str(self.text(int(inside))) != said:
            return 0
        return int(inside)

    def greatest(self, texts: Iterable[object]) -> int:
        """The greatest number there is; 0 where the series begins."""
        return max(map(self.number, texts), default=0)


def series_of(column: Column, value: Any) -> Series | None:
    """The series a row's column says; None where it says the number itself. Raises KeyError with
    a reason.
    """
    whole = column.type.strip().lower() in WHOLE
    if value in (None, ""):
        return Series(whole=whole)
    found = PATTERN.fullmatch(str(value))
    if found:
        return Series(found[1], len(found[2]), found[3])
    if "{" in str(value) or "}" in str(value):
        raise KeyError(f"{column.name} is no pattern of a series, as INV-{{0000}} is one")
    return None


def once(change: Change, number: object) -> str:
    """What an API may know one create by, however often it is sent: an idempotency key."""
    said = "|".join((change.target, change.entity, key_text(change.key), str(number or "")))
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def check(target: str, entity: str, why: str, export: Export, *, adopts: bool) -> None:
    """Refuse an export that documents cannot follow. Raises TargetSettingsError."""
    numbered = export.of_role(NUMBER)
    where = f"[targets.{target}.entities.{entity}]"
    if numbered and not why:
        raise TargetSettingsError(
            f"{where}: column {numbered.name} of {export.model} has role number, which is for"
            ' documents: say append_only = "why" here, or take the role away'
        )
    if not why:
        return
    if adopts:
        raise TargetSettingsError(
            f"{where} is append_only and adopts; to adopt is to change what is there: take one away"
        )
    if export.on_absent != "ignore":
        raise TargetSettingsError(
            f"{where} is append_only, and {export.model} says on_absent: {export.on_absent}; a"
            " document stays: take it away, and reverse in the model what is no longer right"
        )
    floats = [column.name for column in export.sent if is_float(column.type)]
    if floats:
        raise TargetSettingsError(
            f"{where} is append_only, and column {floats[0]} of {export.model} is a float, which"
            " only comes near an amount; make it decimal(12,2) or what fits"
        )
    both = [column.name for column in export.sent if column.owner == "both"]
    if both:
        raise TargetSettingsError(
            f"{where} is append_only, and column {both[0]} of {export.model} says owner: both; what"
            " is never changed has one owner"
        )
