"""OneRoster packages of changes: every one ever sent, one after the other, is the full set; each
says what it is, what became of a record and when.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, time
from pathlib import Path
from typing import Any

import duckdb
import pytest
from engine_bench import Model
from listed_kit import district
from shelf_kit import models_of
from test_file_kit import rows as goods_of
from test_file_kit import standing
from test_shelf import VERSIONS, made

from common import sql
from reverse_etl import configured, deliveries, exports
from reverse_etl.form import Moment
from reverse_etl.model import Delivery, Export, Part
from reverse_etl.targets.files import Files

NIGHTS = 3
Rows = dict[str, dict[str, Any]]


def changes_of(target: str) -> dict[str, Export]:
    """The exports of a package as a target is sent them that asked for changes."""
    found = exports.Exports(tuple(exports.declared(target).values()), (), ())
    return {one.entity: one for one in configured.of_district(found).good}


def by_key(export: Export, rows: list[dict[str, Any]]) -> Rows:
    return {"|".join(str(row[name]) for name in export.key): row for row in rows}


def difference(before: Rows, after: Rows, export: Export) -> dict[str, tuple[str, str]]:
    """What happened to each row, as the ledger has it."""

    def sent(row: Mapping[str, Any]) -> dict[str, Any]:
        return {column.name: row[column.name] for column in export.sent}

    said = {key: ("remove", json.dumps(sent(before[key]))) for key in before.keys() - after.keys()}
    said |= dict.fromkeys(after.keys() - before.keys(), ("create", "{}"))
    both = before.keys() & after.keys()
    return said | {k: ("update", "{}") for k in both if sent(before[k]) != sent(after[k])}


def package(
    folder: Path, every: Mapping[str, Export], before: dict[str, Rows], after: dict[str, Rows]
) -> zipfile.ZipFile:
    """The file of one night."""
    connection = duckdb.connect()
    connection.execute("create schema exports")
    members, parts = [], {}
    for entity, export in every.items():
        assert export.file
        listed = ", ".join(f"{sql.name(c.name)} varchar" for c in export.columns)
        connection.execute(f"create table {export.relation} ({listed})")
        if rows := [[row[c.name] for c in export.columns] for row in after[entity].values()]:
            places = ", ".join("?" * len(export.columns))
            connection.executemany(f"insert into {export.relation} values ({places})", rows)
        name = export.file.name
        members.append((name, export))
        if export.file.actions:
            parts[name] = Part(actions=difference(before[entity], after[entity], export))
    when = Moment(date(2026, 10, 5), time(2, 30), "74")
    path = folder / "package.zip"
    Files("x", {}).render(
        connection, Delivery("x", "f", tuple(sorted(members)), True, path, parts, when)
    )
    return zipfile.ZipFile(path)


def read(packed: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(packed.read(name).decode("utf-8"))))


@pytest.fixture(scope="module")
def nights() -> list[dict[str, list[dict[str, Any]]]]:
    """Districts that have little to do with each other, one after the other, and a quiet night."""
    order = list(dict.fromkeys(n for t in VERSIONS for n in models_of(t)))
    drawn = [made(district(number), *order) for number in range(NIGHTS)]
    return [*drawn, drawn[-1]]


@pytest.mark.parametrize("target", VERSIONS)
def test_all_packages_of_changes_one_after_the_other_are_the_full_set(
    target: str, nights: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"TARGETS__{target.upper()}__ENABLED", "true")
    monkeypatch.setenv(f"TARGETS__{target.upper()}__DELTA", "true")
    every = changes_of(target)
    held: dict[str, dict[str, dict[str, str]]] = {entity: {} for entity in every}
    before: dict[str, Rows] = {entity: {} for entity in every}
    for night in nights:
        after = {e: by_key(export, night[export.model]) for e, export in every.items()}
        packed = package(tmp_path, every, before, after)
        assert set(packed.namelist()) == {e.file.name for e in every.values() if e.file}
        for entity, export in every.items():
            if entity == "manifest":
                continue
            assert export.file
            for row in read(packed, export.file.name):
                assert row["dateLastModified"] == "2026-10-05T09:30:00.000Z"
                if row["status"] == "tobedeleted":
                    assert held[entity].pop(row["sourcedId"])
                else:
                    assert row["status"] == "active"
                    held[entity][row["sourcedId"]] = row
            full = {
                key: {
                    column.header: row[column.name] or ""
                    for column in export.sent
                    if column.name not in {"status", "date_last_modified"}
                }
                for key, row in after[entity].items()
            }
            left_out = {"status", "dateLastModified"}
            assert {
                key: {name: value for name, value in row.items() if name not in left_out}
                for key, row in held[entity].items()
            } == full
        before = after
    quiet = {n: len(read(packed, n)) for n in packed.namelist() if n != "manifest.csv"}
    assert set(quiet.values()) == {0}


@pytest.mark.parametrize("target", VERSIONS)
def test_the_manifest_of_changes_says_delta_of_every_file_of_the_zip(
    target: str, nights: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"TARGETS__{target.upper()}__ENABLED", "true")
    monkeypatch.setenv(f"TARGETS__{target.upper()}__DELTA", "true")
    every = changes_of(target)
    after = {e: by_key(export, nights[0][export.model]) for e, export in every.items()}
    packed = package(tmp_path, every, {e: {} for e in every}, after)
    said = {row["propertyName"]: row["value"] for row in read(packed, "manifest.csv")}
    sent = {f"file.{name.removesuffix('.csv')}" for name in packed.namelist()}
    assert {n for n, v in said.items() if v == "delta"} == sent - {"file.manifest"}
    assert "bulk" not in said.values() and said["manifest.version"] == "1.0"
    names = {export.file.archive for export in every.values() if export.file}
    assert names == {"oneroster_{date:%Y%m%d}.zip"}


@pytest.mark.parametrize("target", VERSIONS)
def test_who_did_not_ask_for_changes_is_sent_everything_in_the_form_of_before(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"TARGETS__{target.upper()}__ENABLED", "true")
    for export in changes_of(target).values():
        assert export.file and export.file.actions is None
        assert export.file.archive == "oneroster.zip"
        without = replace(export, file=replace(export.file, delta=None))
        assert deliveries.shape(export) == deliveries.shape(without)


# ---------------------------------------------------------------- any file

FORM = {
    "name": "goods_{date:%Y%m%d}.csv",
    "header": True,
    "delta": {
        "actions": {"create": "N", "update": "N", "remove": "X", "at": "shop", "moment": "name"}
    },
}


def test_the_word_and_the_time_of_a_change_stand_in_columns_of_the_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planned, pushed and settled by the engine, of a target whose form says both ways."""
    changes = {**FORM, **FORM["delta"]}
    changes.pop("delta")
    goods = Model(
        "goods",
        {"id": "varchar", "name": "varchar", "shop": "varchar"},
        {"key": ["id"], "limits": {"drop": "100%"}, "file": changes},
        target="folder",
    )
    bench, vendor = standing(tmp_path / "var", goods)
    for day, held in (("01", {"a": "1", "b": "2"}), ("02", {"a": "9"})):
        monkeypatch.setenv("HOMEROOM_AS_OF", f"2026-10-{day}")
        bench.desire(goods=goods_of(held))
        assert bench.whole_night() == 0
    first, second = (
        list(csv.reader((vendor / f"goods_2026100{n}.csv").read_text("utf-8").splitlines()))
        for n in (1, 2)
    )
    assert first[0] == second[0] == ["id", "name", "shop"]
    assert [(row[0], row[2]) for row in first[1:]] == [("a", "N"), ("b", "N")]
    assert [(row[0], row[2]) for row in second[1:]] == [("a", "N"), ("b", "X")]
    assert all(row[1].startswith("2026-10-0") and row[1].endswith("Z") for row in second[1:])


@pytest.mark.parametrize(
    ("delta", "words"),
    (
        ({"actions": {"create": "a", "update": "a", "remove": "b", "at": "shoe"}}, "at is 'shoe'"),
        (
            {"actions": {"create": "a", "update": "a", "remove": "b", "moment": "shoe"}},
            "moment is 'shoe'",
        ),
        ({"shoe": 1}, ".delta has no setting 'shoe'"),
        ({"delta": {}}, ".delta is"),
        ("yes", ".delta is 'yes'"),
        ({"words": {"a": 1}}, "write a value and the word for it"),
    ),
)
def test_a_form_of_changes_nobody_can_follow_is_named(delta: Any, words: str) -> None:
    from test_file_kit import export

    with pytest.raises(exports.ExportError, match=words.replace(".", r"\.")):
        export({"delta": delta})
