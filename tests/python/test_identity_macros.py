"""The rules of names, numbers and keys, each asked of DuckDB by itself: the macros as their files
stand, without dbt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import duckdb
import pytest
from macro_kit import MACROS, said

POLICY = {
    "pattern": "{first}.{last}",
    "hyphens": "remove",
    "max_length": 64,
    "fallback_suffix": "student",
}


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.mark.parametrize(
    ("macro", "values", "answer"),
    [
        ("ascii_letters", ("'Hul’q’umi’num’ Łódź",), "'hul’q’umi’num’ lodz"),
        ("name_key", ("O’Hara-Smith, Zoë 2",), "oharasmithzoe2"),
        ("name_key", ("– ’",), None),
        ("name_key", (None,), None),
        ("slug", ("Div. 4 – Élise",), "div-4-elise"),
        ("slug", (" –(A z)–9– ",), "a-z-9"),
        ("slug", ("–",), None),
        ("account_name_letters", ("Smith-Jones 3rd",), "smith-jonesrd"),
        ("account_name_letters", ("ʔO’Haráz_.",), "oharaz"),
        ("account_name_letters", (None,), ""),
        ("local_part", ("Ana.Bo@sd74.example",), "ana.bo"),
        ("local_part", ("a@b@c",), "a"),
        ("local_part", ("Ana",), "ana"),
        ("number_key", (" 00120 ",), "120"),
        ("number_key", (" aB-07",), "ab-07"),
        ("number_key", ("1001",), "1001"),
        ("number_key", ("000",), None),
        ("number_key", (" ",), None),
    ],
)
def test_texts_are_compared_by_what_is_the_same_in_them(
    connection, macro: str, values: tuple[object, ...], answer: str | None
) -> None:
    assert said(connection, macro, *values) == answer


@pytest.mark.parametrize(
    ("name", "base", "number"),
    [
        ("ana.bo", None, 1),
        ("ana.bo2", "ana.bo", 2),
        ("ana.bo10", "ana.bo", 10),
        ("ana.bo11", "ana.bo", 11),
        ("ana.bo21", "ana.bo", 21),
        ("ana.z9", "ana.z", 9),
        ("a999999", "a", 999_999),
        ("bo28", "bo", 28),
        ("bo28-2", "bo28", 2),
        ("bo0-31", "bo0", 31),
        ("bo9-1000", "bo9", 1000),
        # numbers we never give: 1, leading zeros, seven digits, behind a sign that is no hyphen
        # behind a digit
        ("ana.bo1", None, 1),
        ("bo28-1", None, 1),
        ("ana.bo0", None, 1),
        ("ana.bo02", None, 1),
        ("a1000000", None, 1),
        ("ana-2", None, 1),
        ("ana.2", None, 1),
        ("28", None, 1),
        ("2", None, 1),
        ("ana.bo2x", None, 1),
        ("bo28.2", None, 1),
    ],
)
def test_a_name_is_read_as_the_base_and_number_it_could_be_made_of(
    connection, name: str, base: str | None, number: int
) -> None:
    assert said(connection, "name_has_number", name) is (base is not None)
    assert said(connection, "name_without_number", name) == (base or name)
    assert said(connection, "number_of_name", name) == number
    if base:
        assert said(connection, "numbered_name", base, number) == name


def test_the_first_of_a_base_goes_without_a_number(connection) -> None:
    given = {
        (base, number): said(connection, "numbered_name", base, number)
        for base in ("ana.bo", "bo28", "bo0", "bo9", "bo26.a")
        for number in (1, 2, 12)
    }
    assert given == {
        ("ana.bo", 1): "ana.bo",
        ("ana.bo", 2): "ana.bo2",
        ("ana.bo", 12): "ana.bo12",
        ("bo28", 1): "bo28",
        ("bo28", 2): "bo28-2",
        ("bo28", 12): "bo28-12",
        ("bo0", 1): "bo0",
        ("bo0", 2): "bo0-2",
        ("bo0", 12): "bo0-12",
        ("bo9", 1): "bo9",
        ("bo9", 2): "bo9-2",
        ("bo9", 12): "bo9-12",
        ("bo26.a", 1): "bo26.a",
        ("bo26.a", 2): "bo26.a2",
        ("bo26.a", 12): "bo26.a12",
    }


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("annasmith", "annasmith", 1),
        ("annasmith", "annasmyth", 8 / 9),
        ("max", "ida", 0),
        ("jo", "john", 0.5),
        ("john", "jo", 0.5),
        ("", "ana", 0),
        ("ana", "", 0),
        ("", "", 0),
        (None, "ana", 0),
        ("ana", None, 0),
    ],
)
def test_names_are_as_alike_as_the_letters_one_need_not_change(
    connection, one: str | None, other: str | None, alike: float
) -> None:
    assert said(connection, "name_similarity", one, other) == pytest.approx(alike)


def test_keys_are_hashes_that_never_change(connection) -> None:
    assert said(connection, "text_hash", "a") == hashlib.sha256(b"a").hexdigest()
    assert (
        said(connection, "person_id", "student", "1234567")
        == "p" + hashlib.sha256(b"student:1234567").hexdigest()[:15]
    )
    alias = hashlib.sha256(b"ana.bo@x.example").hexdigest()[:16]
    assert {
        said(connection, "alias_id", address)
        for address in ("Ana.Bo@x.example", "ana.bo@X.example")
    } == {alias}


def based(
    connection: duckdb.DuckDBPyConnection,
    first: str,
    last: str,
    number: str = "1234567",
    year: str | None = "2026",
    **policy: object,
) -> object:
    row = POLICY | policy
    sql = MACROS.account_name_base("first", "last", "number", "year", "policy")
    policies = f"select {', '.join(f'? as {name}' for name in row)}"
    return connection.execute(
        f"select {sql} from (select ? as first, ? as last, ? as number, ?::varchar as year) cross join ({policies}) as policy",  # noqa: E501
        [first, last, number, year, *row.values()],
    ).fetchone()[0]  # type: ignore[index]


@pytest.mark.parametrize(
    ("pattern", "with_year", "without"),
    [
        ("{first}.{last}", "ana.bo", "ana.bo"),
        ("{f}{last}", "abo", "abo"),
        ("{last}.{f}", "bo.a", "bo.a"),
        ("{first}_{l}", "ana_b", "ana_b"),
        ("{last}{yy}", "bo26", "bo"),
        ("{first}-{year}", "ana-2026", "ana"),
        ("{number}", "1234567", "1234567"),
        ("{last}.{number}", "bo.1234567", "bo.1234567"),
        ("x{year}.{f}", "x2026.a", "x.a"),
        ("x{yy}.{f}", "x26.a", "x.a"),
    ],
)
def test_each_place_of_a_pattern_is_filled(
    connection, pattern: str, with_year: str, without: str
) -> None:
    assert based(connection, "ana", "bo", pattern=pattern, hyphens="keep") == with_year
    assert based(connection, "ana", "bo", year=None, pattern=pattern, hyphens="keep") == without


@pytest.mark.parametrize(
    ("first", "last", "pattern", "base"),
    [
        ("anne-marie", "fox-hill", "{first}.{last}", "anne-marie.fox-hill"),
        # signs that meet become one: the dot before others, and else a hyphen
        ("ana-", "-bo", "{first}.{last}", "ana.bo"),
        ("ana-", "_bo", "{first}.{last}", "ana.bo"),
        ("ana", "bo", "{first}_-{last}", "ana-bo"),
        ("ana", "bo", "{first}-_{last}", "ana-bo"),
        ("ana", "bo", "{first}...{last}", "ana.bo"),
        ("ana", "bo", "{first}_.{last}", "ana.bo"),
        ("ana", "bo", "{first}_{last}", "ana_bo"),
        ("ana", "bo", "{first}._-.{last}", "ana.bo"),
        ("ana--may", "bo", "{first}.{last}", "ana-may.bo"),
        # none stands at an end
        ("", "bo", "{first}.{last}", "bo"),
        ("ana", "", "{first}.{last}", "ana"),
        ("", "bo", "{first}_{last}", "bo"),
        ("ana", "", "{first}-{last}", "ana"),
        ("ana", "", "{first}_{last}", "ana"),
        ("", "-bo-", "{last}", "bo"),
        ("", "bo", "._-{last}-_.", "bo"),
        # no letter, no base; but a number is one without any
        ("", "", "{first}.{last}", None),
        ("", "", "x{yy}", None),
        ("-", "", "{first}.{last}", None),
        ("", "", "{last}.{number}", "1234567"),
        ("ana", "", "x{yy}", "x26"),
        ("", "bo", "x{yy}", "x26"),
    ],
)
def test_signs_never_meet_and_never_stand_at_an_end(
    connection, first: str, last: str, pattern: str, base: str | None
) -> None:
    assert based(connection, first, last, pattern=pattern, hyphens="keep") == base


def test_hyphens_of_a_name_stay_where_the_policy_keeps_them(connection) -> None:
    assert based(connection, "anne-marie", "fox", hyphens="remove") == "annemarie.fox"
    assert based(connection, "anne-marie", "fox", hyphens="keep") == "anne-marie.fox"


def test_seven_places_are_left_for_a_number_and_no_sign_stands_before_it(connection) -> None:
    assert based(connection, "abcdef", "ghijkl", max_length=20) == "abcdef.ghijkl"
    assert based(connection, "abcdef", "ghijkl", max_length=19) == "abcdef.ghijk"
    assert based(connection, "abcdef", "ghijkl", max_length=14) == "abcdef"
    assert (
        based(connection, "ab-_c", "d", max_length=11, hyphens="keep", pattern="{first}{last}")
        == "ab-c"
    )
    assert based(connection, "ab-cd", "ef", max_length=10, hyphens="keep") == "ab"
    assert based(connection, "a" * 70, "b") == "a" * 57


def test_who_has_no_letters_goes_by_number(connection) -> None:
    for number, name in (
        ("1234567", "1234567.student"),
        ("1" + "x" * 40, "1" + "x" * 39 + ".student"),
    ):
        sql = MACROS.account_name_fallback("number", "policy")
        assert connection.execute(
            f"select {sql} from (select ? as number, ? as fallback_suffix) as policy",
            [number, "student"],
        ).fetchone() == (name,)


RULE = {"population": "student", "school_number": None, "grade_code": None, "position": None}
PERSON = {
    "population": "student",
    "school_number": "07474001",
    "grade_code": "KF",
    "position": "Teacher",
}


def asked(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    rule: dict[str, str | None],
    person: dict[str, str | None],
) -> object:
    rows = [
        f"(select {', '.join(f'?::varchar as {name}' for name in row)}) as {alias}"
        for alias, row in (("rules", rule), ("people", person))
    ]
    row = connection.execute(
        f"select {sql} from {' cross join '.join(rows)}", [*rule.values(), *person.values()]
    ).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("rule", "person", "fits"),
    [
        ({}, {}, True),
        ({"population": "staff"}, {}, False),
        ({"school_number": "07474001"}, {}, True),
        ({"school_number": "07474002"}, {}, False),
        ({"school_number": "07474001"}, {"school_number": None}, False),
        ({"grade_code": "kf"}, {}, True),
        ({"grade_code": "KF"}, {"grade_code": "kf"}, True),
        ({"grade_code": "01"}, {}, False),
        ({"grade_code": "KF"}, {"grade_code": None}, False),
        ({"position": "Teacher"}, {"position": None}, False),
        ({"position": "teacher"}, {}, True),
        ({"position": "TEACHER"}, {"position": "tEACHER"}, True),
        ({"position": "Clerk"}, {}, False),
        ({}, {"school_number": None, "grade_code": None, "position": None}, True),
        ({"school_number": "07474001", "grade_code": "KF", "position": "Teacher"}, {}, True),
        ({"school_number": "07474001", "grade_code": "01"}, {}, False),
    ],
)
def test_a_rule_fits_whom_all_it_says_fits(
    connection, rule: dict[str, str | None], person: dict[str, str | None], fits: bool
) -> None:
    assert (
        asked(connection, MACROS.rule_fits("rules", "people"), RULE | rule, PERSON | person) is fits
    )


def test_more_columns_weigh_more_and_of_as_many_the_school_then_the_grade(connection) -> None:
    combinations = ["", "p", "g", "s", "gp", "sp", "sg", "sgp"]  # from the lightest
    columns = {"s": "school_number", "g": "grade_code", "p": "position"}
    weights = [
        asked(
            connection,
            MACROS.rule_weight("rules"),
            RULE | {columns[one]: "x" for one in letters},
            PERSON,
        )
        for letters in combinations
    ]
    assert weights == [0, 101, 102, 104, 203, 205, 206, 307]


def test_lists_rows_and_expressions_are_taken_apart_and_put_together(connection) -> None:
    items = (
        "select * from (values ('a', 'MMA--10'), ('a', 'MEN--10'), ('b', 'X'), ('a', 'MMA--10')) as"
        " items (key, code)"
    )
    assert connection.execute(
        f"select key, {MACROS.listagg('code', ', ')} from ({items}) group by key order by key"
    ).fetchall() == [("a", "MEN--10, MMA--10"), ("b", "X")]
    assert connection.execute(
        f"select {MACROS.split_to_rows('text')} from (values ('b,a'), (null), ('c')) as texts (text)"  # noqa: E501
    ).fetchall() == [("b",), ("a",), ("c",)]
    first = MACROS.deduplicate(f"({items})", "key", "code desc")
    assert sorted(connection.execute(first).fetchall()) == [("a", "MMA--10"), ("b", "X")]
    first = MACROS.deduplicate(f"({items})", "key", "code")
    assert sorted(connection.execute(first).fetchall()) == [("a", "MEN--10"), ("b", "X")]
    assert connection.execute(
        f"select {MACROS.regexp_like('text', '^[0-9]+$')} from (values ('07'), ('7a')) as texts (text)"  # noqa: E501
    ).fetchall() == [(True,), (False,)]
    replaced = MACROS.regex_replace("text", "[0-9]", "-")
    assert connection.execute(
        f"select {replaced} from (values ('a1b2'), ('ab')) as texts (text)"
    ).fetchall() == [("a-b-",), ("ab",)]
