"""Whatever a file looks like: a sentence or right rows, never a crash, never a wrong row, and every
row accounted for.

Good files are cut, doubled, re-encoded, shuffled, given stray quotes, zero bytes and endless lines,
put into archives with tricks, and dropped where real ones are; the source is then read as in a
night (fetch, judge, the landing's reader; only dlt's load and the swap are left out, which every
other test of ingestion runs). What comes out is compared with what Python's csv reads from the good
file.

`make test` spends about 40 seconds here; HOMEROOM_PROPERTY_EXAMPLES=5000 looks longer.
"""

from __future__ import annotations

import csv
import io
import os
import random
import re
import zipfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from workbook import workbook

from common import paths, problems
from common.runs import Run
from ingestion import land, source
from ingestion.configured import FilesSource
from ingestion.layout import Layout, parse
from ingestion.model import Trusted
from ingestion.trust import Rules

EXAMPLES = int(os.environ.get("HOMEROOM_PROPERTY_EXAMPLES", "50"))
NIGHT = Run("a-night", Path(), date(2026, 9, 8), datetime(2026, 9, 8, 9, tzinfo=UTC))
HEADINGS = ["Student Number", "Surname", "First Name", "Homeroom", "Note"]
NAMES = ["student_number", "surname", "first_name", "homeroom", "note"]
SHAPES = {"student_number": "[0-9]{3,12}"}
FACTS = {
    "columns": HEADINGS,
    "required": HEADINGS[:3],
    "never_empty": HEADINGS[:1],
    "key": HEADINGS[:1],
}
ACCEPTED = {
    *source.EMPTY,
    "feed_encoding",
    "feed_encoding_fixed",
    "feed_no_workbook",
    "feed_workbook_refused",
    "feed_workbook_cut",
    "feed_workbook_unread",
    "feed_truncated",
    "feed_truncated_record",
    "feed_header",
    "feed_heading_twice",
    "feed_heading_unknown",
    "feed_no_heading_no_data",
    "feed_column_count",
    "feed_no_table",
    "feed_quote_signs",
    "feed_broke_off",
    "feed_column_missing",
    "feed_column_absent",
    "feed_rejects",
    "feed_fields",
    "feed_quoting",
    "feed_fixed_lines",
    "feed_delimiter",
    "feed_sep_line",
    "feed_title",
    "feed_lines_quoted",
    "feed_line_ends",
    "feed_padded",
    "feed_zero_bytes",
    *(code for code in problems.catalogue() if code.startswith("feed_is_")),
    "feed_collapsed",
    "feed_duplicate_key",
    "feed_shape",
    "feed_too_large",
    "feed_missing",
    "feed_archive",
    "feed_archive_twins",
    "feed_unstable",
}

values = st.text(alphabet=st.sampled_from(list("abzé’'Łß ,;|\t\"\r\n-.0")), max_size=12)
rows_of = st.lists(st.tuples(values, values, values, values), min_size=1, max_size=25).map(
    lambda rows: [[str(1000 + at), *row] for at, row in enumerate(rows)]
)
delimited = st.sampled_from([",", "\t", "|"])
encodings = st.sampled_from(["utf-8", "utf-8-sig", "cp1252"])


def written(rows: list[list[str]], delimiter: str, quoting: int = csv.QUOTE_MINIMAL) -> str:
    """A good file, as Python writes it."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator="\r\n").writerows(
        [HEADINGS, *rows]
    )
    return out.getvalue()


def read(text: str, delimiter: str) -> list[list[str | None]]:
    """What Python's csv makes of it."""
    return [
        [value or None for value in row]
        for row in list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))[1:]
    ]


# --- what happens to files ------------------------------------------------------------------------

Mutation = Callable[[bytes, random.Random], bytes]


def cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def doubled(content: bytes, chance: random.Random) -> bytes:
    return content + content[chance.choice([0, content.find(b"\n") + 1]) :]


def reencoded(content: bytes, chance: random.Random) -> bytes:
    text = content.decode("utf-8", "replace")
    return text.encode(
        chance.choice(["utf-16", "utf-16-le", "utf-32", "cp037", "latin-1", "cp1252", "mac-roman"]),
        "replace",
    )


def stray_quote(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + b'"' * chance.randint(1, 3) + content[at:]


def zero_bytes(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + b"\0" * chance.randint(1, 5) + content[at:]


def endless_line(content: bytes, chance: random.Random) -> bytes:
    at = content.find(b"\n") + 1
    return (
        content[:at]
        + b'"9","'
        + b"x" * chance.choice([70_000, 1_100_000, 10_500_000])
        + chance.choice([b'"\r\n', b"\r\n", b'","","",""\r\n'])
        + content[at:]
    )


def damaged(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def lines_moved(content: bytes, chance: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    chance.shuffle(lines)
    return b"".join(lines)


def columns_moved(content: bytes, chance: random.Random) -> bytes:
    """The columns in another order, headings and all."""
    return _moved(content, chance, headings_only=False)


def headings_moved(content: bytes, chance: random.Random) -> bytes:
    """The headings alone in another order."""
    return _moved(content, chance, headings_only=True)


def _moved(content: bytes, chance: random.Random, *, headings_only: bool) -> bytes:
    text = content.decode("utf-8", "replace")
    delimiter = max(",\t|", key=text.split("\n", 1)[0].count)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error:  # an endless line
        return content
    if not lines or len({len(line) for line in lines}) > 1:
        return content
    order = chance.sample(range(len(lines[0])), len(lines[0]))
    out = io.StringIO()
    moved = [
        line if headings_only and number else [line[at] for at in order]
        for number, line in enumerate(lines)
    ]
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(
        moved
    )
    return out.getvalue().encode("utf-8", "replace")


def as_decimals(content: bytes, chance: random.Random) -> bytes:
    """Student numbers as a spreadsheet writes them, some with their digits lost."""

    def written_so(found: re.Match[bytes]) -> bytes:
        digits = found[1]
        return chance.choice(
            [
                digits + b".0",
                digits + b".00",
                digits[:1] + b"." + digits[1:] + b"E+03",
                digits[:1] + b".0e3",
            ]
        )

    return re.sub(rb"\b(1[0-9]{3})\b", written_so, content, count=chance.choice([0, 1, 3]))


def other_line_ends(content: bytes, chance: random.Random) -> bytes:
    return content.replace(
        b"\r\n",
        chance.choice([b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r\n", b"\x0b", b"\xc2\x85"]),
    )


MUTATIONS: list[Mutation] = [
    cut,
    doubled,
    reencoded,
    stray_quote,
    zero_bytes,
    endless_line,
    damaged,
    lines_moved,
    columns_moved,
    headings_moved,
    as_decimals,
    other_line_ends,
]
MAY_SHIFT_VALUES = {
    reencoded,
    headings_moved,
    stray_quote,
    damaged,
    other_line_ends,
    cut,
    zero_bytes,
}  # what the bytes now say is something else


# --- reading them as a night does -----------------------------------------------------------------


def layout_of(**kind: object) -> Layout:
    return parse(
        "wild",
        {
            "archives": ["*.zip"],
            "limits": {"megabytes": 20},
            "numbers": HEADINGS[:1],
            "shapes": SHAPES,
            "feeds": {"people": {"files": ["People*"], **FACTS, **kind}},
        },
    )


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wild")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMEROOM_VAR", str(folder / "var"))
        paths.var()
        yield folder


def night(var: Path, layout: Layout, name: str, content: bytes) -> source.Outcome:
    """Drop a file, fetch and judge it; the account of a trusted one must balance."""
    drop = var / "drop"
    drop.mkdir(exist_ok=True)
    for old in drop.iterdir():
        old.unlink()
    (drop / name).write_bytes(content)
    read_from = source.Source("wild", FilesSource(kind="files", location=str(drop)), layout)
    feed = layout.feeds[0]
    outcome = source._judge(read_from, feed, source._fetch(read_from).feeds[feed.name], Rules())
    if isinstance(outcome, Trusted):
        assert outcome.rows_in == outcome.good + len(outcome.rejects)
        assert all(
            reject.reason and reject.line >= 1 and len(reject.sha256) == 64
            for reject in outcome.rejects
        )
    else:
        assert isinstance(outcome, source.NotLanded)
        assert outcome.code in ACCEPTED
        assert not problems.sentence(outcome.code, outcome.values).endswith(".")
    return outcome


def landed(trusted: Trusted) -> list[list[str | None]]:
    """The rows the landing hands to dlt, each with its line; as many as the account says."""
    path = land._as_parquet(trusted, NIGHT, NIGHT.started_at, trusted.clean.with_suffix(".parquet"))
    rows = pq.read_table(path).to_pylist()
    assert len(rows) == trusted.good
    lines = [row["_line"] for row in rows]
    assert lines == sorted(set(lines)) and not set(lines) & {
        reject.line for reject in trusted.rejects
    }
    return [[row[name] for name in NAMES] for row in rows]


looks = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.function_scoped_fixture,
    ],
)


@looks
@given(
    rows=rows_of,
    delimiter=delimited,
    encoding=encodings,
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    order=st.permutations(range(5)),
)
def test_a_good_file_lands_exactly_the_rows_python_reads(
    var: Path, rows, delimiter, encoding, quoting, order
) -> None:
    """In any encoding, delimiter, quoting and order of columns, the headings being there."""
    text = written(rows, delimiter, quoting)
    expected = read(text, delimiter)
    lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator="\r\n").writerows(
        [[line[at] for at in order] for line in lines]
    )
    content = out.getvalue().encode(encoding, "xmlcharrefreplace")
    if (
        encoding == "cp1252"
    ):  # which has no Ł, and whose é’ may be the bytes of one UTF-8 character: nobody can tell
        assume(not re.search(rb"[\xc2-\xf4][\x80-\xbf]", content))
        expected = [
            [
                value and value.encode("cp1252", "xmlcharrefreplace").decode("cp1252")
                for value in row
            ]
            for row in expected
        ]
    outcome = night(var, layout_of(delimiters=[",", "\t", "|"]), "People.csv", content)
    assert isinstance(outcome, Trusted), outcome
    assert landed(outcome) == expected
    assert outcome.rejects == ()


@looks
@given(
    rows=rows_of,
    delimiter=delimited,
    seed=st.integers(0, 1 << 30),
    which=st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=2),
)
def test_a_mutated_file_is_a_sentence_or_right_rows(
    var: Path, rows, delimiter, seed, which
) -> None:
    text = written(rows, delimiter, csv.QUOTE_ALL)
    content, chance = text.encode(), random.Random(seed)
    for mutation in which:
        content = mutation(content or b"\n", chance)
    outcome = night(var, layout_of(delimiters=[",", "\t", "|"]), "People.csv", content)
    if not isinstance(outcome, Trusted):
        return
    found = landed(outcome)
    if not MAY_SHIFT_VALUES & set(which):
        # Rows were moved, repeated or put between others: each one that lands is one that was
        # there.
        good = Counter(map(tuple, read(text, delimiter)))
        assert not [row for row in map(tuple, found) if row[0] != "9" and row not in good]
    assert len({row[0] for row in found}) == len(found), "no key twice"


@looks
@given(
    rows=rows_of,
    seed=st.integers(0, 1 << 30),
    at=st.integers(0, 24),
    quote=st.sampled_from(['"', '""', '"x', 'x"', ' "']),
)
def test_a_stray_quote_costs_its_own_lines_and_changes_nobody_elses(
    var: Path, rows, seed, at, quote
) -> None:
    """The lines before and behind it are landed as they were, or the file is refused."""
    plain = [
        [value.replace("\r", "").replace("\n", "").replace('"', "") for value in row]
        for row in rows
    ]
    lines = written(plain, ",", csv.QUOTE_ALL).split("\r\n")
    at = 1 + at % len(plain)
    place = random.Random(seed).randrange(len(lines[at]) + 1)
    lines[at] = lines[at][:place] + quote + lines[at][place:]
    outcome = night(var, layout_of(), "People.csv", "\r\n".join(lines).encode())
    if isinstance(outcome, Trusted):
        expected = [[value or None for value in row] for row in plain]
        others = [row for number, row in enumerate(expected, 1) if number != at]
        found = landed(outcome)
        assert [row for row in found if row in others] == others or len(outcome.rejects) > 0
        assert len([row for row in found if row not in others]) <= 1


@looks
@given(
    rows=rows_of,
    seed=st.integers(0, 1 << 30),
    mutated=st.booleans(),
    kind=st.sampled_from(["excel", "fixed", "zip"]),
)
def test_other_kinds_of_files_are_a_sentence_or_the_same_rows(
    var: Path, rows, seed, mutated, kind
) -> None:
    chance = random.Random(seed)
    rows = [[value.strip() for value in row] for row in rows]
    if kind == "fixed":
        rows = [
            [
                "".join(value.replace("\r", "").replace("\n", "").split("\t")).strip()
                for value in row
            ]
            for row in rows
        ]
        text = "".join(
            "".join(f"{value:14}" for value in row) + "\r\n" for row in [HEADINGS, *rows]
        )
        content, name, layout = (
            text.encode(),
            "People.txt",
            layout_of(format="fixed", positions=["1-14", "15-28", "29-42", "43-56", "57-70"]),
        )
    elif kind == "excel":
        rows = [[value.replace("\r", "") for value in row] for row in rows]
        content, name, layout = (
            workbook(Sheet=[HEADINGS, *rows]),
            "People.xlsx",
            layout_of(format="excel"),
        )
    else:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr(
                chance.choice(["People.csv", "a/People.csv"]), written(rows, ",", csv.QUOTE_ALL)
            )
            if mutated:
                if chance.random() < 0.1:
                    packed.writestr("People2.csv", b"0" * 15_000_000)  # a bomb
                packed.writestr(
                    chance.choice(
                        [
                            "../x",
                            "/x",
                            "a\\..\\..\\x",
                            "b/",
                            "C:\\x",
                            "x.zip",
                            "x" * 300,
                            "People.CSV",
                            "\u202e.csv",
                        ]
                    ),
                    b"x",
                )
        content, name, layout = out.getvalue(), "People.zip", layout_of()
    if mutated:
        content = chance.choice([cut, damaged, doubled, zero_bytes, lambda same, _: same])(
            content, chance
        )
    outcome = night(var, layout, name, content)
    if not mutated:
        assert isinstance(outcome, Trusted), outcome
    if isinstance(outcome, Trusted):
        found, expected = landed(outcome), [[value or None for value in row] for row in rows]
        if (
            kind != "fixed" or not mutated
        ):  # archives and workbooks carry checksums: what opens is what was packed
            assert found == expected
