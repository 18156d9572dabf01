"""The power fails at every moment of a write: what stands on the disk then is the old document or
the new one, and can be read.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
import sftp_server
from power_cut import Moment, disk_of
from test_target_files import delivery, tables

from common import files, findings, paths, sftp, store
from common.findings import Finding
from common.runs import Run
from ingestion import archive, cursor
from ingestion.layout import Feed
from ingestion.model import Fetched
from operations import alerts, backup, interventions, publish
from reverse_etl import journal
from reverse_etl.passwords import Passwords
from reverse_etl.targets.files import Files

KEY = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("HOMEROOM_AS_OF", "2026-10-05")
    monkeypatch.delenv("HOMEROOM_RUN", raising=False)
    monkeypatch.setattr(store, "WAIT_SECONDS", 0.3)
    return paths.var()


@pytest.fixture
def up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each thing the cut could leave, as the state folder of a machine that came up again."""

    def each(moments: list[Moment]) -> Iterator[tuple[str, Path]]:
        assert len(moments) > 2, "no call of the operating system was seen: nothing was tried"
        seen = set()
        for number, moment in enumerate(moments):
            last = moment.after == "after"
            same = (last, *sorted(moment.files.items(), key=lambda one: one[0]))
            if same in seen:
                continue
            seen.add(same)
            monkeypatch.setenv("HOMEROOM_VAR", str(moment.onto(tmp_path / "up" / str(number))))
            yield ("after" if last else moment.after), paths.var()

    return each


def test_the_kit_itself_loses_what_was_not_synced_and_keeps_what_was(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("was here", encoding="utf-8")
    with disk_of(tmp_path) as moments:
        (tmp_path / "careless.part").write_text("12345678", encoding="utf-8")
        (tmp_path / "careless.part").replace(tmp_path / "careless")
        with (tmp_path / "careful").open("w", encoding="utf-8") as file:
            file.write("12345678")
            file.flush()
            os.fsync(file.fileno())
            file.write("9")
        with (tmp_path / "old").open("a", encoding="utf-8") as file:
            file.write(", and more")
    assert [moment.files for moment in moments[-2:]] == [
        {"old": b"was here", "careless": b"", "careful": b"12345678"},
        {"old": b"was here, and", "careless": b"1234", "careful": b"12345678"},
    ]
    assert moments[0].after.startswith("before replace")
    assert moments[0].files == {"old": b"was here", "careless.part": b""}


def test_a_document_of_a_run_is_the_old_one_or_the_new_one(var: Path, up_again) -> None:
    run = Run.open("nightly")
    run.write("plan.json", {"exports": [], "plan_id": "old"})
    with disk_of(var) as moments:
        run.write("plan.json", {"exports": [], "plan_id": "new", "rows": list(range(100))})
    found = [(when, Run.latest().read("plan.json")["plan_id"]) for when, _ in up_again(moments)]
    assert {plan for _, plan in found} == {"old", "new"}
    assert {plan for when, plan in found if when == "after"} == {"new"}


def test_a_run_that_begins_is_there_or_not_and_the_next_one_can_begin(var: Path, up_again) -> None:
    before = Run.open("nightly")
    before.finish(0)
    with disk_of(var) as moments:
        run = Run.open("nightly")
        with run.step("ingest"):
            pass
        run.finish(2)
    latest = {}
    for when, _ in up_again(moments):
        latest[when] = Run.latest().run_id
        assert latest[when] in (before.run_id, run.run_id)
        assert (
            {before.run_id} <= {one.run_id for one in Run.finished()} <= {before.run_id, run.run_id}
        )
        assert Run.open("nightly").run_id not in (before.run_id, run.run_id)
    assert latest["after"] == run.run_id


def test_findings_that_were_recorded_stay_and_a_torn_one_spoils_neither_them_nor_the_next(
    var: Path, up_again
) -> None:
    run = Run.open("nightly")
    findings.record(run, [Finding("backup_failed", {"why": "said in one line\u2028of two"})])
    with disk_of(var) as moments:
        findings.record(
            run,
            [
                Finding("not_published", {"why": "é" * 50}),
                Finding("space_made", {"var": "v", "free": 1, "needed": 2, "freed": 1}),
            ],
        )
    told = {}
    for when, _ in up_again(moments):
        kinds = [finding["code"] for finding in findings.read(Run.latest())]
        findings.record(Run.latest(), [Finding("run_retried", {"minutes": "1 min"})])
        assert [finding["code"] for finding in findings.read(Run.latest())] == [
            *kinds,
            "run_retried",
        ]
        told[when] = kinds
        assert kinds[0] == "backup_failed"
    assert told["after"] == ["backup_failed", "not_published", "space_made"]


def test_an_intervention_that_was_recorded_stays(var: Path, up_again) -> None:
    interventions.record("backup")
    with disk_of(var) as moments:
        interventions.pause("2099-07-01", "the tenant is being moved")
    paused = {}
    for when, _ in up_again(moments):
        pause = interventions.current()
        paused[when] = pause and pause.why
        assert interventions.lines()[0]["what"] == "backup"
        assert interventions.resume() is (pause is not None)
    assert paused["after"] == "the tenant is being moved"


def test_open_incidents_are_the_old_ones_or_the_new_ones(var: Path, up_again) -> None:
    rest = {"sentence": "It is wrong.", "since": "2026-10-01", "run_id": "r0"}
    old, new, newer = ({"condition": name} | rest for name in ("old", "new", "newer"))
    alerts._remember([old])
    with disk_of(var) as moments:
        alerts._remember([new, newer])
    found = {
        when: tuple(one["condition"] for one in alerts.open_incidents())
        for when, _ in up_again(moments)
    }
    assert set(found.values()) == {("old",), ("new", "newer")}
    assert found["after"] == ("new", "newer")


def test_what_a_cursor_knows_is_of_before_or_of_now(var: Path, up_again) -> None:
    def read(sha256: str) -> None:
        found = Fetched("people", var / "people.csv", sha256 * 64, 1, datetime.now(UTC))
        # without the cursor's column the file itself is not looked at
        cursor.read_whole("hr", Feed("people", ()), "changed_at", [], found=found, notes=[])

    read("a")
    with disk_of(var) as moments:
        read("b")
    found = {when: cursor._read("hr")["people"]["sha256"][0] for when, _ in up_again(moments)}
    assert set(found.values()) == {"a", "b"}
    assert found["after"] == "b"


def test_an_archived_file_is_whole_or_not_there(var: Path, tmp_path: Path, up_again) -> None:
    original = tmp_path / "People.csv"
    original.write_bytes(os.urandom(5000))
    sha256 = files.sha256(original)
    paths.var()
    with disk_of(var) as moments:
        archive.store("sis", "people", original, sha256)
    there = {}
    for when, _ in up_again(moments):
        there[when] = archive.path_of("sis", "people", sha256).is_file()
        if there[when]:
            assert (
                archive.restore("sis", "people", sha256, tmp_path / "back").read_bytes()
                == original.read_bytes()
            )
    assert there["after"]


def _issued(*names: str) -> None:
    with store.connect() as connection:
        connection.execute("create table if not exists ledger.identity.names (name text)")
        connection.executemany(
            "insert into ledger.identity.names values (?)", [[name] for name in names]
        )


def _names_issued() -> int:
    with duckdb.connect(str(paths.ledger()), read_only=True) as connection:
        return connection.execute("select count(*) from identity.names").fetchall()[0][0]


def test_every_backup_that_counts_can_be_put_back_and_the_one_before_is_never_lost_for_it(
    var: Path, monkeypatch: pytest.MonkeyPatch, up_again
) -> None:
    monkeypatch.setenv("BACKUP__KEEP", "1")
    Run.open("nightly").finish(0)
    _issued("quinn", "robin")
    first = backup.backup()
    renamed = first.rename(first.with_name("20260101T000000Z"))
    with disk_of(var) as moments:
        second = backup.backup()
    seen = set()
    for when, _ in up_again(moments):
        there = backup.backups()
        assert there, when
        for one in there:
            if one.name == second.name or when == "after":
                with (
                    backup._proven(one) as ledger,
                    duckdb.connect(str(ledger), read_only=True) as connection,
                ):
                    assert connection.execute("select count(*) from identity.names").fetchone() == (
                        2,
                    )
                assert gzip.decompress((one / backup.DOCUMENTS).read_bytes())
        seen.add(tuple(one.name for one in there))
    assert seen == {(renamed.name,), (renamed.name, second.name), (second.name,)}


def test_a_restore_that_the_power_ended_is_ended_by_the_next_one(var: Path, up_again) -> None:
    run = Run.open("nightly")
    run.write("plan.json", {"exports": [], "plan_id": "p1", "rows": list(range(200))})
    run.finish(0)
    _issued("quinn", "robin")
    made = backup.backup()
    for lost in (paths.ledger(), run.folder / "plan.json"):
        lost.unlink()
    with disk_of(var) as moments:
        backup.restore(made.name)
    for when, state in up_again(moments):
        if when == "after" or (state / "runs" / run.run_id / "plan.json").is_file():
            assert Run.load(run.run_id).read("plan.json")["rows"] == list(range(200)), when
        if when == "after" or paths.ledger().is_file():
            assert _names_issued() == 2, when
        backup.restore(made.name)
        assert Run.load(run.run_id).read("plan.json")["plan_id"] == "p1"
        assert _names_issued() == 2


def test_the_copy_people_query_is_of_the_night_before_or_of_this_one(var: Path, up_again) -> None:
    with store.connect() as connection:
        connection.execute(
            "create schema core; create table core.schools as select 'before' as name"
        )
    publish.publish()
    with store.connect() as connection:
        connection.execute("update core.schools set name = 'tonight'")
    with disk_of(var) as moments:
        publish.publish()
    found = {}
    for when, _ in up_again(moments):
        with duckdb.connect(str(paths.published()), read_only=True) as connection:
            found[when] = connection.execute("select name from core.schools").fetchone()
    assert set(found.values()) == {("before",), ("tonight",)}
    assert found["after"] == ("tonight",)


def test_a_vendors_file_is_the_old_one_or_the_new_one(var: Path, up_again) -> None:
    path = var / "absences.csv"
    path.write_text("old", encoding="utf-8")
    with disk_of(var) as moments:
        rendered = Files("vendor", {}).render(
            tables("callout__absences"), delivery(var, "absences.csv", "callout__absences")
        )
    found = {when: files.sha256(state / "absences.csv") for when, state in up_again(moments)}
    assert set(found.values()) == {
        "cba06b5736faf67e54b07b561eae94395e774c517a7d910a54369e1263ccfbd4",
        rendered.sha256,
    }
    assert found["after"] == rendered.sha256


def test_what_was_about_to_be_written_to_a_target_is_in_the_journal_before_it_is(
    var: Path, up_again
) -> None:
    with disk_of(var) as moments:
        written = journal.Journal(var / "google.jsonl", "p1")
        written.intend(["c1", "c2"])
        calls = len(moments)  # from here on the target may have been called
        written.conclude([{"change_id": "c1", "status": "applied"}])
        written.intend(["c3"])
        written.end()
        written.close()
    for number, moment in enumerate(moments):
        for _, state in up_again([moment, *[moment] * 2]):
            past = journal.read(state / "google.jsonl")
            assert set(past.intents) >= ({"c1", "c2"} if number >= calls else set())
            if moment.after == "after":
                assert (past.plan_id, past.ended, past.unclear) == ("p1", True, {"c2", "c3"})


def test_a_first_password_is_sealed_on_the_disk_before_it_is_used(var: Path, up_again) -> None:
    with disk_of(var) as moments:
        given = Passwords(KEY, var / "passwords", "r", "google")
        given.issue("c1", "p1")
        used = len(moments)
        given.issue("c2", "p2")
        given.close()
    for moment in moments[used:]:
        for when, state in up_again([moment] * 3):
            lines = [
                json.loads(line)
                for line in (state / "passwords" / "r.district.jsonl")
                .read_bytes()
                .split(b"\n")[:-1]
            ]
            assert [line["change_id"] for line in lines] == (
                ["c1", "c2"] if when == "after" else ["c1"]
            )


def test_a_file_that_came_over_the_wire_is_whole_or_not_there(
    var: Path, tmp_path: Path, up_again
) -> None:
    served = tmp_path / "served"
    served.mkdir()
    (served / "People.csv").write_bytes(b"Student Number\r\n" * 5000)
    with (
        sftp_server.running(served, tmp_path / "keys") as server,
        sftp.connect(server.place()) as remote,
        disk_of(var) as moments,
    ):
        remote.get("People.csv", var / "inbox" / "People.csv")
    there = {}
    for when, state in up_again(moments):
        there[when] = (state / "inbox" / "People.csv").is_file()
        assert not there[when] or (state / "inbox" / "People.csv").stat().st_size == 80_000
    assert there["after"]


def test_a_text_is_written_beside_under_a_name_of_its_own_and_nothing_is_left_there(
    var: Path,
) -> None:
    (var / ".page.html.part").write_text("another process is at it", encoding="utf-8")
    files.write(var / "page.html", "Zoë")
    assert (var / "page.html").read_bytes() == "Zoë".encode()
    assert sorted(path.name for path in var.iterdir()) == [".page.html.part", "page.html"]
