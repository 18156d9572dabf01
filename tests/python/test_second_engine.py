"""The models on a second engine say what they say on the first: every macro that engines spell
differently is asked of DuckDB and of PostgreSQL alike, for texts that were drawn; statements are
written out as PostgreSQL can take them; and a comparison that fails names table, rows and columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import settings as drawn
from hypothesis import strategies as st

from common import paths
from operations import warehouse
from operations.warehouse import Relation
from tests import compare_engines
from tests.python.macro_kit import MACROS, macros_of

THEIRS = macros_of("postgres")
LETTERS = "aAbZzéÉßæœŁłÇñøİıʔʷƛə'’ʼ-–. \t\u00a0\u2009\u200b\u0301\ufeffÂÃ©€™07٣1²€$?@&#;%\\Ωж漢字"
KNOWN = st.characters(  # what a database can hold and every Unicode has had for years
    min_codepoint=1, max_codepoint=0xFFFF, exclude_categories=["Cn", "Cs"]
)
TEXTS = st.one_of(
    st.none(), st.text(alphabet=LETTERS, max_size=12), st.text(alphabet=KNOWN, max_size=6)
)


@pytest.fixture(scope="module")
def there() -> Iterator[warehouse.Postgres]:
    with compare_engines.postgres() as empty:
        one = empty()
        warehouse.land(duckdb.connect(), one, [])
        yield one


@pytest.fixture(scope="module")
def both(there: warehouse.Postgres) -> Iterator[tuple[duckdb.DuckDBPyConnection, Any]]:
    with duckdb.connect() as ours, closing(there.connect()) as theirs, theirs.cursor() as ask:
        yield ours, ask


def asked(
    both: tuple[duckdb.DuckDBPyConnection, Any], call: str, values: list[Any], kind: str = "text"
) -> tuple[list[Any], list[Any]]:
    """What a macro makes of every value, on each engine."""
    ours, theirs = both
    macro, *words = call.split("|")
    rows = ", ".join(f"({number}, cast(? as {kind}))" for number in range(len(values)))
    query = "select place, {} from (values {}) as one (place, value) order by 1"
    first = ours.execute(query.format(getattr(MACROS, macro)("value", *words), rows), values)
    second = warehouse.written(getattr(THEIRS, macro)("value", *words), lambda _: [])
    theirs.execute(
        query.format(second, rows).replace("%", "%%").replace("cast(? as", "cast(%s as"), values
    )
    return first.fetchall(), theirs.fetchall()


@pytest.mark.slow
@pytest.mark.parametrize(
    "call",
    [
        "clean_text",
        "name_text",
        "name_key",
        "name_damage",
        "name_placeholder",
        "name_fault",
        "account_name_letters",
        "slug",
        "to_boolean",
        "number_key",
        "phone_digits",
        "unquotable_text",
        "truncate_text|5",
        "text_hash",
        "split_to_rows",
        "parse_date",
        "try_cast|integer",
        "regexp_like|[^\\\\P{Z} ]".replace("\\\\", "\\"),
        "regex_replace|[\\s\\p{Cc}\\p{Z}]+|_",
        "regex_replace|(\\p{L}).|\\1",
    ],
)
@drawn(max_examples=4, deadline=None)
@given(values=st.lists(TEXTS, min_size=40, max_size=40))
@example(
    values=["", None, " 05-Sept-2015 ", "31-Feb-2015", "a,,b", "x\ny", "null", "\u2009", "O''B"]
)
def test_a_macro_says_the_same_on_both_engines(
    both: tuple[duckdb.DuckDBPyConnection, Any], call: str, values: list[str | None]
) -> None:
    ours, theirs = asked(both, call, values)
    assert theirs == ours


@pytest.mark.parametrize("style", ["iso", "slashed", "unpadded"])
@drawn(max_examples=4, deadline=None)
@given(values=st.lists(st.dates(min_value=date(1900, 1, 1)), min_size=20, max_size=20))
def test_a_day_is_written_the_same_on_both_engines(
    both: tuple[duckdb.DuckDBPyConnection, Any], style: str, values: list[date]
) -> None:
    ours, theirs = asked(both, f"date_text|{style}", values, "date")
    assert theirs == ours


@drawn(max_examples=25, deadline=None)
@given(values=st.lists(TEXTS, max_size=5))
def test_a_list_is_one_text_on_both_engines(
    both: tuple[duckdb.DuckDBPyConnection, Any], values: list[str | None]
) -> None:
    ours, theirs = both
    rows = (
        "select cast(null as text) as value where 1 = 0"
        + " union all select cast(? as text)" * len(values)
    )
    first = ours.execute(f"select {MACROS.listagg('value', ',')} from ({rows}) as many", values)
    theirs.execute(
        f"select {THEIRS.listagg('value', ',')} from ({rows.replace('?', '%s')}) as many", values
    )
    assert theirs.fetchall() == first.fetchall()


@drawn(max_examples=25, deadline=None)
@given(one=st.text(alphabet="abcé' ", max_size=8), other=st.text(alphabet="abcé' ", max_size=8))
def test_names_are_as_alike_on_both_engines(
    both: tuple[duckdb.DuckDBPyConnection, Any], one: str, other: str
) -> None:
    ours, theirs = both
    first = ours.execute("select levenshtein(?, ?)", [one, other]).fetchall()
    theirs.execute("select levenshtein(%s, %s)", [one, other])
    assert theirs.fetchall() == first


def test_every_macro_that_engines_spell_differently_has_a_second_spelling() -> None:
    for file in (paths.root() / "macros").glob("*.sql"):
        names = {
            engine: set(re.findall(rf"macro {engine}__(\w+)", file.read_text(encoding="utf-8")))
            for engine in ("duckdb", "postgres", "default")
        }
        assert names["duckdb"] <= names["postgres"] | names["default"], file.name


def test_columns_left_out_and_unions_by_name_are_written_out_by_their_names() -> None:
    columns = {
        "students": ["number", "name", "place"],
        "staff": ["name", "number"],
        "one": ["number", "name"],
    }

    def known(query: str) -> list[str]:
        return columns[query.rsplit(maxsplit=1)[-1].strip('"')]

    query = (
        "with students as (\n    select * from x\n),\n\n-- who they are\n-- one by one\n"
        "all_of_them as (\n"
        "    select * from students\n    union all /* by name */\n    select * from staff\n)\n\n"
        "select\n    one.* /* but place, number */,\n    1 as more\nfrom students as one\n"
    )
    with duckdb.connect() as there:
        there.execute("create table x as select 7 as number, 'Ada' as name, 'here' as place")
        there.execute("create table staff as select 'Bo' as name, 8 as number")
        written = warehouse.written(query, known)
        assert there.execute(written).fetchall() == [("Ada", 1)]
        assert there.execute(
            written[: written.rindex("select")] + "select * from all_of_them order by number"
        ).fetchall() == [(7, "Ada", "here"), (8, "Bo", None)]


def test_the_seed_word_null_is_a_word_on_every_engine(
    there: warehouse.Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path))
    rows = [
        ("null", "a \\N word", 1, Decimal("1.50")),
        (None, "", None, None),
        ('"\\N"', "\\N", 3, Decimal("-0.01")),
        ("a,b\nc", "'", 4, Decimal("12345678901.23")),
    ]
    with duckdb.connect() as ours:
        ours.execute("create schema seeds")
        ours.execute(
            'create table seeds.reserved (name text, "primary" text, number bigint,'
            " amount decimal(18, 2))"
        )
        ours.executemany("insert into seeds.reserved values (?, ?, ?, ?)", rows)
        warehouse.land(ours, there, [Relation("memory", "seeds", "reserved")], helpers=False)
        warehouse.fetch(there, ours, "seeds", "reserved", "back")
        assert ours.execute("from back").fetchall() == rows
        assert warehouse.differences(ours, "seeds.reserved", "back", ["name"]) == []
    assert not list((tmp_path / "tmp").iterdir())  # nothing of what passed through stays


@pytest.mark.parametrize(
    "change, said",
    [
        ("delete from theirs where id = 1", ["1 keys only here: 1"]),
        ("insert into theirs values (3, 'Cy', null)", ["1 keys only there: 3"]),
        ("update theirs set name = 'Bea' where id = 2", ["name differs for 1: 2"]),
        ("update theirs set grade = null", ["grade differs for 1: 1"]),
        ("insert into theirs from theirs where id = 1", ["0 rows only here, 1 only there"]),
        ("alter table theirs drop grade", ["columns differ: grade"]),
        ("alter table theirs alter grade type bigint", ["columns differ: grade"]),
    ],
)
def test_a_comparison_that_fails_names_rows_and_columns_and_no_value(
    change: str, said: list[str]
) -> None:
    with duckdb.connect() as here:
        here.execute("create table ours as select 1 as id, 'Ada' as name, 7 as grade")
        here.execute("insert into ours values (2, 'Bo', null)")
        here.execute("create table theirs as from ours")
        assert warehouse.differences(here, "ours", "theirs", ["id"]) == []
        here.execute(change)
        assert warehouse.differences(here, "ours", "theirs", ["id"]) == said


def test_no_night_knows_the_other_engine() -> None:
    knowing = [
        file.name
        for room in ("common", "ingestion", "reverse_etl", "operations")
        for file in (paths.root() / room).rglob("*.py")
        if "operations.warehouse" in (text := file.read_text(encoding="utf-8"))
        or re.search(r"from operations import .*\bwarehouse\b", text)
    ]
    assert knowing == []
    lock = (paths.root() / "requirements.txt").read_text(encoding="utf-8")
    assert "dbt-postgres" not in lock


@pytest.mark.long
def test_two_nights_are_the_same_on_postgresql(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("dbt.adapters.postgres", reason='"make .venv/postgres" installs it')
    assert compare_engines.compare(60) == 0, capsys.readouterr().out
