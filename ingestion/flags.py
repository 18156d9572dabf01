"""Flags: what a column that is never landed says for one purpose, as one letter.

In: the words of a flag, from the layout and the district's settings. Out: `Flag`, whose `sql` turns
a text into `Y`, `N`, `?` (a word nobody listed) or nothing (blank, or a word that says nothing).
The text itself is landed nowhere. Pure.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace

from common import sql
from ingestion.configured import FlagDocument, FlagWords

LETTERS = {"yes": "Y", "no": "N", "neither": ""}


@dataclass(frozen=True)
class Flag:
    """One landed letter of a column that is not: `column` is the raw name of that column."""

    name: str
    column: str
    words: Mapping[str, str]  # word, folded -> letter

    @property
    def fingerprint(self) -> str:
        """What the words are: a file is landed again when they change."""
        text = repr((self.column, sorted(self.words.items())))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def sql(self, text: str) -> str:
        """SQL: the letter of a text. Letter case, accents and punctuation make no other word."""
        plain = f"trim(regexp_replace(strip_accents(lower({text})), '[^a-z0-9]+', ' ', 'g'))"
        by_letter: dict[str, list[str]] = {}
        for word, letter in sorted(self.words.items()):
            by_letter.setdefault(letter, []).append(sql.text(word))
        cases = " ".join(
            f"when {plain} in ({', '.join(words)}) then {sql.text(letter) if letter else 'null'}"
            for letter, words in by_letter.items()
        )
        return f"case when trim({text}) = '' or {text} is null then null {cases} else '?' end"


def folded(word: str) -> str:
    """A word as it is compared: `Joint/Shared` -> `joint shared`."""
    bare = "".join(
        one for one in unicodedata.normalize("NFD", word.lower()) if not unicodedata.combining(one)
    )
    return " ".join(
        "".join(one if one.isascii() and one.isalnum() else " " for one in bare).split()
    )


def flag_of(name: str, column: str, facts: FlagDocument) -> Flag:
    """A flag of a layout."""
    return Flag(name, column, _letters(facts))


def of_district(flag: Flag, more: FlagWords | None) -> Flag:
    """The flag with a district's own words, which count before the layout's."""
    return replace(flag, words={**flag.words, **_letters(more)}) if more else flag


def _letters(words: FlagWords) -> dict[str, str]:
    """A word listed twice bars rather than allows: `no` is read last."""
    listed = {"neither": words.neither, "yes": words.yes, "no": words.no}
    return {folded(word): LETTERS[kind] for kind, texts in listed.items() for word in texts}
