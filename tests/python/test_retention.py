"""Retention: what is past its days is listed, goes only when told to, and what is still needed
never goes.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from common import paths, settings, store, turns, versions
from common.lock import LockHeldError
from common.runs import Run
from operations import interventions, page, retention
from operations import night as nights

NOW = datetime(2027, 6, 1, tzinfo=UTC)


def night(days_ago: int, *, settled: bool = True) -> Run:
    """A closed run of so many days ago, with everything a night leaves."""
    run = Run.open("nightly")
    began = NOW - timedelta(days=days_ago)
    folder = run.folder.with_name(f"{began:%Y%m%dT%H%M%SZ}-{run.run_id[-4:]}")
    run.folder.rename(folder)
    run = Run(folder.name, folder, run.as_of, began)
    run.write(
        "run.json",
        run.read("run.json")
        | {
            "run_id": folder.name,
            "started_at": began.isoformat(),
            "finished_at": began.isoformat(),
        },
    )
    for name in ("dbt", "memory", "journal"):
        (folder / name).mkdir()
        (folder / name / ("google.jsonl" if name == "journal" else "x.json")).write_text(
            "{}\n", encoding="utf-8"
        )
    if settled:
        (folder / "journal" / "google.settled").write_text("3", encoding="utf-8")
    (paths.runs() / "latest").unlink()
    (paths.runs() / "latest").symlink_to(folder.name)
    return run


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("HOMEROOM_AS_OF", "2027-06-01")
    monkeypatch.setenv("RETENTION__EVIDENCE_DAYS", "60")
    monkeypatch.setattr(store, "WAIT_SECONDS", 0.3)
    with store.connect() as connection:
        connection.execute(
            "insert into ledger.audit.findings (finding_id, found_at) values ('old', ?),"
            " ('new', ?)",
            [NOW - timedelta(days=900), NOW],
        )
        connection.execute("create table ledger.identity.names as select 'quinn' as name")
    return tmp_path / "var"


def test_without_being_told_nothing_goes():
    old = night(100)
    night(1)
    found = {one.name: one for one in retention.past(NOW)}
    assert {path.name for path in found["evidence"].files} == {"dbt", "memory"} and found[
        "evidence"
    ].files[0].parent == old.folder
    assert found["evidence"].bytes > 0 and found["runs"].days is None
    assert (old.folder / "dbt").is_dir()


def test_what_is_past_its_days_goes_when_told_and_that_is_kept(monkeypatch):
    monkeypatch.setenv("RETENTION__FINDINGS_DAYS", "800")
    old, unsettled, newest = night(100), night(90, settled=False), night(70)
    retention.let_go(retention.past(NOW), NOW)
    assert (
        not (old.folder / "dbt").exists()
        and (old.folder / "run.json").is_file()
        and (old.folder / "journal").is_dir()
    )
    assert (unsettled.folder / "dbt").is_dir(), "its journal is not in the ledger yet"
    assert (newest.folder / "dbt").is_dir(), "the newest run is what the next one stands on"
    with store.connect() as connection:
        assert connection.execute("select finding_id from ledger.audit.findings").fetchall() == [
            ("new",)
        ]
        assert connection.execute("select name from ledger.identity.names").fetchall() == [
            ("quinn",)
        ]
    assert interventions.lines()[-1]["what"] == "let_go"
    assert (
        "evidence: 2 older than 60 days; findings: 1 older than 800 days"
        in interventions.lines()[-1]["details"]
    )
    assert not any(one.rows or one.files for one in retention.past(NOW))


def test_old_passwords_runs_and_what_was_put_aside_have_days_of_their_own(monkeypatch, state):
    for name in ("passwords", "runs", "replaced", "upgrade_copies"):
        monkeypatch.setenv(f"RETENTION__{name.upper()}_DAYS", "90")
    old = night(100)
    night(1)
    files = [
        state / "passwords" / "a.google.jsonl",
        state / "replaced" / "20270101" / "ledger.duckdb",
        state / "backups" / "before-0002-x" / "ledger.duckdb",
        state / "backups" / "20270101T000000Z" / "ledger.duckdb.gz",
    ]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x", encoding="utf-8")
        for path in (file, file.parent):
            os.utime(path, ((NOW - timedelta(days=100)).timestamp(),) * 2)
    retention.let_go(retention.past(NOW), NOW)
    assert [file.exists() for file in files] == [False, False, False, True], (
        "backups are counted, not dated"
    )
    assert not old.folder.exists()


def test_a_run_keeps_its_evidence_for_its_days_to_the_second():
    beyond, within, _ = night(60), night(59), night(1)
    found = {
        name: {
            path.parent
            for one in retention.past(NOW + more)
            if one.name == "evidence"
            for path in one.files
        }
        for name, more in (("at its days", timedelta()), ("a second later", timedelta(seconds=1)))
    }
    assert found == {"at its days": set(), "a second later": {beyond.folder}}
    assert (within.folder / "memory").is_dir()


def test_a_class_has_the_days_it_was_given_and_is_else_kept_for_ever(monkeypatch):
    monkeypatch.setenv("RETENTION__RUNS_DAYS", "1")
    monkeypatch.setenv("RETENTION__CHANGES_DAYS", "2000")
    assert retention.days() == {
        "evidence": 60,
        "runs": 1,
        "passwords": None,
        "replaced": None,
        "backups": None,
        "upgrade_copies": None,
        "findings": None,
        "changes": 2000,
    }
    for wrong in ("0", "-1", "1.5", "true"):
        monkeypatch.setenv("RETENTION__RUNS_DAYS", wrong)
        with pytest.raises(settings.SettingsError, match=r"\[retention\] runs_days is "):
            retention.days()


def test_days_count_from_now_unless_told_otherwise(monkeypatch):
    monkeypatch.setenv("RETENTION__FINDINGS_DAYS", "3000")
    with store.connect() as connection:
        connection.execute(
            "insert into ledger.audit.findings (finding_id, found_at) values ('ancient',"
            " timestamptz '2000-01-01 00:00:00+00')"
        )
    found = retention.past()
    assert [(one.name, one.rows) for one in found if one.rows] == [("findings", 1)]
    retention.let_go(found)
    with store.connect() as connection:
        assert connection.execute(
            "select finding_id from ledger.audit.findings order by 1"
        ).fetchall() == [("new",), ("old",)]


def test_a_run_of_which_one_journal_is_not_in_the_ledger_yet_stays():
    half, _ = night(100), night(1)
    (half.folder / "journal" / "microsoft.jsonl").write_text("{}\n", encoding="utf-8")
    assert not any(one.files for one in retention.past(NOW))
    (half.folder / "journal" / "microsoft.settled").write_text("3", encoding="utf-8")
    assert any(one.files for one in retention.past(NOW))


def test_without_a_link_to_the_newest_run_the_newest_by_name_stays_all_the_same():
    old, _ = night(100), night(70)
    (paths.runs() / "latest").unlink()
    (found,) = [one for one in retention.past(NOW) if one.name == "evidence"]
    assert {path.parent for path in found.files} == {old.folder}


def test_an_open_run_and_the_newest_one_never_go_however_old_they_are(monkeypatch):
    monkeypatch.setenv("RETENTION__RUNS_DAYS", "30")
    open_, old, newest = night(300), night(200), night(100)
    open_.write("run.json", open_.read("run.json") | {"finished_at": None})
    (old.folder / "exports.parquet").write_bytes(b"x")
    paths.pages().mkdir()
    for run in (open_, old, newest):
        page.page_of(run).write_text("a page")
    found = {one.name: one.files for one in retention.past(NOW)}
    assert found["runs"] == (old.folder, page.page_of(old))
    assert {path.name for path in found["evidence"]} == {"dbt", "memory", "exports.parquet"}
    retention.let_go(retention.past(NOW), NOW)
    for run, kept in ((open_, True), (old, False), (newest, True)):
        assert run.folder.is_dir() is page.page_of(run).is_file() is kept


def test_what_was_planned_and_what_came_of_it_go_together_and_identities_never(monkeypatch):
    monkeypatch.setenv("RETENTION__CHANGES_DAYS", "30")
    edge = NOW - timedelta(days=30)
    tables = {"outcomes": "finished_at", "planned_changes": "planned_at", "plans": "made_at"}
    with store.connect() as connection:
        for table, at in tables.items():
            for moment in (edge, edge - timedelta(seconds=1), NOW):
                connection.execute(
                    f"insert into ledger.audit.{table} by name (select ?::timestamptz as {at})",
                    [moment],
                )
    (found,) = [one for one in retention.past(NOW) if one.name == "changes"]
    assert (found.rows, found.files, found.days) == (3, (), 30)
    retention.let_go([found], NOW)
    with store.connect() as connection:
        for table, at in tables.items():
            assert connection.execute(
                f"select count(*), min({at}) from ledger.audit.{table}"
            ).fetchone() == (2, edge), table
        assert connection.execute("select count(*) from ledger.audit.findings").fetchone() == (
            2,
        ), "they have days of their own"
    assert interventions.lines()[-1]["details"] == "changes: 3 older than 30 days"


def test_what_was_let_go_stands_in_no_byte_of_the_ledger(monkeypatch):
    monkeypatch.setenv("RETENTION__FINDINGS_DAYS", "800")
    with store.connect() as connection:
        connection.execute(
            "insert into ledger.audit.findings (finding_id, found_at, key) select 'x', ?,"
            " 'canary-' || n from range(5000) as t(n)",
            [NOW - timedelta(days=900)],
        )
    assert b"canary-" in paths.ledger().read_bytes()
    retention.let_go(retention.past(NOW), NOW)
    for file in paths.var().rglob("*"):
        assert not file.is_file() or b"canary-" not in file.read_bytes(), file
    with store.connect() as connection:
        assert connection.execute("select name from ledger.identity.names").fetchall() == [
            ("quinn",)
        ]


def test_backups_past_their_days_go_but_the_newest(monkeypatch, state):
    monkeypatch.setenv("RETENTION__BACKUPS_DAYS", "30")
    made = [
        state / "backups" / f"{NOW - timedelta(days=days):%Y%m%dT%H%M%SZ}"
        for days in (90, 31, 29, 2)
    ]
    for folder in made:
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}", encoding="utf-8")
    retention.let_go(retention.past(NOW), NOW)
    assert [folder.exists() for folder in made] == [False, False, True, True]
    retention.let_go(retention.past(NOW + timedelta(days=900)), NOW + timedelta(days=900))
    assert [folder.exists() for folder in made] == [False, False, False, True]


def test_nothing_that_is_past_its_days_is_nothing_to_record(monkeypatch):
    monkeypatch.setenv("RETENTION__RUNS_DAYS", "30")
    night(1)
    retention.let_go(retention.past(NOW), NOW)
    assert interventions.lines() == []


def test_nothing_goes_while_a_night_runs(monkeypatch):
    old, _ = night(100), night(1)
    found = retention.past(NOW)
    monkeypatch.setattr(turns, "WAIT_SECONDS", 0.1)
    with nights.lock():
        monkeypatch.delenv(turns.INHERITED)  # somebody typed it: no step of that night
        with pytest.raises(LockHeldError, match="a night is under way"):
            retention.let_go(found, NOW)
    assert (old.folder / "dbt").is_dir()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PASSWORD_DAYS", "3", "no such key; the nearest is passwords_days; known are"),
        ("RUNS_DAYS", "0", "runs_days is 0; it must be a whole number, 1 or more"),
        ("RUNS_DAYS", "30.0", "runs_days is 30.0; it must be a whole number, 1 or more"),
        ("RUNS_DAYS", "many", "runs_days is 'many'; it must be a whole number, 1 or more"),
    ],
)
def test_a_class_nobody_knows_or_a_wrong_number_is_refused(monkeypatch, name, value, says):
    monkeypatch.setenv(f"RETENTION__{name}", value)
    with pytest.raises(settings.SettingsError, match=says):
        retention.past(NOW)


def test_a_compacted_warehouse_holds_what_it_held_in_less_space():
    with store.connect() as connection:
        connection.execute("create schema staging; create schema core")
        connection.execute(
            "create table core.people as select range as person_id, md5(range::varchar) as text"
            " from range(300000)"
        )
        connection.execute("create view staging.b_people as from core.people")
        connection.execute(
            "create view staging.a_people as select p.person_id, v.version from staging.b_people as"
            " p cross join ledger.audit.versions as v"
        )
        connection.execute("checkpoint")
        connection.execute("delete from core.people where person_id % 100 > 0")
        connection.execute(
            "create table core.other as from core.people; drop table core.people; alter table"
            " core.other rename to people; checkpoint"
        )
    assert retention.AIR < retention.air() < 1
    before, after = retention.compact()
    assert (
        not list((paths.var() / "tmp" / "compact").iterdir())
        and not paths.warehouse().with_name("warehouse.duckdb.wal").exists()
    )
    assert after < before / 2
    assert retention.air() < 0.1
    with store.connect(read_only=True) as connection:
        assert connection.execute("select count(*) from core.people").fetchone() == (3000,)
        of_versions = 3000 * len(versions.migrations("ledger"))
        assert connection.execute("select count(*) from staging.a_people").fetchone() == (
            of_versions,
        )


def test_a_copy_that_differs_is_not_swapped_in(monkeypatch):
    with store.connect() as connection:
        connection.execute("create table kept as select 1 as one")
    counts = retention._counts
    monkeypatch.setattr(
        retention,
        "_counts",
        lambda connection, catalog: (
            counts(connection, catalog) | ({"main.lost": 1} if catalog == "warehouse" else {})
        ),
    )
    with pytest.raises(Exception, match=r"differs in main.lost; the warehouse stays"):
        retention.compact()
    with store.connect(read_only=True) as connection:
        assert connection.execute("select one from kept").fetchall() == [(1,)]
