"""Any dlt source goes the way of a file: fetched, checked, archived, landed; what changed is
merged, what failed leaves the last good rows.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import dlt_kit
import pytest
from rest_server import BEARER, running

from common import paths, store
from ingestion.__main__ import main

REGISTRY = {
    "kind": "dlt",
    "source": "dlt_kit:registry",
    "arguments": {"key": "the key"},
    "min_row_ratio": 0.0,
}
DEVICES = {
    "columns": ["serial", "student.number", "bought", "price"],
    "key": ["serial"],
    "required": ["serial"],
}
VISITS = {
    "columns": ["id", "who", "changed"],
    "key": ["id"],
    "cursor": "changed",
    "cursor_kind": "timestamp",
}

Configure = Callable[..., None]


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.delenv("HOMEROOM_RUN", raising=False)
    dlt_kit.VISITS.clear()
    dlt_kit.ASKED.clear()
    real = __import__("common.settings", fromlist=["section"]).section

    def settings(**facts: Any) -> None:
        source = {**REGISTRY, **facts}
        monkeypatch.setattr(
            "common.settings.section",
            lambda *names: {"devices": source} if names == ("sources",) else real(*names),
        )

    return settings


def landed(columns: str, feed: str) -> list[tuple[Any, ...]]:
    with store.connect() as connection:
        return connection.execute(f"select {columns} from raw_devices.{feed} order by 1").fetchall()


def entry(feed: str) -> dict[str, Any]:
    entries = json.loads((paths.runs() / "latest" / "feeds.json").read_text(encoding="utf-8"))
    return next(one for one in entries if one["feed"] == feed)


def test_dicts_and_tables_land_as_text_with_only_the_columns_that_are_listed(configure: Configure):
    configure(
        resources={
            "devices": DEVICES,
            "borrowed": {"resource": "loans", "columns": ["id", "book"], "key": ["id"]},
        }
    )
    assert main([]) == 0
    assert landed("serial, student_number, bought, price", "devices") == [
        ("A1", "1001", "2026-09-05", "310.50"),
        ("A2", "1002", None, "299.00"),
    ]
    assert landed("id, book", "borrowed") == [("1", "Bücher, Band 1"), ("2", None)]
    assert b"CANARY" not in paths.warehouse().read_bytes(), "what is not listed is never read"
    assert list((paths.var() / "archive").rglob("*")), "archived as a file is"
    assert main([]) == 0
    assert entry("devices")["status"] == "unchanged", "the same rows are the same bytes"


def test_what_changed_is_asked_for_from_the_last_value_on_and_merged_by_key(configure: Configure):
    dlt_kit.VISITS += [
        {"id": 1, "who": "ä", "changed": datetime(2026, 10, 5, 9)},
        {"id": 2, "who": "b", "changed": datetime(2026, 10, 6, 9)},
    ]
    configure(resources={"visits": VISITS})
    assert main([]) == 0
    dlt_kit.VISITS[:] = [
        {"id": 2, "who": "B", "changed": datetime(2026, 10, 7, 9)},
        {"id": 3, "who": "c", "changed": None},
    ]
    assert main([]) == 0
    beginning, ten_minutes_before_the_last = dlt_kit.ASKED
    assert (beginning, ten_minutes_before_the_last) == (
        datetime(2026, 1, 1),
        datetime(2026, 10, 6, 8, 50),
    )
    assert landed("id, who", "visits") == [("1", "ä"), ("2", "B"), ("3", "c")]
    assert entry("visits")["landed"] == 3


@pytest.mark.parametrize(
    "never", [datetime(2099, 1, 1), datetime(9999, 12, 31, 23, 59, 59)], ids=str
)
def test_a_row_stamped_in_the_future_is_not_where_the_next_night_begins(
    configure: Configure, never: datetime
):
    dlt_kit.VISITS += [
        {"id": at, "who": "a", "changed": stamp}
        for at, stamp in enumerate([datetime(2026, 10, 5), datetime(2026, 10, 6, 9), never])
    ]
    configure(resources={"visits": VISITS})
    assert main([]) == 0
    assert main([]) == 0
    assert [datetime(2026, 1, 1), datetime(2026, 10, 6, 8, 50)] == dlt_kit.ASKED
    assert '"cursor_ahead"' in (paths.runs() / "latest" / "findings.jsonl").read_text()


def test_a_source_that_fails_midway_leaves_the_last_good_rows_and_its_words_are_not_told(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, capfd
):
    dlt_kit.VISITS += [
        {"id": 1, "who": "a", "changed": datetime(2026, 10, 5)},
        {"id": 2, "who": "b", "changed": datetime(2026, 10, 6)},
    ]
    configure(resources={"visits": {"columns": ["id", "who"], "key": ["id"]}, "devices": DEVICES})
    assert main([]) == 0
    monkeypatch.setenv("DLT_KIT_FAILS", "1")
    assert main([]) == 3
    assert landed("id, who", "visits") == [("1", "a"), ("2", "b")]
    assert entry("visits")["message"].startswith(
        "devices visits refused: resource visits of dlt_kit:registry could not be read to its end"
        " (ConnectionError)"
    )
    assert entry("devices")["status"] == "unchanged", "the other feeds of the source go on"
    assert "CANARY" not in "".join(capfd.readouterr()) + "".join(
        path.read_text() for path in (paths.runs() / "latest").glob("*.json*")
    )


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"source": "dlt_kit"}, 'it names a dlt source as "package.module:function"'),
        (
            {"source": "no_such_package.sources:one"},
            (
                "no_such_package.sources cannot be imported (no_such_package is not there); install"
                " it into .venv"
            ),
        ),
        ({"source": "dlt_kit:registr"}, "dlt_kit has no registr"),
        (
            {"arguments": {"key": "canary-5"}},
            "dlt_kit:registry could not be made with key (ValueError)",
        ),
        ({"arguments": {}}, "dlt_kit:registry could not be made with no arguments (TypeError)"),
        ({"source": "dlt_kit:len", "arguments": {}}, "dlt_kit has no len"),
        (
            {"resources": {"visits": VISITS | {"cursor_kind": "moon"}}},
            "cursor_kind is 'moon'; it must be one of text, number, date, timestamp",
        ),
        (
            {"resources": {"devices": DEVICES | {"table": "x"}}},
            "[sources.devices.resources.devices]",
        ),
    ],
)
def test_what_cannot_be_followed_is_a_sentence_that_quotes_no_argument(
    configure: Configure, capfd, facts: dict[str, Any], said: str
):
    configure(**{"resources": {"devices": DEVICES}, **facts})
    assert main([]) == 3
    told = "".join(capfd.readouterr())
    assert said in told
    assert "canary" not in told and "Traceback" not in told


def test_a_resource_the_source_does_not_have_is_missing_with_those_it_has(
    configure: Configure, capfd
):
    configure(resources={"phones": {"columns": ["id"]}, "devices": DEVICES})
    assert main(["check"]) == 3
    assert (
        "dlt_kit:registry: 1 of 2 resources there, not phones (no such resource)"
        in capfd.readouterr().out
    )
    assert main([]) == 3
    assert "has no resource phones; it has devices, loans, visits" in entry("phones")["message"]


def test_dlts_own_reader_of_databases_reads_a_table_and_then_what_changed(
    configure: Configure, tmp_path: Path
):
    database = sqlite3.connect(tmp_path / "hr.sqlite", isolation_level=None)
    database.execute(
        "create table staff_records (id integer primary key, surname text, changed_at timestamp)"
    )
    database.execute(
        "insert into staff_records values (1, 'O''Brien', '2026-10-05 03:00:00'), (2, 'Zoë',"
        " '2026-10-06 03:00:00')"
    )
    for backend in ("sqlalchemy", "pyarrow"):
        facts = {
            "columns": ["id", "surname", "changed_at"],
            "key": ["id"],
            "cursor": "changed_at",
            "cursor_kind": "timestamp",
            "resource": "staff_records",
        }
        configure(
            source="dlt.sources.sql_database:sql_database",
            arguments={
                "credentials": f"sqlite:///{tmp_path / 'hr.sqlite'}",
                "table_names": ["staff_records"],
                "backend": backend,
            },
            resources={f"staff_{backend}": facts},
        )
        assert main([]) == 0
        database.execute(
            "update staff_records set surname = 'Ng', changed_at = '2026-10-07 03:00:00' where"
            " id = 2"
        )
        assert main([]) == 0
        assert landed("id, surname", f"staff_{backend}") == [("1", "O'Brien"), ("2", "Ng")]
        database.execute(
            "update staff_records set surname = 'Zoë', changed_at = '2026-10-06 03:00:00' where"
            " id = 2"
        )


def test_dlts_own_reader_of_apis_reads_a_real_server_page_by_page(configure: Configure):
    with running([{"id": at, "book": f"Band {at}"} for at in range(1, 11)]) as api:
        configure(
            source="dlt.sources.rest_api:rest_api_source",
            arguments={
                "config": {
                    "client": {
                        "base_url": f"{api.url}/bearer/",
                        "auth": {"type": "bearer", "token": BEARER},
                        "paginator": {"type": "json_link", "next_url_path": "next"},
                    },
                    "resources": [
                        {
                            "name": "loans",
                            "endpoint": {"path": "link", "data_selector": "data.items"},
                        }
                    ],
                }
            },
            resources={"loans": {"columns": ["id", "book"], "key": ["id"]}},
        )
        assert main([]) == 0
        assert sorted(landed("id::int, book", "loans")) == [
            (at, f"Band {at}") for at in range(1, 11)
        ]
        assert api.served > 1
