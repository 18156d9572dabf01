"""REST sources against a real server that throttles, fails, hangs up and lets tokens run out:
everything exactly once.

What fails midway leaves the last good rows; no token and no value is said.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_server import BEARER, CLIENT, KEY, SECRET, Api, running

from common import paths, problems, store
from ingestion.__main__ import main
from ingestion.layout import LayoutError
from ingestion.model import Problem
from ingestion.rest import fetch
from ingestion.source import source_of

PAGINATORS = {
    "link": {"type": "json_link", "next_url_path": "next"},
    "header": {"type": "header_link"},
    "offset": {"type": "offset", "limit": 3, "total_path": "total"},
    "page": {
        "type": "page_number",
        "base_page": 1,
        "total_path": None,
        "stop_after_empty_page": True,
    },
    "cursor": {"type": "cursor", "cursor_path": "after", "cursor_param": "after"},
    "one": "single_page",
}
OAUTH = {"type": "oauth2_client_credentials", "client_id": CLIENT, "client_secret": SECRET}


def loans(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": at,
            "student": {"number": f"{1000 + at}"},
            "book": f"Bücher, Band {at}",
            "late": at % 2 == 0,
            "fee": at * 0.5,
            "secret": "CANARY",
        }
        for at in range(1, count + 1)
    ]


EXPECTED = [
    (
        str(at),
        str(1000 + at),
        f"Bücher, Band {at}",
        "true" if at % 2 == 0 else "false",
        f"{at * 0.5:g}",
    )
    for at in range(1, 11)
]


@dataclass
class Library:
    """A REST source of one resource."""

    api: Api
    configure: Callable[..., None]
    said: Callable[[], str]
    source: dict[str, Any] = field(default_factory=dict)

    def ingest(self) -> int:
        return main(["--source", "library"])

    def take(self) -> int | str:
        """How many rows the reader brings, or the sentence why it brings none."""
        self.api.served = 0
        source = source_of("library", self.source)
        found = fetch("library", source.settings, source.layout).feeds["loans"]
        if isinstance(found, Problem):
            return problems.sentence(found.code, found.values)
        with found.path.open(encoding="utf-8", newline="") as file:
            return sum(1 for _ in csv.reader(file)) - 1

    def rows(self) -> list[tuple]:
        with store.connect() as connection:
            return connection.execute(
                "select id, student_number, book, late, fee from raw_library.loans order by id::int"
            ).fetchall()

    @property
    def entry(self) -> dict[str, Any]:
        return json.loads((paths.runs() / "latest" / "feeds.json").read_text())[0]


@pytest.fixture
def library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Library]:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.delenv("HOMEROOM_RUN", raising=False)
    with running(loans(10)) as api:

        def configure(path: str, **facts: Any) -> None:
            source = {
                "kind": "rest",
                "base_url": f"{api.url}/",
                "wait_seconds": 0.05,
                "auth": facts.pop("auth", None),
                "paginator": PAGINATORS[path.rpartition("/")[2]],
                "min_row_ratio": 0.0,
                "resources": {
                    "loans": {
                        "path": path,
                        "data": "$" if path.endswith("header") else "data.items",
                        "key": ["id"],
                        "required": ["id", "book"],
                        "columns": ["id", "student.number", "book", "late", "fee"],
                        **facts,
                    }
                },
            }
            if source["auth"] is None:
                del source["auth"]
            own = source["resources"]["loans"]
            if "paginator" in own and own["paginator"] is None:
                del own["paginator"], source["paginator"]
            made.source = source
            real = __import__("common.settings", fromlist=["section"]).section
            monkeypatch.setattr(
                "common.settings.section",
                lambda *names: {"library": source} if names == ("sources",) else real(*names),
            )

        made = Library(api, configure, lambda: "".join(capfd.readouterr()))
        yield made


def test_every_way_of_paging_brings_every_row_once(library: Library) -> None:
    for how in PAGINATORS:
        library.configure(how)
        assert library.ingest() == 0, library.said()
        assert library.rows() == EXPECTED
        assert (library.entry["rows_in"], library.entry["landed"]) == (10, 10)
        assert library.entry["status"] == ("loaded" if how == "link" else "unchanged"), (
            "the same rows are the same bytes"
        )
    assert b"CANARY" not in paths.warehouse().read_bytes(), "what is not listed is never read"


def test_a_busy_and_failing_server_whose_tokens_run_out_still_gives_everything_exactly_once(
    library: Library,
) -> None:
    library.configure("oauth/link", auth=OAUTH | {"access_token_url": f"{library.api.url}/token"})
    library.api.faults = [None, 429, 500, "expire", "drop", None, "expire"]
    assert library.ingest() == 0, library.said()
    assert library.rows() == EXPECTED
    assert library.api.early == 0, "nobody came back before Retry-After was over"
    assert len(library.api.tokens) == 3
    assert library.api.faults == []


@pytest.mark.parametrize("how", [how for how in PAGINATORS if how != "one"])
def test_a_next_page_that_expired_begins_the_list_again_once(library: Library, how: str) -> None:
    library.configure(how)
    library.api.faults = [None, 410]
    assert library.ingest() == 0, library.said()
    assert library.rows() == EXPECTED
    library.api.faults = [None, 400, None, 400]
    assert library.ingest() == 3
    assert "could not be read to its end" in library.entry["message"]
    assert library.rows() == EXPECTED, "the last good rows stay"


SIGNED = [
    ("bearer/link", {"type": "bearer", "token": BEARER}),
    ("key/link", {"type": "api_key", "name": "X-API-Key", "api_key": KEY}),
    ("key/offset", {"type": "api_key", "name": "api_key", "api_key": KEY, "location": "query"}),
]


def test_each_way_of_signing_in_is_known_and_never_said(library: Library) -> None:
    for path, auth in SIGNED:
        library.configure(path, auth=auth)
        assert library.ingest() == 0, library.said()
        library.configure(
            path, auth=auth | {key: "wrong-canary-4" for key in ("token", "api_key") if key in auth}
        )
        assert library.ingest() == 3
        assert "does not let us in (status 401)" in library.entry["message"]
    library.configure(
        "oauth/link",
        auth=OAUTH
        | {"access_token_url": f"{library.api.url}/token", "client_secret": "wrong-canary-4"},
    )
    assert library.ingest() == 3
    assert "does not let us in (status 401)" in library.entry["message"]
    everything = library.said() + "".join(
        file.read_text()
        for file in (paths.runs() / "latest").iterdir()
        if file.suffix.startswith(".json")
    )
    assert "canary" not in everything
    assert library.rows() == EXPECTED


MIDWAY = {
    "an error that stays": ([None, *[503] * 5], "answered with status 503, 5 times"),
    "a page without rows": ([None, "no rows"], "page 2 has no rows at data.items"),
    "a circle": ([None, "circle"], "the server's paging goes in a circle"),
    "a page that is refused": ([None, 403], "does not let us in (status 403)"),
    "a page that is gone, also from the start": (
        [None, 404, None, 404],
        "could not be read to its end",
    ),
    "a line that stays dead": ([None, *["drop"] * 5], "the connection broke off"),
}


def test_a_source_that_fails_midway_leaves_the_last_good_rows(library: Library) -> None:
    library.configure("link")
    library.ingest()
    library.api.rows = loans(12)
    for what, (faults, told) in MIDWAY.items():
        library.api.faults = list(faults)
        assert library.ingest() == 3, what
        assert told in library.entry["message"]
        assert "its 10 rows of" in library.entry["message"]
        assert library.rows() == EXPECTED
    library.api.faults = []
    assert library.ingest() == 0
    assert len(library.rows()) == 12


def test_our_token_is_not_given_to_another_host(library: Library) -> None:
    with running(loans(10)) as other:
        library.configure("bearer/link", auth={"type": "bearer", "token": BEARER})
        library.api.next_host = other.url
        assert library.ingest() == 3
        assert "its next page is on another host" in library.entry["message"]
        assert other.asked == []


def test_rows_that_are_skipped_or_come_twice_are_seen(library: Library) -> None:
    library.configure("link", total="total", paginator="single_page")
    assert library.ingest() == 3, "the server gives 3 rows a page"
    assert "the server says it has 10 rows and sent 3: set paginator" in library.entry["message"]
    library.configure("link")
    library.api.rows = [*loans(10), loans(1)[0]]
    assert library.ingest() == 3
    assert "stands on more than one line" in library.entry["message"]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    count=st.integers(1, 60),
    cap=st.integers(1, 25),
    limit=st.integers(1, 100),
    how=st.sampled_from(["offset", "page"]),
    silent=st.booleans(),
)
def test_a_server_that_caps_its_pages_without_saying_so_gives_every_row(
    library: Library, count: int, cap: int, limit: int, how: str, silent: bool
) -> None:
    """Whatever limit is asked for, whatever the server makes of it."""
    pages = {"type": "offset", "limit": limit, "total_path": None}
    library.configure(how, paginator=pages if how == "offset" else PAGINATORS["page"])
    library.api.rows, library.api.page, library.api.silent = loans(count), cap, silent
    assert library.take() == count


UNPROVED = {
    "one page, and nobody said so": ("one", None, 10, "nothing proves that they are all"),
    "one page of a usual size": ("offset", "single_page", 25, "nothing proves that they are all"),
    "a next page nobody follows": ("link", "single_page", 7, "next names a next page"),
    "a header nobody follows": ("header", "single_page", 7, "the header link names a next page"),
    "a next page under another name": (
        "link",
        {"type": "json_link", "next_url_path": "links.next"},
        7,
        "next names a next page",
    ),
    "a cursor under another name": (
        "cursor",
        {"type": "cursor", "cursor_path": "after_this", "cursor_param": "after"},
        20,
        "nothing proves that they are all",
    ),
}


@pytest.mark.parametrize("what", UNPROVED)
def test_an_end_that_nothing_proves_is_no_end_and_the_sentence_says_what_to_set(
    library: Library, what: str
) -> None:
    path, paginator, cap, told = UNPROVED[what]
    library.configure(path, paginator=paginator)
    library.api.rows, library.api.page, library.api.silent = loans(40), cap, True
    if what == "one page, and nobody said so":
        library.api.rows = loans(10)
    said = library.take()
    assert isinstance(said, str) and told in said and "paginator" in said, said
    assert "unproved = true" in said
    library.configure(path, paginator=paginator, unproved=True)
    assert library.take() == cap


def test_a_total_nobody_asked_about_is_heard(library: Library) -> None:
    library.configure("one", paginator=None)
    assert library.take() == 10, "its total proves it"
    library.configure("link", paginator="single_page")
    said = library.take()
    assert isinstance(said, str) and "3 rows came, and total is 10 in the answer" in said


@pytest.mark.parametrize("how", ["offset", "page", "cursor"])
@pytest.mark.parametrize("silent", [True, False])
def test_a_server_that_does_not_know_how_we_page_is_asked_twice_at_most(
    library: Library, how: str, silent: bool
) -> None:
    library.configure(
        how, paginator=PAGINATORS[how] | ({"total_path": None} if how == "offset" else {})
    )
    library.api.ignores = frozenset({"offset", "page", "after"})
    library.api.silent, library.api.page = silent, 4
    said = library.take()
    assert isinstance(said, str) and "begins with the row an earlier page began with" in said
    assert "paginator" in said
    assert library.api.served == 2


def test_a_total_that_is_declared_and_not_said_is_no_total(library: Library) -> None:
    library.configure("link", total="meta.rows")
    said = library.take()
    assert isinstance(said, str) and "does not say at meta.rows how many rows there are" in said


def test_a_page_to_sign_in_is_called_one(library: Library) -> None:
    library.configure("link")
    library.api.faults = ["page"]
    said = library.take()
    assert isinstance(said, str)
    assert "page 1 is the page of a web site that asks to sign in, not JSON" in said


def test_an_empty_answer_and_a_renamed_column_are_refused_as_they_are_in_a_file(
    library: Library,
) -> None:
    library.configure("link")
    library.ingest()
    library.api.rows = []
    assert library.ingest() == 3
    assert "only its heading line" in library.entry["message"]
    library.api.rows = [
        {key.replace("book", "title"): value for key, value in row.items()} for row in loans(10)
    ]
    assert library.ingest() == 3
    assert "lacks the required column book" in library.entry["message"]
    assert library.rows() == EXPECTED


def test_only_what_changed_is_asked_for_and_merged(library: Library) -> None:
    columns = ["id", "student.number", "book", "late", "fee", "changed"]
    library.configure("link", columns=columns, cursor="changed", cursor_param="since")
    library.api.rows = [{**row, "changed": f"2026-10-{row['id']:02}"} for row in loans(10)]
    library.ingest()
    library.api.rows[1] = {**library.api.rows[1], "book": "Another", "changed": "2026-10-11"}
    library.api.served = 0
    assert library.ingest() == 0, library.said()
    assert library.api.served == 1
    assert [row[2] for row in library.rows()][:3] == ["Bücher, Band 1", "Another", "Bücher, Band 3"]
    assert len(library.rows()) == 10
    library.api.rows = []
    assert library.ingest() == 0
    assert library.entry["status"] == "unchanged", "nothing changed is an answer"


@pytest.mark.parametrize("never", ["2099-01-01", "9999-12-31", "infinity"])
def test_a_row_stamped_in_the_future_hides_no_change_of_another(
    library: Library, never: str
) -> None:
    columns = ["id", "student.number", "book", "late", "fee", "changed"]
    library.configure("link", columns=columns, cursor="changed", cursor_param="since")
    library.api.rows = [{**row, "changed": f"2026-10-{row['id']:02}"} for row in loans(10)]
    library.api.rows[9]["changed"] = never
    library.ingest()
    library.api.rows[1] = {**library.api.rows[1], "book": "Another", "changed": "2026-10-11"}
    library.api.asked.clear()
    assert library.ingest() == 0, library.said()
    assert "since=2026-10-09" in library.api.asked[0]
    assert library.rows()[1][2] == "Another"
    said = (paths.runs() / "latest" / "findings.jsonl").read_text()
    assert '"cursor_ahead"' in said


def test_check_says_whether_the_server_lets_us_in(library: Library) -> None:
    library.configure("link")
    assert main(["check", "--source", "library"]) == 0
    assert "1 of 1 resources there" in library.said()
    assert library.api.served == 1
    library.configure("bearer/link", auth={"type": "bearer", "token": "wrong-canary-4"})
    assert main(["check", "--source", "library"]) == 3
    said = library.said()
    assert "not loans (it does not let us in (status 401)" in said and "canary" not in said


def test_a_source_nobody_answers_for_is_one_finding(library: Library) -> None:
    library.configure("link", auth={"type": "bearer"})
    assert library.ingest() == 3
    assert (
        "token not set: put it under [sources.library.auth] in .dlt/secrets.toml"
        in library.entry["message"]
    )
    library.configure("link")
    library.api.url = "http://127.0.0.1:1"
    library.configure("link")
    assert library.ingest() == 3
    assert "http://127.0.0.1:1 does not answer" in library.entry["message"]
    findings = [
        json.loads(line)["code"]
        for line in (paths.runs() / "latest" / "findings.jsonl").read_text().splitlines()
    ]
    assert set(findings) == {"source_unreachable"}


def test_a_rest_source_with_a_mistake_is_told() -> None:
    with pytest.raises(
        LayoutError, match=r"\[sources.x.resources.a\] pth: no such key; the nearest"
    ):
        source_of("x", {"kind": "rest", "resources": {"a": {"pth": "a", "columns": ["id"]}}})
    with pytest.raises(LayoutError, match="source x has no resources"):
        source_of("x", {"kind": "rest"})


@pytest.mark.parametrize("paginator", ["auto", "pages", {"type": "offset", "size": 3}])
def test_a_paginator_that_is_not_understood_is_told_before_anybody_is_asked(
    library: Library, paginator: Any
) -> None:
    library.configure("link", paginator=paginator)
    assert library.ingest() == 3
    assert "is not understood: its type is json_link" in library.said()
    assert library.api.asked == []
