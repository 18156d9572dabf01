"""The letter map: written from Unicode, and the same whichever way an engine takes accents off."""

from __future__ import annotations

import re
import unicodedata

import duckdb
import jinja2
import pytest

from common import paths
from scripts import letter_map

MACRO = paths.root() / "macros" / "ascii_letters.sql"


def _sql(dialect: str, expression: str) -> str:
    """The SQL one dialect of `ascii_letters` gives, rendered from the macro's own file."""
    text = MACRO.read_text(encoding="utf-8").replace("letter_map()", "the_map")
    template = jinja2.Environment().from_string(
        text + "{{ " + dialect + "__ascii_letters('" + expression + "') }}"
    )
    return template.render(
        the_map=letter_map.mapping(),
        regex_replace=lambda value, pattern, to: (
            f"regexp_replace({value}, '{pattern}', '{to}', 'g')"
        ),
    )


def test_the_macro_file_is_what_the_script_writes() -> None:
    assert letter_map.TARGET.read_text(encoding="utf-8") == letter_map.rendered()


@pytest.mark.parametrize("dialect", ["duckdb", "default"])
def test_every_latin_letter_becomes_the_letters_unicode_says(dialect: str) -> None:
    expression = _sql(dialect, "letter")
    with duckdb.connect() as connection:
        connection.execute(
            "create table letters as select unnest(?::text[]) as letter",
            [list(letter_map.letters())],
        )
        rows = connection.execute(f"select letter, {expression} from letters").fetchall()
    wrong = {
        letter: got for letter, got in rows if re.sub("[^a-z]", "", got) != letter_map.plain(letter)
    }
    assert not wrong


@pytest.mark.parametrize("dialect", ["duckdb", "default"])
@pytest.mark.parametrize(
    ("written", "ascii_name"),
    [
        ("hən̓q̓əmin̓əm̓", "henqeminem"),
        ("SENĆOŦEN", "sencoten"),
        ("Diitiidʔaatx̣", "diitiidaatx"),
        ("xʷməθkʷəy̓əm", "xwmethkweyem"),
        ("O’Hara", "ohara"),
        ("Ƛ̓aʔuukʷiʔatḥ", "tlauukwiath"),
        ("Groß-Łódź Ærøskøbing", "grosslodzaeroskobing"),
    ],
)
def test_names_of_this_province_keep_their_letters(
    dialect: str, written: str, ascii_name: str
) -> None:
    expression = _sql(dialect, "name")
    with duckdb.connect() as connection:
        for form in ("NFC", "NFD"):
            value = unicodedata.normalize(form, written)
            row = connection.execute(
                f"select {expression} from (select ? as name)", [value]
            ).fetchone()
            assert row is not None
            assert re.sub("[^a-z]", "", row[0]) == ascii_name
