"""Write `macros/letter_map.sql`: which a-z letters stand for which other letters in an account
name.

In: the Unicode names and decompositions Python ships (`unicodedata`), and HEARD_AS, the letters
whose sound no Unicode name tells. Out: the macro file; nothing else. Run it after a change of
HEARD_AS or of Python:

    python scripts/letter_map.py

`tests/python/test_letter_map.py` fails when the file and this script disagree.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

TARGET = Path(__file__).parents[1] / "macros" / "letter_map.sql"

# Letters of British Columbia's Indigenous orthographies and of European alphabets whose ASCII form
# is a convention, not a decomposition. Signs that are not letters in ASCII (glottal stops,
# apostrophes, length marks) map to nothing and need no entry: everything outside a-z is dropped
# after the map.
HEARD_AS = {
    "ə": "e",
    "ɛ": "e",
    "ɔ": "o",
    "ɪ": "i",
    "ʊ": "u",
    "ʌ": "u",
    "ɑ": "a",
    "ı": "i",
    "ɩ": "i",
    "ɫ": "l",
    "ɬ": "l",
    "ł": "l",
    "λ": "l",
    "ƛ": "tl",
    "ɮ": "l",
    "θ": "th",
    "χ": "x",
    "ɣ": "g",
    "γ": "g",
    "ŋ": "ng",
    "ß": "ss",
    "æ": "ae",
    "œ": "oe",
    "þ": "th",
    "ð": "d",
    "ĳ": "ij",
    "ĸ": "q",
    "Ƛ": "tl",
    "ʷ": "w",
    "ʰ": "h",
    "ʸ": "y",
    "ˢ": "s",
}
SINGLE = re.compile(r"LATIN SMALL LETTER (?:[A-Z]+ )?([A-Z])(?: WITH .*)?")
# Up to what Unicode 14 has: the file must not depend on which Python wrote it.
BLOCKS = (
    range(0x00C0, 0x0250),
    range(0x0250, 0x02B0),
    range(0x1E00, 0x1F00),
    range(0x2C60, 0x2C80),
    range(0xA720, 0xA7CB),
)


def plain(letter: str) -> str:
    """The a-z letters one lower-case letter stands for; empty when it stands for none."""
    if letter in HEARD_AS:
        return HEARD_AS[letter]
    base = "".join(
        sign for sign in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(sign)
    )
    if base.isascii() and base.isalpha():
        return base.lower()
    if base in HEARD_AS:
        return HEARD_AS[base]
    named = SINGLE.fullmatch(unicodedata.name(base[:1], "")) if base else None
    return named[1].lower() if named else ""


def letters() -> dict[str, str]:
    """Every lower-case letter of the Latin blocks and of HEARD_AS that stands for a-z letters."""
    known = {chr(code) for block in BLOCKS for code in block}
    # HEARD_AS whole: its one capital is too new for engines to know its small letter
    wanted = {letter for letter in known if letter == letter.lower()} | set(HEARD_AS)
    return {letter: plain(letter) for letter in sorted(wanted) if plain(letter)}


def mapping() -> dict[str, object]:
    """What `letter_map()` returns: letters that lose only a mark (`marked`), other single letters,
    and `several` for one.
    """
    every = letters()
    one = {letter: ascii_letter for letter, ascii_letter in every.items() if len(ascii_letter) == 1}
    marked = [letter for letter in one if unicodedata.normalize("NFD", letter)[0] == one[letter]]
    unmarked = [letter for letter in one if letter not in marked]
    return {
        "letters": "".join(unmarked),
        "letters_ascii": "".join(one[letter] for letter in unmarked),
        "marked": "".join(marked),
        "marked_ascii": "".join(one[letter] for letter in marked),
        "several": [[letter, text] for letter, text in every.items() if len(text) > 1],
    }


def rendered() -> str:
    """The text of the macro file."""
    lines = [f"    {name!r}: {value!r}," for name, value in mapping().items()]
    head = (
        "{# written by scripts/letter_map.py from Unicode; do not edit by hand #}\n{% macro"
        " letter_map() %}\n{{ return({"
    )
    return "\n".join([head, *lines, "}) }}", "{% endmacro %}"]) + "\n"


if __name__ == "__main__":
    TARGET.write_text(rendered(), encoding="utf-8")
