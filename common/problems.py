"""Problems: every one the product can name, and what it says about it to a person.

In: `common/problems.csv`, which dbt seeds too: code, level, owner, sentence, action. Out: sentences
and actions with the values of one case in their `{places}`. What is stored or passed is the code
and its values; only here they become prose, and in SQL by the macro `rendered`.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from common.printable import printable

CATALOGUE = Path(__file__).with_name("problems.csv")
LEVELS = ("critical", "warning", "info", "reason")
WITHIN = "within"  # a value that is the code of the sentence around
PLACE = re.compile(r"\{([a-z_]+)\}")

Values = Mapping[str, str | int]


class UnknownProblemError(LookupError):
    """A code the catalogue does not have, or a value its sentence asks for and nobody gave."""


@dataclass(frozen=True)
class Problem:
    """One row of the catalogue. `level` is `reason` where it is no finding by itself."""

    code: str
    level: str
    owner: str
    sentence: str
    action: str

    def places(self) -> frozenset[str]:
        """The values its sentence and its action need."""
        return frozenset(PLACE.findall(self.sentence + self.action))


@dataclass(frozen=True)
class Reason:
    """Why something is as it is: a code and its values, as they are passed about and stored."""

    code: str
    values: Values = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", shown(self.values))

    def __str__(self) -> str:
        return sentence(self.code, self.values)

    @property
    def json(self) -> str:
        """As it is stored: `said` makes the sentence of it again."""
        stored = {"code": self.code, "values": dict(self.values)}
        return json.dumps(stored, ensure_ascii=False, separators=(",", ":"))


def said(stored: str | None) -> str:
    """The sentence of a stored reason, '' of none."""
    return str(Reason(**json.loads(stored))) if stored else ""


@cache
def catalogue() -> Mapping[str, Problem]:
    """All of them by code."""
    with CATALOGUE.open(encoding="utf-8", newline="") as file:
        return {row["code"]: Problem(**row) for row in csv.DictReader(file)}


def problem(code: str) -> Problem:
    """The row of a code. Raises UnknownProblemError."""
    try:
        return catalogue()[code]
    except KeyError:
        raise UnknownProblemError(f"{code!r} is no code of common/problems.csv") from None


def sentence(code: str, values: Values | None = None) -> str:
    """What is wrong, for a person; inside the sentence `within` names, if it does, which says what
    becomes of it. Raises UnknownProblemError.
    """
    values = values or {}
    said = _rendered(code, problem(code).sentence, values)
    around = str(values.get(WITHIN, ""))
    return sentence(around, {**values, "problem": said, WITHIN: ""}) if around else said


def action(code: str, values: Values | None = None) -> str:
    """What to do about it, '' where nothing is. Raises UnknownProblemError."""
    return _rendered(code, problem(code).action, values or {})


def shown(values: Values) -> dict[str, str | int]:
    """Values as they are stored and told: text of others is printable."""
    return {
        name: printable(value) if isinstance(value, str) else value
        for name, value in values.items()
    }


def waiting(counts: Values) -> str:
    """Why rows wait, for a person: of a hold's code, without `hold_`, how many. The most first."""
    words: dict[str, int] = {}
    for code, count in counts.items():
        known = catalogue().get(f"waiting_{code}")
        word = known.sentence if known else "held"
        words[word] = words.get(word, 0) + int(count)
    ordered = sorted(words.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{count:,} {word}" for word, count in ordered)


def _rendered(code: str, text: str, values: Values) -> str:
    """Numbers with thousands separated, text made printable; what a value holds is never a
    place.
    """

    def told(place: re.Match[str]) -> str:
        try:
            value = values[place[1]]
        except KeyError:
            raise UnknownProblemError(f"{code}: no value for {place[0]}") from None
        return printable(value) if isinstance(value, str) else f"{value:,}"

    return PLACE.sub(told, text)
