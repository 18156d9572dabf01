"""Every typed value of every feed goes through one gate: read where it has one reading, else as it
was last read, and told.
"""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from library_kit import MONDAY

from common import findings, paths, store
from common.runs import Run
from ingestion import duck, layout, values
from ingestion.__main__ import main
from ingestion.source import source_of

ROOT = Path(__file__).parents[2]

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
DAYS = st.dates(date(1900, 1, 1), date(2099, 12, 31))
# forms with one reading, whatever the day
PLAIN = {
    "iso": lambda d: d.isoformat(),
    "iso with time": lambda d: f"{d.isoformat()} 00:00:00.000",
    "iso of a service": lambda d: f"{d.isoformat()}T00:00:00Z",
    "eight digits": lambda d: f"{d:%Y%m%d}",
    "year first": lambda d: f"{d.year}/{d.month}/{d.day}",
    "extract": lambda d: f"{d.day:02}-{MONTHS[d.month - 1]}-{d.year}",
    "capitals": lambda d: f"{d.day}-{MONTHS[d.month - 1].upper()}-{d.year}",
    "words of a server": lambda d: f"{MONTHS[d.month - 1]} {d.day:2} {d.year} 12:00AM",
    "prose": lambda d: f"{d:%A}, {d:%B} {d.day}, {d.year}",
    "day and month in words": lambda d: f"{d.day} {d:%B} {d.year}",
}
# forms a feed must declare, as far as the day does not say it
SAID = {
    "dd/MM/yyyy": lambda d: f"{d.day:02}/{d.month:02}/{d.year}",
    "MM/dd/yyyy": lambda d: f"{d.month:02}/{d.day:02}/{d.year}",
    "%m-%d-%Y": lambda d: f"{d.month}-{d.day}-{d.year}",
    "d.M.yyyy": lambda d: f"{d.day}.{d.month}.{d.year} 00:00",
    "excel": lambda d: str((d - date(1899, 12, 30)).days),
}


@pytest.fixture(scope="module")
def database():
    with duckdb.connect() as connection:
        yield connection


def read(database, text: str, kind: str = "date", form: str = "") -> str | None:
    query = f"select {values.reading('text', kind, form)} from (values (?)) as given(text)"
    return database.execute(query, [text]).fetchone()[0]


@given(day=DAYS, form=st.sampled_from(sorted(PLAIN)))
def test_a_date_of_one_reading_is_read_in_whatever_form(database, day: date, form: str) -> None:
    assert read(database, PLAIN[form](day)) == day.isoformat()
    assert read(database, PLAIN[form](day), form="%d/%m/%Y") == day.isoformat()


@given(day=DAYS, form=st.sampled_from(sorted(SAID)))
def test_a_declared_form_is_read_as_declared(database, day: date, form: str) -> None:
    if form == "excel" and day < date(1927, 5, 18):
        return  # fewer than five digits
    assert read(database, SAID[form](day), form=values.spelled(form)) == day.isoformat()


@given(day=DAYS, form=st.sampled_from(["dd/MM/yyyy", "MM/dd/yyyy", "d.M.yyyy"]))
def test_a_day_of_two_readings_is_never_guessed(database, day: date, form: str) -> None:
    one_reading = day.day > 12 or day.day == day.month
    assert read(database, SAID[form](day)) == (day.isoformat() if one_reading else None)


@given(day=DAYS, declared=st.sampled_from(["dd/MM/yyyy", "MM/dd/yyyy"]))
def test_a_day_that_contradicts_the_declared_form_is_not_read(
    database, day: date, declared: str
) -> None:
    other = "MM/dd/yyyy" if declared == "dd/MM/yyyy" else "dd/MM/yyyy"
    if day.day > 12:
        assert read(database, SAID[other](day), form=values.spelled(declared)) is None


@pytest.mark.parametrize(
    "text",
    [
        "30-JUN-26",  # of which century
        "46203",  # a spreadsheet's days
        "06/30/26",
        "2026-02-30",
        "31/02/2026",
        "13/13/2026",
        "2026-06",
        "0026-06-30",
        "juin 30 2026",
        "soon",
        "2026-06-30 or later",
    ],
)
def test_what_is_no_date_or_one_of_two_is_none(database, text: str) -> None:
    assert read(database, text) is None


def test_answers_numbers_and_years_are_what_the_models_read(database) -> None:
    for kind, good, bad in (
        ("flag", ["Y", "no", "TRUE", "f", "0"], ["x", "maybe", "2", "Mother"]),
        ("integer", ["1", "-3", "12"], ["1st", "1.5", "one"]),
        ("year", ["2027", "2026/2027"], ["27", "2026-27", "next"]),
    ):
        assert [read(database, text, kind) for text in good] == good
        assert [read(database, text, kind) for text in bad] == [None] * len(bad)
    assert [read(database, text, "integer") for text in ("3.0", "-12.00", "3.01")] == [
        "3",
        "-12",
        None,
    ]
    assert read(database, "2027.0", "year") == "2027"


@pytest.mark.parametrize("form", ["dd/MM", "%Y", "slashed", "yyyy-yyyy", "%d/%m"])
def test_a_declared_form_says_day_month_and_year(form: str) -> None:
    with pytest.raises(ValueError, match="must say day, month and year"):
        values.spelled(form)


# ---------------------------------------------------------------- through the verb

HEAD = "staff_id,first_name,last_name,school_number,hire_date,end_date\n"
READABLE = {f"E{number}": ("2015-09-01", "") for number in range(101, 109)} | {
    "E102": ("2015-09-01", "2026-06-30"),
    "E104": ("2015-09-01", "2025-12-31"),
}


class Employees:
    """Human resources as a file (or a table), night by night."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        self.folder, self.kind, self._set = folder, kind, monkeypatch.setenv
        folder.mkdir()
        self.nights = 0
        monkeypatch.delenv("HOMEROOM_RUN", raising=False)
        self._set("HOMEROOM_VAR", str(folder.parent / "var"))
        self._set("SOURCES__HR__KIND", kind)
        if kind == "files":
            self._set("SOURCES__HR__LOCATION", str(folder))
            self._set("SOURCES__HR__LAYOUT", "hr")
        else:
            scheme = "sqlite" if kind == "sql" else kind
            self._set("SOURCES__HR__KIND", "sql")
            self._set("SOURCES__HR__URL", f"{scheme}:///{folder / 'hr.db'}")

    def night(
        self, days: dict[str, tuple[str, str]], position: dict[str, str] | None = None
    ) -> int:
        """The employees with their first and last days, read; the exit code."""
        if self.kind == "files":
            lines = (
                f"{key},Ann,Li,7474001,{begun},{left}\n" for key, (begun, left) in days.items()
            )
            (self.folder / "Employees.csv").write_text(HEAD + "".join(lines))
        else:
            connect = sqlite3.connect if self.kind == "sql" else duckdb.connect
            with closing(connect(self.folder / "hr.db")) as database:
                database.execute("drop table if exists employees")
                names = "staff_id, first_name, last_name, usual_first_name, position, school_number"
                names = f"{names}, email, hire_date, end_date".replace(", ", " varchar, ")
                database.execute(f"create table employees ({names} varchar)")
                database.executemany(
                    "insert into employees values (?, 'Ann', 'Li', '', ?, '7474001', '', ?, ?)",
                    [(key, (position or {}).get(key, ""), *both) for key, both in days.items()],
                )
                database.commit()
        return self.read()

    def read(self) -> int:
        """A night on whatever is there."""
        self._set("HOMEROOM_AS_OF", (MONDAY + timedelta(self.nights)).isoformat())
        self.nights += 1
        for run in paths.runs().glob("*Z-*/run.json"):  # a night each
            facts = json.loads(run.read_text())
            run.write_text(
                json.dumps(facts | {"finished_at": facts["finished_at"] or facts["started_at"]})
            )
        return main(["--source", "hr"])

    def left(self) -> dict[str, str | None]:
        with store.connect() as connection:
            return dict(
                connection.execute("select staff_id, end_date from raw_hr.employees").fetchall()
            )

    def told(self, *codes: str) -> list[dict]:
        return [one for one in findings.read(Run.latest()) if one["code"] in codes]


@pytest.fixture(params=["files", "sql", "duckdb"])
def employees(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Employees:
    return Employees(tmp_path / "drop", monkeypatch, request.param)


ENDS = {key: left or None for key, (_, left) in READABLE.items()}


@pytest.mark.parametrize("odd", ["30-JUN-26", "06/07/2026", "gone"])
def test_a_day_nobody_can_read_keeps_its_last_good_value_and_names_file_line_and_column(
    employees: Employees, odd: str
) -> None:
    assert employees.night(READABLE) == 0
    for again in range(2):  # and the night after that
        changed = {**READABLE, "E102": ("2015-09-01", odd), "E108": (f"2016-01-0{again + 1}", "")}
        assert employees.night(changed) == 0
        assert employees.left() == ENDS
        (told,) = employees.told("values_unreadable")
        assert (told["line"], told["column"], told["level"]) == (3, "end_date", "warning")
        assert "1 value of end_date" in told["message"]
        assert "line 3; 1 keeps the value of the last good load" in told["message"]
        assert told["file"] in told["message"]


def test_a_day_nobody_can_read_is_told_every_night_it_is_in_force(employees: Employees) -> None:
    assert employees.night(READABLE) == 0
    changed = {
        **READABLE,
        "E102": ("2015-09-01", "30-JUN-26"),
        "E103": ("2015-09-01", "1900-01-01"),
    }
    for _ in range(3):  # the second night and the third bring the same bytes
        assert employees.night(changed) == 0
        codes = sorted(one["code"] for one in employees.told("values_unreadable", "dates_before"))
        assert codes == ["dates_before", "values_unreadable"]
        (told,) = employees.told("values_unreadable")
        assert (told["line"], told["column"]) == (3, "end_date")
        assert "keeps the value of the last good load" in told["message"]
    if employees.kind == "files":  # nor does it go because a night brings nothing at all
        (employees.folder / "Employees.csv").unlink()
        assert employees.read() == 3
        assert len(employees.told("values_unreadable")) == 1
    assert employees.night(READABLE) == 0
    assert employees.told("values_unreadable", "dates_before") == []


@pytest.mark.parametrize(("tonight", "nights"), [("the same", 1), ("another", 3), ("nothing", 2)])
def test_the_last_good_value_outlives_the_warehouse(
    employees: Employees, tonight: str, nights: int
) -> None:
    assert employees.night(READABLE) == 0
    for number in range(nights):
        odd = {"E102": ("2015-09-01", "gone"), "E108": (f"2016-01-0{number + 1}", "")}
        assert employees.night({**READABLE, **odd}) == 0
    assert employees.left() == ENDS
    (paths.var() / "warehouse.duckdb").unlink()
    if tonight == "nothing":
        file = employees.folder / ("Employees.csv" if employees.kind == "files" else "hr.db")
        file.unlink()
        assert employees.read() == 3
    else:
        more = {"E107": ("2016-03-03", "")} if tonight == "another" else {}
        assert employees.night({**READABLE, **odd, **more}) == 0
        (told,) = employees.told("values_unreadable")
        assert "1 keeps the value of the last good load" in told["message"]
    assert employees.left() == ENDS


def test_words_of_a_server_are_the_day_they_say(employees: Employees) -> None:
    assert employees.night(READABLE) == 0
    odd = {"E102": ("Sep  1 2015 12:00AM", "Jun 30 2026 12:00AM"), "E104": ("2015-09-01", "NULL")}
    assert employees.night({**READABLE, **odd, "E105": ("", "06/30/2026")}) == 0
    assert employees.left() == {**ENDS, "E104": None, "E105": "2026-06-30"}
    assert employees.told("values_unreadable", "dates_before") == []


def test_a_duckdb_file_gives_dates_as_dates_and_nothing_outside_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/Vancouver")
    file, other = tmp_path / "hr.db", tmp_path / "other.csv"
    other.write_text("staff_id\nE9\n")
    with duckdb.connect(str(file)) as made:
        made.execute("create schema pay")
        made.execute(
            "create table pay.employees as select 'E' || i as staff_id, date '2026-06-30' as"
            " end_date, timestamp '2015-09-01 07:00:00' as hire_date, i > 101 as is_on, null as why"
            " from range(101, 104) as n(i)"
        )
        made.execute(f"create view pay.outside as select * from read_csv('{other}')")

    def found(table: str, **by: str) -> list[dict]:
        engine = duck.Engine(file)
        try:
            names = [one["name"] for one in engine.get_columns(table, "PAY")]
            batches = engine.batches(table, "pay", names, 99, 2, **by)
            return [row for batch in batches for row in batch.to_pylist()]
        finally:
            engine.dispose()

    rows = found("Employees")
    assert [row["staff_id"] for row in rows] == ["E101", "E102", "E103"]
    assert {row["end_date"] for row in rows} == {"2026-06-30"}
    assert {row["hire_date"] for row in rows} == {"2015-09-01 07:00:00"}
    assert ([row["is_on"] for row in rows], rows[0]["why"]) == (["false", "true", "true"], None)
    assert found("employees", at="hire_date", since="2015-09-01 07:00:01") == []
    assert len(found("employees", at="hire_date", since="2015-09-01 07:00:00")) == 3
    assert len(found("employees", at="why", since="1")) == 3  # no stamp: it may be new
    with pytest.raises(duck.DuckError, match="PermissionException"):
        found("outside")
    with pytest.raises(duck.MissingTableError):
        found("nowhere")
    other.rename(tmp_path / "text.db")
    with pytest.raises(duck.DuckError):
        duck.Engine(tmp_path / "text.db")


def test_a_day_that_was_never_read_is_not_known_and_not_none(employees: Employees) -> None:
    assert employees.night({**READABLE, "E103": ("2015-09-01", "soon")}) == 0
    assert employees.left()["E103"] == "soon"
    assert "1 had none and is not known" in employees.told("values_unreadable")[0]["message"]
    # nor does it become a good one by standing there
    assert employees.night({**READABLE, "E103": ("2015-09-01", "later")}) == 0
    assert employees.left()["E103"] == "later"


def test_a_column_that_is_mostly_unreadable_refuses_the_feed(employees: Employees) -> None:
    assert employees.night(READABLE) == 0
    odd = {key: ("2015-09-01", f"0{at + 1}/02/2026") for at, key in enumerate(READABLE)}
    assert employees.night(odd) == 3
    assert employees.left() == ENDS
    (told,) = employees.told("feed_unreadable")
    assert (told["level"], told["line"]) == ("critical", 2)
    assert "7 of 8 values of end_date cannot be read as a date" in told["message"]


def test_half_a_column_nobody_can_read_still_lands(employees: Employees) -> None:
    assert employees.night(READABLE) == 0
    ends = ["2026-01-31", "soon", "2026-02-28", "never", "2026-03-31", "later", "", ""]
    odd = {key: ("2015-09-01", end) for key, end in zip(READABLE, ends, strict=True)}
    assert employees.night(odd) == 0
    assert employees.left()["E104"] == "2025-12-31"
    assert "lines 3, 5, 7" in employees.told("values_unreadable")[0]["message"]


def test_a_form_is_declared_for_a_feed(
    employees: Employees, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = (
        ("SOURCES__HR__DATE_FORMAT__EMPLOYEES", "dd/MM/yyyy")
        if employees.kind == "files"
        else ("SOURCES__HR__TABLES__EMPLOYEES__DATE_FORMAT", "dd/MM/yyyy")
    )
    monkeypatch.setenv(*said)
    assert employees.night(dict.fromkeys(READABLE, ("01/09/2015", "03/04/2026"))) == 0
    assert set(employees.left().values()) == {"2026-04-03"}
    assert employees.told("values_unreadable") == []


def test_a_form_declared_later_reads_the_same_bytes_again(
    employees: Employees, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = (
        "SOURCES__HR__DATE_FORMAT__EMPLOYEES"
        if employees.kind == "files"
        else "SOURCES__HR__TABLES__EMPLOYEES__DATE_FORMAT"
    )
    days = {**READABLE, "E105": ("2015-09-01", "03/04/2026")}
    assert employees.night(days) == 0
    assert employees.left()["E105"] == "03/04/2026"
    monkeypatch.setenv(said, "dd/MM/yyyy")
    assert employees.night(days) == 0
    assert employees.left() == {**ENDS, "E105": "2026-04-03"}
    assert employees.told("values_unreadable") == []


# how programs and people write one number: (thousands, decimals)
WRITTEN = {
    "1234.56": ("", "."),
    "1,234.56": (",", "."),
    "1.234,56": (".", ","),
    "1 234,56": (" ", ","),
}


def grouped(number: Decimal, thousands: str, decimals: str) -> str:
    """A number in the words of a form, written beside the code."""
    whole, _, part = f"{abs(number):f}".partition(".")
    parts = [whole[max(0, at - 3) : at] for at in range(len(whole), 0, -3)][::-1]
    return (
        ("-" if number < 0 else "") + thousands.join(parts) + (f"{decimals}{part}" if part else "")
    )


NUMBERS = st.decimals(-999_999_999, 999_999_999, places=2) | st.decimals(-9_999, 9_999, places=3)
NUMBERS |= st.integers(-9_999_999, 9_999_999).map(Decimal)


@settings(max_examples=25)
@given(number=NUMBERS, form=st.sampled_from(sorted(WRITTEN)))
def test_a_number_is_read_as_its_declared_form_says_and_else_only_where_it_has_one_reading(
    database, number: Decimal, form: str
) -> None:
    text = grouped(number, *WRITTEN[form])
    assert Decimal(str(read(database, text, f"decimal {form}"))) == number
    means = {  # every number the same text stands for, in one form or another
        Decimal(value)
        for other in WRITTEN
        if (value := read(database, text, f"decimal {other}")) is not None
    }
    undeclared = read(database, text, "decimal")
    assert undeclared is None if len(means) > 1 else Decimal(str(undeclared)) == number


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("1,234", "decimal", None),
        ("1.234", "decimal", None),
        ("1.234", "decimal 1234.56", "1.234"),
        ("1,234", "decimal 1,234.56", "1234"),
        ("1,234", "decimal 1.234,56", "1.234"),
        ("12,50", "decimal 1,234.56", None),
        ("12,50", "decimal", "12.50"),
        ("0.125", "decimal", "0.125"),
        (".5", "decimal", "0.5"),
        ("-,5", "decimal 1.234,56", "-0.5"),
        ("1\u00a0234,50", "decimal", "1234.50"),
        ("1\u2019234.50", "decimal", "1234.50"),
        ("1,234,567", "decimal", "1234567"),
        ("$ 1,234.50", "decimal", "1234.50"),
        ("-$12.50", "decimal", "-12.50"),
        ("(12.50)", "decimal", "-12.50"),
        ("12.50-", "decimal", "-12.50"),
        ("+7", "decimal", "7"),
        ("1,23,456.00", "decimal", None),
        ("1.2E+05", "decimal", None),
        ("12.5.1", "decimal", None),
        ("--5", "decimal", None),
        ("5%", "decimal", None),
        ("0x1F", "decimal", None),
        ("free", "decimal", None),
        ("1" * 31, "decimal", None),
    ],
)
def test_numbers_of_two_readings_and_what_is_none_are_not_read(database, text, kind, value) -> None:
    assert read(database, text, kind) == value


def test_a_number_nobody_can_read_keeps_its_last_good_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    employees = Employees(tmp_path / "drop", monkeypatch, "sql")
    monkeypatch.setenv("SOURCES__HR__TABLES__EMPLOYEES__TYPES__POSITION", "decimal 1,234.56")

    def night(**position: str) -> list[str | None]:
        assert employees.night(READABLE, {"E101": "1,200.50", "E103": "7"} | position) == 0
        with store.connect() as connection:
            query = (
                "select position from raw_hr.employees where staff_id in ('E101', 'E102', 'E103')"
            )
            return [
                value for (value,) in connection.execute(f"{query} order by staff_id").fetchall()
            ]

    assert night() == ["1200.50", None, "7"]
    assert employees.told("values_unreadable") == []
    assert night(E101="1.200,50", E103="8") == ["1200.50", None, "8"]
    (told,) = employees.told("values_unreadable")
    assert (told["line"], told["column"]) == (2, "position")
    assert "a number" in told["message"] and "1 keeps the value of the last good" in told["message"]
    # said otherwise later, the same rows are read again
    monkeypatch.setenv("SOURCES__HR__TABLES__EMPLOYEES__TYPES__POSITION", "decimal 1.234,56")
    assert night(E101="1.200,50", E103="8") == ["1200.50", None, "8"]
    assert employees.told("values_unreadable") == []


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("files", {"layout": "oneroster", "location": "x", "date_format": {"users": "dd/MM/yyyy"}}),
        ("oneroster", {"base_url": "https://x.example", "date_format": {"users": "dd/MM/yyyy"}}),
        ("sql", {"tables": {"users": {"columns": ["a"], "date_format": "%d/%m/%Y"}}}),
        (
            "rest",
            {
                "base_url": "https://x.example",
                "resources": {
                    "users": {"columns": ["a"], "path": "u", "date_format": "dd/MM/yyyy"}
                },
            },
        ),
        (
            "dlt",
            {
                "source": "x.y:z",
                "resources": {"users": {"columns": ["a"], "date_format": "DD/MM/YYYY"}},
            },
        ),
    ],
)
def test_a_form_is_declared_for_a_feed_of_whatever_kind_of_source(kind: str, said: dict) -> None:
    forms = {
        feed.name: feed.date_format
        for feed in source_of("one", {"kind": kind, **said}).layout.feeds
    }
    assert forms.pop("users") == "%d/%m/%Y"
    assert set(forms.values()) <= {""}


def test_a_last_day_before_the_first_is_told_and_ends_nobodys_employment(
    employees: Employees,
) -> None:
    assert employees.night(READABLE) == 0
    odd = {"E101": ("2015-09-01", "1900-01-01"), "E102": ("2015-09-01", "2006-06-30")}
    assert employees.night({**READABLE, **odd, "E109": ("2026-09-01", "2026-08-31")}) == 0
    assert employees.left() == {**ENDS, "E109": None}
    (told,) = employees.told("dates_before")
    assert (told["line"], told["column"]) == (2, "end_date")
    assert "3 values of end_date" in told["message"]
    assert "before the hire_date of the same row, in lines 2, 3, 10" in told["message"]
    assert employees.night({**READABLE, "E101": ("2026-09-01", "2026-09-01")}) == 0
    assert employees.left()["E101"] == "2026-09-01"


def test_every_value_a_model_casts_is_of_a_declared_type() -> None:
    """A date, answer or number that staging reads went through the gate, whatever the source."""
    cast = re.compile(r"(parse_date|to_boolean)\('source\.\"?([a-z_]+)\"?'\)")
    kinds = {"parse_date": "date", "to_boolean": "flag"}
    missing = []
    for model in (ROOT / "models" / "staging").glob("*/*.sql"):
        text = model.read_text()
        read = re.search(r"source\('([a-z]+)', '([a-z_]+)'\)", text)
        if model.parent.name in {"google", "microsoft", "targets", "homeroom"} or not read:
            continue
        feed = next(one for one in layout.load(read[1]).feeds if one.name == read[2])
        missing += [
            (model.stem, column)
            for macro, column in cast.findall(text)
            if feed.types.get(column) != kinds[macro]
        ]
    assert missing == []
