"""The page of a run, as a browser has it: content, links, nothing from outside, contrast, size."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from night_kit import feed, finding, night

from operations import history, page


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
    assert len(read.all("script")) == 1  # its own search


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
    assert len(read.all("svg")) == 6 and all(
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
    assert "710 more of this kind stand in audit.findings." in Read(path).text


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


@pytest.mark.skipif(
    not (shutil.which("chromium") or shutil.which("google-chrome")),
    reason="no Chromium on this machine",
)
def test_a_real_browser_searches_the_page(tmp_path):
    written(found=(finding(key="1234567", message="One."), finding(key="7654321", message="Two.")))
    path = next((tmp_path / "var" / "pages").glob("2*.html"))
    typed = (
        "<script>var f=document.getElementById('search');f.value='7654321';f.dispatchEvent(new"
        " Event('input'));</script></body>"
    )
    trial = tmp_path / "trial.html"
    trial.write_text(path.read_text(encoding="utf-8").replace("</body>", typed), encoding="utf-8")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=2000",
        "--dump-dom",
        trial.as_uri(),
    ]
    seen = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "1 row holds “7654321”" in seen
    hidden = [row for row in re.findall(r"<li[^>]*data-search[^>]*>[^<]*", seen) if "hidden" in row]
    assert len(hidden) == 1 and "One." in hidden[0]


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
