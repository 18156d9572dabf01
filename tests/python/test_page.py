"""The page of a run, as a browser has it: content, links, nothing from outside, contrast, size."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pytest
from night_kit import feed, finding, night

from common import paths, problems
from common.terminal import Terminal
from operations import acknowledged, history, interventions, page, page_rows, report


@pytest.fixture(autouse=True)
def _state(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))


class Read(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def rows(self) -> list[page_rows.Row]:
        """What it opens and searches beyond what it shows."""
        return page_rows.unpacked(re.search(r"\b(H4sI[\w+/=]+)", self.text)[1])


def written(number: int = 0, **how) -> Read:
    return Read(page.write(*night(number, **how)))


def test_the_night_in_five_lines_comes_first():
    refused = finding(
        "critical", "feed_refused", "Feed student_schedule is empty.", owner="operator"
    )
    read = written(
        exit_code=2,
        held=300,
        found=(finding(), refused),
        feeds=[feed(), feed("student_schedule", "refused", 0)],
    )
    lines = re.search(r"Held: some.*?It took [^\n]*", read.text, re.S).group().split("\n")
    assert [line.strip() for line in lines if line.strip()] == [
        "Held: some changes wait for a person. Feed student_schedule is empty.",
        "40 changes applied in 40 write calls; 300 changes held for a person, nothing failed."
        " Read back: 4,600 rows equal their export, 300 wait (300 over a limit), 100 differ.",
        "2 feeds expected: 1 loaded, 0 unchanged, 1 refused or missing.",
        "For a person to look at: 1 critical finding, 1 warning.",
        "It took 1 min 50 s.",
    ]


@pytest.mark.parametrize("code", [1, 2, 3])
def test_a_night_that_could_not_begin_does_not_say_that_changes_wait(code, capsys):
    """As one whose ledger is damaged, whose disk is full."""
    run, summary = night(3, exit_code=code)
    never = summary | {"steps": [], "targets": [], "feeds": []}
    assert page.headline(summary) != page.NOT_BEGUN
    assert page.headline(never) == "Not begun: nothing was read and nothing was written."
    report.show(run, never, Terminal())
    said = " ".join(capsys.readouterr().out.split())
    assert "not begun, nothing was read and nothing was written" in said
    assert "wait for a person" not in said


def test_findings_stand_under_who_can_mend_them_the_worst_first():
    read = written(
        found=(
            finding("info", "a_note", owner="analyst"),
            finding(),
            finding(),
            finding("critical", "feed_refused", "Refused.", owner="operator"),
        )
    )
    assert re.findall(r"(Operator|School office|Analyst)\n", read.text) == [
        "Operator",
        "School office",
        "Analyst",
    ]
    assert "× 2" in read.text


def test_a_value_from_a_feed_is_text_and_never_markup():
    read = written(found=(finding(message="Column <script>alert(1)</script> & co."),))
    assert "Column <script>alert(1)</script> & co." in read.text
    assert [one.get("type", "") for one in read.all("script")] == [
        "application/octet-stream",  # its rows
        "",  # its own search
    ]
    assert "innerHTML" not in Path(page.__file__).with_name("page.js").read_text(encoding="utf-8")


def test_an_address_in_a_key_a_message_or_a_feed_is_not_shown(tmp_path):
    """A vendor's key may be a parent's address; and so may what a message quotes."""
    written(
        found=(
            finding(key="wei.o'neill+kids@example.org", message="<zoë@bücher.example> is taken."),
            finding("critical", "mailed", "mail to: Maya.Li@sub.example.co.uk."),
        ),
        feeds=[feed(message='file "bob@example.net", line 3')],
    )
    for path in (tmp_path / "var" / "pages").iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"example\.|b.cher|neill|zo.\b|Maya|bob", text), path
    assert "key …" in text or "…" in Read(path).text


def test_the_folder_of_pages_holds_pages_and_nothing_else_and_latest_is_the_newest(tmp_path):
    first = night(0)
    page.write(*first)
    written(1, exit_code=3)
    folder = tmp_path / "var" / "pages"
    old, new = sorted(folder.glob("2*.html"))
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [old.name, new.name, "index.html", "latest.html"]
    )
    assert (folder / "latest.html").read_bytes() == new.read_bytes() != old.read_bytes()
    assert not list((tmp_path / "var" / "runs").rglob("*.html"))
    (tmp_path / "var" / "runs" / "latest").symlink_to(new.stem)
    page.write(*first)
    assert (folder / "latest.html").read_bytes() == new.read_bytes(), "an older run once more"


def test_nothing_is_loaded_from_outside_and_every_link_leads_somewhere(tmp_path):
    written()
    path = next((tmp_path / "var" / "pages").glob("2*.html"))
    for each in (path, tmp_path / "var" / "pages" / "index.html"):
        read, source = Read(each), each.read_text(encoding="utf-8")
        assert "default-src 'none'" in source
        assert not re.findall(r"(?:https?:)?//[a-z0-9]", source)
        assert "@import" not in source and "url(" not in source
        ids = {attributes["id"] for _, attributes in read.tags if "id" in attributes}
        for link in read.all("a"):
            target = link["href"]
            assert (
                target[1:] in ids if target.startswith("#") else (each.parent / target).is_file()
            ), target


def test_a_screen_reader_finds_its_way():
    read = written()
    assert [attributes.get("lang") for attributes in read.all("html")] == ["en"]
    assert all("scope" in heading for heading in read.all("th"))
    assert all("aria-label" in field for field in read.all("input"))
    written(1)
    read = written(2)
    # six of the night, two of its target, one of its source
    assert len(read.all("svg")) == 9 and all(
        drawing["role"] == "img" and drawing["aria-label"] for drawing in read.all("svg")
    )


def _luminance(color: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_colour_of_text_stands_out_from_its_ground():
    """WCAG 2.2, 1.4.3: at least 4.5 to 1, by day and by night."""
    template = Path(page.__file__).with_name("page.html").read_text(encoding="utf-8")
    themes = re.findall(r":root \{ (--paper[^}]*--accent[^}]*)\}", template)
    assert len(themes) == 2
    for theme in themes:
        colors = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", theme))
        for text in ("ink", "soft", "good", "warn", "bad", "accent"):
            for ground in ("paper", "card"):
                light, dark = sorted(
                    (_luminance(colors[text]), _luminance(colors[ground])), reverse=True
                )
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground, colors)


def test_a_night_with_thirty_thousand_findings_stays_a_small_page(tmp_path):
    found = tuple(
        finding("info", f"kind_{number % 40}", key=str(1000000 + number), school_number="07474001")
        for number in range(30_000)
    )
    written(found=found)
    path = next((tmp_path / "var" / "pages").glob("2*.html"))
    assert path.stat().st_size < 2_000_000
    assert "710 more of this kind stand in audit.findings; the search" in Read(path).text
    assert {row[2] for row in Read(path).rows} == {str(1000000 + n) for n in range(30_000)}


def test_what_is_far_from_its_own_past_is_called_unusual():
    for number in range(10):
        night(number, applied=38 + number % 5)
    _, ordinary = night(10, applied=41)
    assert history.unusual(ordinary, history.nights(before=ordinary["run_id"])) == []
    read = written(11, applied=900, build_seconds=300)
    assert "changes applied: 900 tonight, usually about 40" in read.text
    assert "seconds of build: 300 tonight, usually about 42" in read.text


def test_the_index_lists_every_run_and_links_the_pages_there_are(tmp_path):
    night(0)
    written(1, exit_code=3)
    read = Read(tmp_path / "var" / "pages" / "index.html")
    assert len(read.all("tr")) == 3
    assert len([link for link in read.all("a") if link["href"].startswith("2")]) == 1
    assert "partly" in read.text


def published(*changes: tuple[str, ...]) -> None:
    """A published copy with these changes of the first night: target, entity, key, subject,
    partition, action, status, reason.
    """
    paths.published().parent.mkdir(parents=True, exist_ok=True)
    run_id = "20261001T090000Z-0000"
    with duckdb.connect(str(paths.published())) as connection:
        connection.execute("create schema audit; create schema ledger_audit")
        connection.execute(
            "create table ledger_audit.changes (run_id text, target text, entity text, key text,"
            " subject text, partition text, action text, status text, reason text, hold text)"
        )
        connection.executemany(
            "insert into ledger_audit.changes values (?, ?, ?, ?, ?, ?, ?, ?, ?, null)",
            [[run_id, *change] for change in changes],
        )
        connection.execute(
            "create table audit.known_as as select 'p1' as subject, word as known_as,"
            " 'student 1234567, school 07474001, grade 02' as about"
            " from (values ('1234567'), ('zoe.li')) as words(word)"
        )
        connection.execute(
            "create view audit.changes_by_partition as select run_id, partition, 'Cedar' as name,"
            " action, status, count(*) as changes from ledger_audit.changes group by all"
        )


NEW = problems.Reason("change_new").json
RENAMED = problems.Reason("columns_in_source", {"columns": "given_name"}).json
CHANGES = (
    ("google", "users", "p1", "p1", "07474001", "update", "applied", RENAMED),
    ("google", "members", "grade-1|p1", "p1", "07474001", "create", "held", NEW),
    ("callout", "contacts", "zoe@example.org|1", "p2", "07474002", "create", "applied", NEW),
)


def test_every_change_is_on_the_page_by_the_keys_of_its_person_and_no_address():
    published(*CHANGES)
    found = tuple(finding(key=str(7000000 + number)) for number in range(50))
    rows = written(found=found).rows
    assert rows[50:] == [
        ("callout contacts", "07474002", "…|1", "", "create, applied", "new in source"),
        (
            "google members",
            "07474001",
            "grade-1|p1",
            "student 1234567",
            "create, held",
            "new in source",
        ),
        (
            "google users",
            "07474001",
            "p1",
            "student 1234567",
            "update, applied",
            "changed in source: given_name",
        ),
    ]
    assert {row[2] for row in rows[:50]} == {str(7000000 + number) for number in range(50)}


def test_every_target_and_school_has_a_button_that_opens_its_changes():
    published(*CHANGES)
    buttons = written().all("button")
    assert {one["data-part"] for one in buttons if "data-part" in one} == {"google users"}
    assert {one["data-partition"] for one in buttons if "data-partition" in one} == {
        "07474001",
        "07474002",
    }
    assert all(one["aria-expanded"] == "false" and one["type"] == "button" for one in buttons)


def test_on_a_phone_every_cell_says_what_it_is(tmp_path):
    published(*CHANGES)
    written(held=5)
    for path in (tmp_path / "var" / "pages").iterdir():
        cells = Read(path).all("td")
        assert cells
        assert all("data-label" in c or "colspan" in c or c.get("class") == "none" for c in cells)


def test_times_are_the_districts_with_utc_beside():
    assert page._moment("2026-10-01T09:00:00+00:00") == "2026-10-01 02:00 PDT (09:00 UTC)"
    assert (
        page._moment("2026-12-02T03:30:00+00:00") == "2026-12-01 19:30 PST (2026-12-02 03:30 UTC)"
    )
    assert page._moment(None) == "–"


def test_each_target_and_source_has_charts_over_sixty_nights():
    for number in range(70):
        night(number, applied=number, feeds=[feed() | {"age_days": number % 3}])
    run, summary = night(70, exit_code=3)
    past = history.nights(before=run.run_id)
    drawn = dict(page.trends([*past, summary]))
    labels = {about: [one["label"] for one in some] for about, some in drawn.items()}
    assert labels["Each target"] == [
        "google: changes applied",
        "google: rows equal to their export",
    ]
    assert labels["Each source"] == ["myedbc: age of its oldest feed"]
    assert "Duration" in labels["The night"]
    equal = drawn["Each target"][1]
    assert len(past) == 60 and equal["points"][0] == ("2026-10-11", 1.0)
    assert (equal["low"], equal["last"]) == (98.0, 98.0), "100 of 5,000 rows differ, as percent"
    assert drawn["Each source"][0]["high"] == 2


# --- acknowledged ---------------------------------------------------------------------------------


SOON = str((datetime.now(UTC) + timedelta(days=30)).date())


def test_what_somebody_answers_for_stands_apart_until_its_day_with_who_and_why(monkeypatch):
    run, summary = night(0, found=(finding(key="1"), finding(key="2"), finding(key="3|1")))
    said = acknowledged.acknowledge(
        acknowledged.Which("student_without_address", key="1"), SOON, "the family moves"
    )
    assert said.startswith("2 findings, student_without_address of 1: acknowledged until " + SOON)
    assert said.endswith(": the family moves")
    text = Read(page.write(run, summary)).text
    assert "For a person to look at: 1 warning. 2 findings acknowledged." in text
    assert re.search(rf"× 2 · acknowledged until {SOON} by \S+: the family moves", text)
    later = datetime.now(UTC) + timedelta(days=32)
    assert acknowledged.in_force(later) == [], "told again from its day"
    acknowledged.acknowledge(
        acknowledged.Which("student_without_address", key="1"), "2020-01-01", ""
    )
    assert acknowledged.in_force() == [], "and when it was taken back"


@pytest.mark.parametrize(
    ("which", "until", "why", "says"),
    [
        ({"code": "student_without_adress"}, SOON, "x", "did you mean student_without_address?"),
        ({"code": "student_without_address", "key": "9"}, SOON, "x", "none of it is"),
        ({"code": "student_without_address"}, SOON, " ", "add WHY"),
        ({"code": "student_without_address"}, "soon", "x", "'soon' is no date"),
        ({"code": "student_without_address"}, "", "x", "say until when: UNTIL="),
        ({"code": "student_without_address"}, "2020-01-01", "x", "is past"),
    ],
)
def test_an_acknowledgement_that_makes_no_sense_is_refused(which, until, why, says):
    night(0, found=(finding(key="1"),))
    with pytest.raises(interventions.InterventionError, match=says):
        acknowledged.acknowledge(acknowledged.Which(**which), until, why)
    assert interventions.lines() == []


# --- in a browser ---------------------------------------------------------------------------------

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
in_a_browser = pytest.mark.skipif(not BROWSER, reason="no Chromium on this machine")


def lived(tmp_path: Path, script: str, *frames: tuple[int, bool]) -> list[str]:
    """What the page is after a script, in frames so wide, by day or by night: a window of the
    browser has a least width.
    """
    source = next((tmp_path / "var" / "pages").glob("2*.html")).read_text(encoding="utf-8")
    outer = tmp_path / "outer.html"
    shown = ""
    for number, (width, dark) in enumerate(frames):
        answer = f"parent.postMessage([{number}, document.documentElement.outerHTML], '*')"
        waits = f"<script>(async function(){{{script};{answer}}})();</script></body>"
        inner = tmp_path / f"inner{number}.html"
        theme = "@media all" if dark else "@media not all"
        themed = source.replace("@media (prefers-color-scheme: dark)", theme)
        inner.write_text(themed.replace("</body>", waits), encoding="utf-8")
        style = f"border:0;width:{width}px;height:900px"
        shown += f'<iframe src="{inner.name}" style="{style}"></iframe><pre></pre>'
    heard = "document.querySelectorAll('pre')[e.data[0]].textContent = e.data[1]"
    outer.write_text(f"{shown}<script>onmessage = e => {heard}</script>", encoding="utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu"]
    command += ["--virtual-time-budget=5000", "--dump-dom", outer.as_uri()]
    seen = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True).stdout
    dumped = [html.unescape(one) for one in re.findall(r"<pre>(.*?)</pre>", seen, re.S)]
    assert dumped and all(dumped), "the page said nothing"
    return dumped


SETTLED = "await new Promise(done => setTimeout(done, 500))"


@in_a_browser
def test_a_real_browser_searches_everything_of_the_night(tmp_path):
    published(*CHANGES)
    written(found=(finding(key="1234567", message="One."), finding(key="7654321", message="Two.")))
    typed = (
        "var f = document.getElementById('search'); f.value = '1234567';"
        f" f.dispatchEvent(new Event('input')); {SETTLED}"
    )
    (seen,) = lived(tmp_path, typed, (1440, False))
    assert "1 row of this page and 3 rows of the night with “1234567”" in seen
    beyond = re.search(r'<div id="beyond".*?</ul>', seen, re.S)[0]
    assert "google users: update, applied" in beyond and "google members: create, held" in beyond
    hidden = [row for row in re.findall(r"<li[^>]*data-search[^>]*>[^<]*", seen) if "hidden" in row]
    assert len(hidden) == 1 and "Two." in hidden[0]


# What is cut off, what leads sideways, what keys do not reach, what is fainter than WCAG 2.2 allows
# (1.4.3) on the ground it really has.
MEASURED = """
var all = some => Array.from(document.querySelectorAll(some)).filter(e => e.offsetParent);
var say = (name, what) => document.body.setAttribute("data-" + name, what);
var cut = all("td, th, li, figcaption, summary, h1, h2, h3, p, button").filter(e =>
  e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display != "inline");
say("cut", JSON.stringify(cut.map(e => e.tagName + " " + e.textContent.trim())));
var root = document.documentElement;
var wide = all(".wide").filter(e => e.scrollWidth > e.clientWidth);
say("sideways", root.scrollWidth - root.clientWidth + wide.length);
say("stops", all("a, button, input, summary").filter(e => e.tabIndex < 0 || e.disabled).length);
var light = colour => { var of = colour.match(/[0-9.]+/g).slice(0, 3).map(one => one / 255)
  .map(one => one <= 0.04045 ? one / 12.92 : Math.pow((one + 0.055) / 1.055, 2.4));
  return 0.2126 * of[0] + 0.7152 * of[1] + 0.0722 * of[2]; };
var ground = e => { while (e) { var of = getComputedStyle(e).backgroundColor;
  if (!/, 0\\)$/.test(of)) return of; e = e.parentElement; } return "rgb(255, 255, 255)"; };
var faint = all("body *").filter(e => Array.from(e.childNodes).some(
  one => one.nodeType == 3 && one.textContent.trim())).filter(e => {
  var two = [light(getComputedStyle(e).color), light(ground(e))].sort((a, b) => b - a);
  return (two[0] + 0.05) / (two[1] + 0.05) < 4.5; });
say("faint", JSON.stringify(faint.map(e => e.tagName + " " + e.textContent.trim())));
"""


@in_a_browser
def test_nothing_is_cut_off_and_everything_is_reached_by_keys(tmp_path):
    """At the width of a phone and of a desk, by day and by night, with everything opened."""
    published(*CHANGES)
    long = "A file of a very long name was refused: " + "student_demographics_of_all_" * 6
    written(
        held=300,
        exit_code=2,
        found=(finding("critical", "feed_refused", long, file="x" * 90),),
        feeds=[feed(message=long), feed("class_information_enhanced_by_the_ministry")],
    )
    opens = "document.querySelectorAll('button.open').forEach(one => one.click())"
    frames = [(width, dark) for width in (390, 1440) for dark in (False, True)]
    for frame, seen in zip(
        frames, lived(tmp_path, f"{opens}; {SETTLED}; {MEASURED}", *frames), strict=True
    ):
        assert len(re.findall(r'<tr class="opened">', seen)) == 3
        assert "changed in source: given_name" in seen, "an opened target has its changes"
        body = re.search(r"<body[^>]*>", seen)[0]
        assert 'data-cut="[]"' in body, (frame, body)
        assert 'data-sideways="0"' in body, (frame, body)
        assert 'data-stops="0"' in body, (frame, body)
        faint = re.search(r'data-faint="(.*?)"', body)[1]
        assert faint == "[]", (frame, faint)


def test_the_first_line_is_short_and_what_to_do_stands_once():
    action = "have the extract sent again"
    long = finding(
        "critical",
        "feed_missing",
        "Feed people is missing; its 40 rows stay",
        owner="whoever runs MyEducation BC",
        action=action,
    )
    read = written(exit_code=3, found=(long,))
    assert "what could go on went on. Feed people is missing.\n" in re.sub(r" +\n", "\n", read.text)
    assert read.text.count(action) == 1
    assert "Whoever runs MyEducation BC" in read.text
