"""A name is minted once, so nothing is minted of a damaged one; and every real name passes."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from macro_kit import MACROS, said

REAL = [
    "O'Brien",
    "O’Neil",
    "O`Neil",
    "D´Arcy",
    "D'Arcy",
    "Nguyễn",
    "NGUYỄN VĂN Â",
    "Ørsted",
    "Jean-Luc",
    "Anne – Marie",
    "Null",
    "X",
    "A",
    "xʷməθkʷəy̓əm",
    "ʔaq̓am",
    "ƛ̓ux̌ʷ",
    "Sḵwx̱wú7mesh",
    "Xwa7xwaa",
    "7axwi",
    "Kahnawà:ke",
    "SENĆOŦEN",
    "W̱SÁNEĆ",
    "Hul’q’umi’num’",
    "Ḵ̓wa̱la̱",
    "Stó:lō",
    "Tla'amin",
    "Haíɫzaqv",
    "K̓ómoks",
    "Nłeʔkepmx",
    "sƛ̓áƛ̓y̓əmx",
    "Dene-tha’",
    "'Namgis",
    "ʼNa̱mǥis",
    "qʼʷa",
    "KŘÍŽ",
    "JENÍŠ",
    "DRÉ’VON",
    "JOÃO",
    "CONCEIÇÃO",
    "St. John",
    "Smith, Jr.",
    "Robert (Bob)",
    "Mary/Jane",
    "DeÁndre",
    "LaÉtoile",
    "McÉwan",
    "Mª José",
    "Núñez",
    "Þórður",
    "Straße",
    "Gal·la",
    "Zoë",
    "NOËL",
    "Yılmaz",
    "Şahin",
    "Đặng",
    "Ân",
    "Łukasz",
    "李王",
    "Жанна",
    "سلمى",
    "ᓄᓇᕗᑦ",
]
DAMAGED = (
    *("O&#39;Brien", "O&#39Brien", "O&#x27;Brien", "Ren&eacute;e", "Ana&nbsp;", "Tom &amp; Co"),
    *("Ren%C3%A9e", "Ren\\u00e9e", "O\\'Brien", "O''Brien", "=?utf-8?Q?Ren=C3=A9e?=", "<b>Ana</b>"),
    *("RenÃ©e", "RenÃƒÂ©e", "NguyÃ¡Â»â€¦n", "Nguyá»…n", "Ã˜rsted", "Ã lvaro", "MarÃa", "KuÄera"),
    *("Ren√©e", "Ren├⌐e", "Ren�e", "Nguy?n", "ï»¿Ana", "a@b.example", "www.b.example"),
    *("J0hn", "Smith2", "Emma7", "Ana ½", "An\x07a", "An\na", "An\x85a", "٣سلمى", "Ana ☺"),
)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def cp1252(octets: bytes) -> str:
    """As Windows reads bytes: those its code page lacks stay controls."""
    unnamed = (0x81, 0x8D, 0x8F, 0x90, 0x9D)
    return "".join(chr(one) if one in unnamed else bytes([one]).decode("cp1252") for one in octets)


def latin1(octets: bytes) -> str:
    return octets.decode("latin-1")


@pytest.mark.parametrize("form", ["as written", "upper", "lower", "NFC", "NFD"])
def test_a_real_name_of_any_orthography_is_no_damage(connection, form: str) -> None:
    for name in REAL:
        text = {"as written": name, "upper": name.upper(), "lower": name.lower()}.get(form)
        text = text or unicodedata.normalize(form, name)
        assert (text, said(connection, "name_damage", text)) == (text, None)
        assert said(connection, "name_text", f" {text}\t") == text


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_name_is_known_and_stays_as_it_is_written(connection, name: str) -> None:
    assert said(connection, "name_fault", name) == "name_damaged"
    if name == name.strip():
        assert said(connection, "name_text", name, optional=True) == name


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from([name for name in REAL if not name.isascii()]),
    case=st.sampled_from([str, str.lower, str.title]),
    beside=st.sampled_from(["", "Ana", "O'"]),
    readings=st.lists(st.sampled_from([cp1252, latin1]), min_size=1, max_size=2),
)
def test_a_real_name_read_in_the_wrong_encoding_is_damaged(name, case, beside, readings) -> None:
    written = beside + case(name)
    text = written
    for reading in readings:
        text = reading(text.encode())
    assert said(duckdb.default_connection(), "name_damage", text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "NULL",
        "null",
        "<null>",
        "(none)",
        "[Null]",
        "N/A",
        "n/a",
        "N.A.",
        "#N/A",
        ".",
        "-",
        "--",
        "…",
        "_",
        "?",
        "'",
        "None",
        "unknown",
        "UNKNOWN",
        "xxx",
        "fnu",
        "TBD",
    ],
)
def test_a_placeholder_is_empty_where_a_name_may_be_and_waits_where_it_is_needed(
    connection, text: str
) -> None:
    assert said(connection, "name_text", text, optional=True) is None
    assert said(connection, "name_text", f" {text} ") == text
    assert said(connection, "name_fault", text) == "name_placeholder"


@pytest.mark.parametrize(
    ("first", "last", "fault"),
    [
        ("Jane", "Null", None),
        ("Malcolm", "X", None),
        ("Leo", "None", None),
        ("Mi", "Na", None),
        ("X", "Lee", None),
        ("X", "Null", "name_placeholder"),
        ("Jane", "N/A", "name_placeholder"),
        ("Jane", ".", "name_placeholder"),
        ("NULL", "Null", "name_placeholder"),
        (None, "X", "name_placeholder"),
        (None, "Naslhe", None),
        ("A", "B", None),
        ("Jane", None, None),
        ("Na", "Null", "name_placeholder"),
    ],
)
def test_null_is_a_family_name_beside_a_first_name_that_is_one(
    connection, first: str | None, last: str | None, fault: str | None
) -> None:
    assert connection.execute(
        f"select {MACROS.name_fault('last', 'first')} from (select ? as first, ? as last)",
        [first, last],
    ).fetchone() == (fault,)


def test_x_is_a_first_name_and_nothing_in_a_column_that_may_be_empty(connection) -> None:
    assert said(connection, "name_fault", "X") is None
    assert said(connection, "name_text", "x", optional=True) is None


def test_what_nobody_can_see_is_taken_out_of_a_name(connection) -> None:
    assert said(connection, "name_text", "\ufeff Mary\u00a0Ann\u200b\u202e ") == "Mary Ann"
    assert said(connection, "name_text", "سل\u200cمى") == "سل\u200cمى"  # a joiner letters need
    assert said(connection, "name_text", " \t") is None
