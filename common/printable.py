"""Printable: text of others as it may be shown. What a file, a server, a database or a person's
record holds is text, and a terminal, a page or a mail must not take any of it for an order.

In: headings, file names, answers, names, settings, errors of databases. Out: the same text with
every character that is not there to be seen (control characters, escape sequences, direction marks,
bytes that are not UTF-8) written as its escape, `\\x1b`. What is printable stays as it is, so that
what was made printable once stays so. Pure.
"""

from __future__ import annotations

import re

_LINE_END = re.compile(r"(\r?\n|\t)")
_UNDECODED = range(0xDC80, 0xDD00)  # what Python makes of a byte of a name that is not UTF-8
# Where the text of a database, of dbt or of a library may hold a value of somebody's row: from the
# first quotation mark to the last, for a name may hold one; then numbers and days without any.
_QUOTED = re.compile(r"""(?s)'.*'(?!\w)|".*"(?!\w)|'.*$|".*$""")
_NUMBERS = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}|\d[\d -]{3,}\d")
# what a database says of the statement itself, before it reads a row, quotes only that
_OF_CODE = re.compile(r"\s*(?:\w+ Error in \w+ \S+ \(\S+\)\s+)?(?:Binder|Catalog|Parser) Error\b")
_ROW = re.compile(r"(?si)\b(?:original line|line \d+:|detail:|parameters:).*$")


FORMULA = frozenset("=+-@\t\r\n＝＋－＠")


def printable(text: str) -> str:
    """One line of text of others."""
    return text if text.isprintable() else "".join(map(_shown, text))


def lines(text: str) -> str:
    """Text of several lines: line ends and tabs stay."""
    if text.isprintable():
        return text
    return "".join(
        part if place % 2 else printable(part) for place, part in enumerate(_LINE_END.split(text))
    )


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    if ord(character) in _UNDECODED:
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def without_values(text: str) -> str:
    """An error's own words, in one line, without what it may quote of a row."""
    if _OF_CODE.match(text):
        return " ".join(text.split())
    return _NUMBERS.sub("…", _QUOTED.sub("'…'", _ROW.sub("…", " ".join(text.split()))))


def inert(text: str) -> str:
    """A cell no spreadsheet takes for a formula: an apostrophe stands before one that begins as
    formulas do (https://owasp.org/www-community/attacks/CSV_Injection), in wide letters too.
    """
    begins = text.lstrip(" ")[:1]
    return f"'{text}" if begins and begins in FORMULA else text
