"""Numbers a spreadsheet has touched, and numbers with a check digit.

In: the SQL of a trimmed text. Out: SQL that tells such values and gives the number back. `502031.0`
and `5.02031E+05` are
502031. `5.02E+05` is anybody's: digits are lost, so its row is rejected where the number is a key.
   Pure.
"""

from __future__ import annotations

import re

DECIMALS = r"[0-9]+[.]0+"
POWERS = r"[0-9]([.][0-9]+)?[eE][+]?[0-9]{1,2}"
DIGITS = 9  # of a Personal Education Number, the last being its check digit


def touched(text: str) -> str:
    """SQL: is it a number as a spreadsheet writes it? The first test spares the expressions where
    nothing is the matter.
    """
    return f"(regexp_matches({text}, '[.eE]') and regexp_full_match({text}, '{DECIMALS}|{POWERS}'))"


def repaired(text: str) -> str:
    """SQL: the number it was; every other text as it is."""
    return (
        f"case when {touched(text)} then cast(cast(cast({text} as double) as hugeint) as varchar)"
        f" else {text} end"
    )


def is_rounded(value: str) -> bool:
    """Whether fewer digits are written than the number has: 5.02E+05 may be any of a thousand."""
    found = re.fullmatch(r"[0-9](?:[.]([0-9]+))?[eE][+]?([0-9]{1,2})", value.strip())
    return found is not None and len(found[1] or "") < int(found[2])


def in_powers(delimiter: str) -> bytes:
    """A regular expression that finds, at the beginning of a field, a number in powers of ten."""
    return (
        rb'"?[ ]*[0-9](?:[.][0-9]+)?[eE][+]?[0-9]{1,2}[ ]*"?(?:'
        + re.escape(delimiter).encode()
        + rb"|\r?\n)"
    )


def wrong_check_digit(text: str) -> str:
    """SQL: nine digits whose last is not the check digit of the others (Luhn), or no nine digits;
    empty is nobody's.

    Source: bcgov/EDUC-STUDENT-DATA-COLLECTION-API, PenUtil. Digits 2, 4, 6 and 8 are doubled and
    their digits added; the sum of all nine is a multiple of ten.
    """
    digit = [f"cast(substr({text}, {at}, 1) as integer)" for at in range(1, DIGITS + 1)]
    doubled = [f"({one} * 2 - case when {one} > 4 then 9 else 0 end)" for one in digit[1::2]]
    total = " + ".join([*digit[::2], *doubled])
    return (
        f"case when regexp_full_match({text}, '[0-9]{{{DIGITS}}}') then ({total}) % 10 <> 0 else"
        f" {text} <> '' end"
    )
