"""Text of others, drawn: whatever a heading, a file name, an answer or a record holds, no terminal,
page, mail, chat or log takes any of it for an order.
"""

from __future__ import annotations

import contextlib
import csv
import html
import io
import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from library_kit import SCHOOLS, Library, schools
from night_kit import feed, night
from rich.markup import escape

from common import findings, log, problems
from common.findings import Finding
from common.printable import lines, printable, without_values
from common.terminal import Terminal, streams
from ingestion.heading import understood
from ingestion.layout import load
from ingestion.model import RefusedError
from operations import alerts, channels, page
from reverse_etl import show

ROOT = Path(__file__).resolve().parents[2]
# what a terminal, a browser or a chat could take for an order, by Unicode's own classes
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
HOSTILE = (
    "\x1b[2J\x1b[31mdone\x1b[0m",
    "\x1b]0;owned\x07",
    "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "\x9b31mred",
    "all well\r\nSubject: forged",
    "\u202egnp.exe",
    "a\u2066b\u2069c\u200fd\u061ce",
    "zero\u200bwidth\ufeff\u00ad",
    "nul\0bell\adel\x7f\x08\x08\x08",
    "\u2028\u2029\u0085",
    "\udcff\udcfe.csv",
    "\U000e0041\U000e0042",
    "[red]x[/] [/nothing] [link=https://evil.example]y[/link]",
    "[here](https://evil.example/x) ![p](http://evil.example/p.png)",
    "<https://evil.example|here> <!channel> <@U1> www.evil.example evil.example/x",
    "<script>alert(1)</script>'\"&",
    "{file} {why} {0} %s %(x)s $HOME `id`",
)
hostile = st.sampled_from(HOSTILE) | st.text(
    st.characters() | st.sampled_from("".join(HOSTILE)), min_size=1, max_size=60
)
drawn = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def unseen(text: str, *, but: str = "\n") -> set[str]:
    return {c for c in text if unicodedata.category(c) in UNSEEN and c not in but}


def every(draw=hostile, examples=60):
    """The drawn one, and every one we know by name."""

    def with_examples(test):
        for one in HOSTILE:
            test = example(one)(test)
        return settings(drawn, max_examples=examples)(given(draw)(test))

    return with_examples


def found(text: str) -> Finding:
    return Finding(
        "unmatched_file",
        {"files": "1 file", "where": text, "names": text},
        source="myedbc",
        file=text,
        key=text,
        column=text,
    )


@every()
def test_what_can_be_seen_stays_and_what_cannot_is_its_escape(text: str) -> None:
    said = printable(text)
    assert not unseen(said, but="")
    assert printable(said) == said, "twice is once"
    assert (
        said == text
        or unseen(text, but="")
        or set(text) & set("\xa0\u3000")
        or "\n" in said
        or (any(unicodedata.category(c) == "Zs" for c in text))
    )
    assert not unseen(lines(text), but="\n\t\r")


def test_a_byte_that_is_no_utf8_is_shown_as_that_byte() -> None:
    assert printable(os.fsdecode(b"Sch\xfcler \xff.csv")) == "Sch\\xfcler \\xff.csv"
    assert printable("Zoë 王 Ḵ̓ [x] ’") == "Zoë 王 Ḵ̓ [x] ’"
    assert printable("\x1b[1m\u202e\n\U000e0041") == "\\x1b[1m\\u202e\\n\\U000e0041"


@every()
def test_a_finding_and_a_reason_hold_and_say_nothing_unseen(text: str) -> None:
    one = found(text)
    told = json.dumps([one.message, one.action, one.key, one.file, one.column, dict(one.values)])
    assert not unseen("".join(json.loads(told)[:5]) + "".join(json.loads(told)[5].values()), but="")
    why = problems.Reason("changes_held", {"why": text})
    assert not unseen(str(why) + why.json + problems.said(why.json), but="")
    refused = RefusedError("feed_archive", {"file": text, "why": text})
    assert not unseen(str(refused) + str(refused.values["file"]), but="")


@every()
def test_a_log_is_one_line_whose_fields_nobody_forges(text: str) -> None:
    out, before = io.StringIO(), sys.stderr
    sys.stderr = out
    try:
        log.event("feed_refused", file=text, status="refused")
    finally:
        sys.stderr = before
    said = out.getvalue()
    assert not unseen(said) and said.count("\n") == 1
    assert re.sub(r'"[^"]*"', "", said).count("status=") == 1


@every()
def test_a_terminal_shows_it_and_obeys_nothing(text: str) -> None:
    raw = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    before, sys.stdout = sys.stdout, raw
    try:
        with streams():
            print("plain", text)
            Terminal(no_color=True, width=400).print(text, markup=False, highlight=False)
            Terminal(no_color=True, width=400).print(f"[bold]{escape(text)}[/]", highlight=False)
    finally:
        sys.stdout = before
    raw.flush()
    said = raw.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert not unseen(said, but="\n\t\r ")


def test_a_terminal_of_few_letters_ends_nothing(monkeypatch) -> None:
    raw = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", raw)
    with streams():
        print("Zoë \udcff")
    raw.flush()
    assert raw.buffer.getvalue() == b"Zo\\xeb \\xff\n"  # type: ignore[attr-defined]


def test_every_verb_prints_through_it() -> None:
    """By what a verb says of a word somebody typed."""
    for room, verb in (
        ("ingestion", ["--source"]),
        ("reverse_etl", ["show", "--run"]),
        ("operations", ["rehearse"]),
    ):
        ended = subprocess.run(
            [sys.executable, "-m", room, *verb, "\x1b[31mx\u202e"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode and "\\x1b[31mx\\u202e" in ended.stderr + ended.stdout
        assert not unseen(ended.stderr + ended.stdout)


@every(examples=10)
def test_a_page_a_mail_and_a_chat_hold_nothing_unseen_and_a_chat_no_link(
    tmp_path_factory, text: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMEROOM_VAR", str(tmp_path_factory.mktemp("var")))
        run, summary = night(0, exit_code=3, found=(found(text),), feeds=[feed()])
        written = page.write(run, summary).read_text(encoding="utf-8")
        assert not unseen(html.unescape(written), but="\n")
        assert "<script>alert" not in written
        message = alerts.compose(summary, findings.read(run), [], True, "operator")
        assert not unseen(message.subject, but="") and not unseen(message.text)
        posted: list[dict] = []
        patch.setattr(channels, "_post", lambda url, body: posted.append(body))
        for kind in ("slack", "teams", "webhook"):
            channels.CHANNELS[kind]("https://chat.example", message)
        for body in posted:
            said = json.dumps(body, ensure_ascii=False).replace(
                '"http://adaptivecards.io/schemas/adaptive-card.json"', ""
            )
            assert not re.search(r"(?i)[a-z]://|\]\(|www\.|evil\.example/", said), said
            assert not unseen(said)
        assert "<" not in posted[0]["text"], "Slack's own signs"


def test_the_page_of_the_district_stays_a_link_in_a_chat(monkeypatch) -> None:
    monkeypatch.setattr(
        channels.routes, "alerts", lambda: channels.routes.Alerts(page_url="https://h.example/p/")
    )
    said = channels.Message(
        "s", "https://h.example/p/1.html https://h.example/p.evil.example/x", "info", ""
    )
    assert said.without_links().text == (
        "https://h.example/p/1.html https[:]//h[.]example/p[.]evil[.]example/x"
    )


@every()
def test_a_plan_on_paper_holds_nothing_unseen(text: str) -> None:
    row = {**dict.fromkeys(show.COLUMNS, ""), "reason": text, "new": text, "key": text}
    table = list(csv.DictReader(io.StringIO(show._csv([row]))))
    assert not unseen("".join(table[0].values()), but="")
    assert not table[0]["reason"].startswith(("=", "+", "-", "@"))


# ---------------------------------------------------------------- where it enters


def test_a_file_whose_name_is_not_utf8_or_an_order_stops_nobody_else(library: Library) -> None:
    library.good_night()
    folder = os.fsencode(library.folder)
    for name in (b"Sch\xfcler.csv", b"\x1b[2Jx.csv", "\u202evsc.txt".encode(), b"two\nlines.csv"):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"x\n")
    library.drop(Schools=schools() + f"{SCHOOLS[0]}9,New,Hope\r\n")
    more = (library.folder / "Loans.csv").read_bytes() + b"10001,Book 99\r\n"
    Path(os.fsdecode(folder + b"/Loans \xff.csv")).write_bytes(more)
    assert library.ingest() == 0
    assert library.feed("schools")["status"] == library.feed("loans")["status"] == "loaded"
    assert library.feed("loans")["file"] == "Loans \\xff.csv"
    told = {one["code"]: one["message"] for one in library.findings()}
    for name in ("Sch\\xfcler.csv", "\\x1b[2Jx.csv", "\\u202evsc.txt", "two\\nlines.csv"):
        assert name in told["unmatched_file"]
    assert "Loans \\xff.csv" in told["several_files"]
    assert not unseen(library.said()) and not unseen("".join(told.values()), but="")


@every(hostile.filter(lambda text: text.strip()))
def test_a_heading_is_told_printable_and_a_value_in_its_place_is_not_told(text: str) -> None:
    feed = next(one for one in load("myedbc").feeds if one.name.startswith("student_demographic"))
    headings = [column.heading for column in feed.columns]
    people = ["Zz-Canaria@example.org", "250-555-0177", "2011-11-11", "11 11 2011", "123456789"]
    heading = understood("s", feed, text, [(",", [*headings, text, *people])])
    said = json.dumps([one.message for one in heading.findings], ensure_ascii=False)
    assert not unseen(said)
    assert not any(value in said for value in people)
    assert f"(column {len(headings) + 3})" in said


CELLS = ("O'Brien Canaryson", 'Zz "Zzz" Canaria', "250-555-0177", "2011-11-11", "Ava\nCampbell")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "words",
    [
        "Runtime Error in model x (models/x.sql)\n  Conversion Error: Could not convert string"
        " '{}' to DATE when casting from source column birth_date\n  LINE 5: select '{}'",
        'Constraint Error: Duplicate key "name: {}" violates primary key constraint',
        "Invalid Input Error: CSV Error on Line: 5\nOriginal Line: 1,{},2\nExpected 3 columns",
        "ERROR: duplicate key\nDETAIL: Key (name)=({}) already exists.",
        "Conversion Error: Could not convert string '{}",
    ],
)
def test_the_words_of_a_database_are_told_without_the_row_they_quote(words, cell) -> None:
    said = without_values(words.replace("{}", cell))
    assert "Error" in said or "ERROR" in said
    for part in re.findall(r"[\w-]{4,}", cell):
        assert part not in said
    assert without_values('Binder Error: column "grade" is not there') == (
        'Binder Error: column "grade" is not there'
    )


BREAKS = """
import runpy, sys
def breaks(*_, **__):
    raise ValueError(("2734160", "Canary" + "son", "2011-" + "11-11"))
{patch} = breaks
sys.argv = {words!r}
runpy.run_module({words[0]!r}, run_name="__main__", alter_sys=False)
"""


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ("import operations.schedule; operations.schedule.cron", "operations install --show cron"),
        ("import operations.retention; operations.retention.past", "operations retention"),
        ("import reverse_etl.check; reverse_etl.check.check", "reverse_etl check"),
        ("import common.access; common.access.begin", "reverse_etl show"),
        ("import common.access; common.access.begin", "ingestion check"),
    ],
)
def test_no_verb_tells_the_row_an_error_nobody_expected_quotes(
    patch: str, words: str, tmp_path: Path
) -> None:
    """By the verbs themselves: a library for commands has a hook of its own."""
    said = subprocess.run(
        [sys.executable, "-c", BREAKS.format(patch=patch, words=words.split())],
        cwd=ROOT,
        env=os.environ | {"HOMEROOM_VAR": str(tmp_path / "var")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 1
    assert "ValueError" in said.stderr, said.stderr
    assert not re.search("2734160|Canaryson|2011-11", said.stdout + said.stderr), said.stderr


def test_an_error_nobody_expected_is_told_without_the_row_it_quotes() -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import duckdb\nfrom common.terminal import streams\n"
            "with streams():\n"
            "    try:\n        int('Canaryson')\n"
            "    except ValueError as error:\n"
            "        duckdb.sql(\"select cast('O''Canaria 2011-11-11' as date)\").fetchall()",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 1
    assert "ConversionException" in said.stderr and "ValueError" in said.stderr
    told = re.sub(r"(?m)^    .*$", "", said.stderr)  # a line of code is no row
    assert not re.search(r"Canaryson|Canaria|2011", told)


BARS = """
from common.terminal import progress, streams
with streams():
    bars = progress()
    if bars is None:
        print("nobody looks on")
    else:
        with bars:
            task = bars.add_task("build", total=3, words="students")
            print({hostile!a})
            bars.update(task, completed=3)
            print("not ended", end="")
"""


@pytest.mark.parametrize("hostile", HOSTILE[:5])
def test_a_bar_is_drawn_and_what_is_printed_meanwhile_stands_above_it_as_text(hostile):
    code = BARS.format(hostile=hostile)
    drawn = bytearray()
    child, terminal = pty.fork()
    if not child:
        os.environ |= {"TERM": "xterm", "COLUMNS": "80"}
        os.execv(sys.executable, [sys.executable, "-c", code])
    with contextlib.suppress(OSError):  # how Linux says that the other end is closed
        while read := os.read(terminal, 65536):
            drawn += read
    assert os.waitpid(child, 0)[1] == 0, drawn
    said = drawn.decode()
    assert "3/3" in said and "\\x1b[2K" not in said  # drawn, not described
    assert escaped_in(said, hostile) and "not ended" in said
    elsewhere = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert elsewhere.stdout == "nobody looks on\n"


def escaped_in(said: str, hostile: str) -> bool:
    """Every line of it stands there as `lines` words it, and its orders do not."""
    return all(line in said for line in lines(hostile).splitlines()) and hostile not in said
