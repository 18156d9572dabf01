"""Every document of the state, damaged in every way: the night, its report and its alerts go on
and say what was wrong.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from night_kit import finding, night
from rich.console import Console

from common import documents, findings, paths, store
from common.commit import git_commit
from common.runs import SHAPES, Run
from operations import alerts, history, interventions, page, publish, report, status
from reverse_etl import journal, settle


@pytest.fixture(autouse=True)
def var(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.delenv("HOMEROOM_RUN", raising=False)
    return tmp_path / "var"


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def text(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    write.__name__ = repr(content[:12])
    return write


DAMAGES = [
    half,
    nothing,
    a_folder,
    a_link_to_itself,
    *map(text, (b"null", b"[1]", b"7", b'{"a": 1}', b"\xff\xfe\x00", b"[" * 100_000)),
]
damages = pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
OF_A_RUN = [name for name in SHAPES if "/" not in name and name not in ("observed.json",)]


def a_past(nights: int = 9) -> Run:
    for number in range(nights):
        run, _ = night(number)
        run.write("alerts.json", {"sent": []})
        run.write("exports.json", {"exp": {"rows": 1}})
        last = run
    (paths.runs() / "latest").symlink_to(last.run_id)
    return last


def looked_at(run: Run) -> set[str]:
    """All that looks back on nights does so; the codes of what was found."""
    summary = report.summarise(run)
    page.write(run, summary)
    report.metrics.write(summary)
    report.show(run, summary, Console(quiet=True))
    history.nights()
    alerts.send(run, summary)
    status.show(Console(quiet=True))
    status.health()
    publish.documents()
    findings.notice(run)
    return {one["code"] for one in findings.read(run)}


@damages
@pytest.mark.parametrize("name", OF_A_RUN)
@pytest.mark.parametrize("of", [3, -1], ids=["of an old night", "of the latest"])
def test_no_document_of_a_run_however_damaged_stops_what_looks_back_on_it(var, name, of, damage):
    a_past()
    run = Run.every()[of]
    damage(run.folder / name)
    fits = documents.read(run.folder / name, None, SHAPES[name]) is not None
    tonight, _ = night(20, found=(finding(),))
    found = looked_at(tonight) | looked_at(run)
    assert fits or "document_damaged" in found
    aside = [place / "runs" / run.run_id / name for place in (var / "damaged").glob("*")]
    assert fits or any(map(documents.exists, aside))
    assert not list(documents.untold())
    assert Run.every()[of if of > 0 else -2].run_id == run.run_id


@damages
@pytest.mark.parametrize("name", ["incidents.json", "interventions.jsonl"])
def test_no_document_beside_the_runs_stops_them_either(var, name, damage):
    a_past(1)
    interventions.record("not_run", details="a pause")
    alerts.send(*night(1, exit_code=1))
    damage(var / name)
    run, _ = night(2)
    assert interventions.current() is None
    found = looked_at(run)
    interventions.record("not_run", details="another")
    assert [one["details"] for one in interventions.lines()][-1] == "another"
    assert "document_damaged" in found


@pytest.mark.parametrize("name", ["run.json", "findings.jsonl", "incidents.json"])
def test_a_document_whose_mode_lets_nobody_read_it_is_set_aside_by_the_one_whose_folder_it_is(
    var, name, monkeypatch
):
    run = a_past(1)
    findings.record(run, [finding()])
    (var / "incidents.json").write_text("{}")
    path = var / name if name == "incidents.json" else run.folder / name
    real = Path.open  # root, as in a test, may read everything

    def no(self, *given, **more):
        if self == path:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *given, **more)

    monkeypatch.setattr(Path, "open", no)
    monkeypatch.setattr(Path, "read_text", lambda self, **_: self.open().read())
    monkeypatch.setattr(Path, "read_bytes", lambda self: self.open("rb").read())
    with monkeypatch.context() as patch:  # who only reads is told whose it is
        patch.setattr(os, "access", lambda *_: False)
        with pytest.raises(PermissionError):
            documents.lines(path) if path.suffix == ".jsonl" else documents.read(path)
    found = documents.lines(path) if path.suffix == ".jsonl" else documents.read(path, [])
    assert found == []
    assert [inside.name for inside, _ in documents.untold()] == [name]


def test_interventions_that_were_cut_are_there_again_from_the_ledger():
    interventions.record("not_run", details="a pause")
    interventions.pause("2099-01-01", "summer")
    before = interventions.lines()
    with store.connect() as connection:
        assert interventions.load(connection) == 2
        nothing(interventions.path())
        assert interventions.current() is None
        assert interventions.load(connection) == 0
    assert interventions.current().why == "summer"
    assert [one["details"] for one in interventions.lines()] == [one["details"] for one in before]


def test_a_damaged_line_is_left_out_and_the_others_stay():
    run, _ = night(0, found=(finding(), finding()))
    path = run.folder / "findings.jsonl"
    first, second, _ = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join((first, second[:20], b"\x00\x00", second, b"")))
    assert len(findings.read(run)) == 2
    findings.notice(run)
    assert [one["code"] for one in findings.read(run)][-1] == "document_damaged"


@pytest.mark.parametrize("instead", ["a folder", "a file", "a link to nothing", "nothing"])
def test_whatever_stands_where_the_latest_run_is_pointed_to_the_newest_is_found(instead):
    run = a_past(2)
    link = paths.runs() / "latest"
    link.unlink()
    if instead == "a folder":
        shutil.copytree(run.folder, link)
    elif instead == "a file":
        link.write_text("x")
    elif instead == "a link to nothing":
        link.symlink_to("gone")
    assert Run.latest() == run
    opened = Run.open("nightly")
    assert link.readlink() == Path(opened.run_id)
    assert Run.latest().run_id == opened.run_id


def test_a_run_whose_record_is_gone_bad_is_made_again_of_its_summary():
    run, summary = night(3, exit_code=3)
    nothing(run.folder / "run.json")
    facts = Run.load(run.run_id).facts()
    assert {key: facts[key] for key in ("verb", "as_of", "status", "exit_code")} == {
        key: summary[key] for key in ("verb", "as_of", "status", "exit_code")
    }
    nothing(run.folder / "run.json")
    nothing(run.folder / "summary.json")
    facts = Run.load(run.run_id).facts()
    assert (facts["exit_code"], facts["as_of"]) == (1, "2026-10-04")
    assert facts["finished_at"], "nobody goes on with it"


def test_a_run_under_way_whose_record_is_damaged_goes_on(monkeypatch):
    run = Run.open("nightly")
    monkeypatch.setenv("HOMEROOM_RUN", run.run_id)
    half(run.folder / "run.json")
    with run.step("build"):
        pass
    facts = Run.load(run.run_id).facts()
    assert (facts["verb"], facts["finished_at"]) == ("nightly", None)
    assert [step["name"] for step in facts["steps"]] == ["build"]


def test_a_damaged_journal_stops_no_night(tmp_path):
    run, _ = night(0)
    path = run.folder / "journal" / "google.jsonl"
    path.parent.mkdir()
    whole = b'{"line":"plan","plan_id":"p","at":"2026"}\n'
    path.write_bytes(whole + b"\x00\x00\n" + b'{"line":"end","at":"2026"}\n')
    with pytest.raises(journal.JournalDamagedError):
        journal.read(path)
    journal.keep_what_is_whole(path)
    assert journal.read(path).ended
    assert [str(inside) for inside, _ in documents.untold()] == [
        f"runs/{run.run_id}/journal/google.jsonl"
    ]
    path.with_suffix(".settled").write_bytes(b"\xff")
    assert not settle._is_settled(path)


def random_bytes(path: Path) -> None:
    path.write_bytes(random.Random(0).randbytes(path.stat().st_size))


def a_link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("gone")


JOURNAL = "".join(
    json.dumps({"line": "outcome", "at": "2026", "change_id": f"c{number}", "status": "applied"})
    + "\n"
    for number in range(20)
)
NOTHING_WANTED = [half, nothing, random_bytes, a_folder, a_link_to_itself, a_link_to_nothing]


@pytest.mark.parametrize("damage", NOTHING_WANTED)
def test_a_journal_that_was_taken_in_long_ago_and_is_damaged_since_is_named(damage):
    with store.connect() as connection:
        run, _ = night(0)
        path = run.folder / "journal" / "google.jsonl"
        path.parent.mkdir()
        path.write_text(JOURNAL, encoding="utf-8")
        settle.settle(connection)
        settle.look_over()
        assert not list(documents.untold()), "it is as it was"
        damage(path)
        settle.look_over()
        named = [str(inside) for inside, _ in documents.untold()]
        assert named == [f"runs/{run.run_id}/journal/google.jsonl"]
        documents.told()
        settle.look_over()
        assert settle.settle(connection) == 0
        assert not list(documents.untold()), "it is named once"


@pytest.mark.parametrize("damage", NOTHING_WANTED)
def test_a_damaged_journal_is_named_by_whoever_takes_it_in_again(damage):
    with store.connect() as connection:
        run, _ = night(0)
        path = run.folder / "journal" / "google.jsonl"
        path.parent.mkdir()
        path.write_text(JOURNAL, encoding="utf-8")
        settle.settle(connection)
        damage(path)
        before = path.lstat().st_mtime
        settle.settle(connection)
        settle.look_over()
        assert settle.last_written("google") <= before, "nothing was written to the target"
        named = [str(inside) for inside, _ in documents.untold()]
        assert named == [f"runs/{run.run_id}/journal/google.jsonl"]


@pytest.mark.parametrize("damage", NOTHING_WANTED)
def test_findings_of_an_older_night_that_are_fewer_than_it_counted_are_damaged(damage):
    run, _ = night(0, found=(finding(), finding()))
    findings.look_over()
    assert not list(documents.untold())
    damage(run.folder / "findings.jsonl")
    findings.look_over()
    named = [str(inside) for inside, _ in documents.untold()]
    assert named == [f"runs/{run.run_id}/findings.jsonl"]
    documents.told()
    tonight, _ = night(1)
    assert "document_damaged" not in looked_at(tonight)


@pytest.mark.parametrize("other", [False, True])
def test_a_finding_another_homeroom_wrote_in_another_shape_is_no_damage(other):
    run, _ = night(0, found=(finding(),))
    run.write("run.json", run.facts() | {"git_commit": "0" * 40 if other else git_commit()})
    file = run.folder / "findings.jsonl"
    lines = file.read_text(encoding="utf-8") + '{"kind": "feed_stale", "message": "Said."}\n'
    file.write_text(lines, encoding="utf-8")
    findings.look_over()
    assert len(findings.read(run)) == len(findings.lines(run)) == 1
    assert bool(list(documents.untold())) is not other
    assert (file.read_text(encoding="utf-8") == lines) is other


@pytest.mark.parametrize("part", ["publish", "page.write", "metrics.write", "show"])
def test_each_part_of_the_report_is_made_whatever_became_of_the_others(monkeypatch, part):
    made = []

    def breaks(*_):
        raise KeyError("a value of a row")

    monkeypatch.setattr(report, "remember", lambda: None)
    for name in ("publish", "page.write", "metrics.write", "show"):
        place, _, last = name.rpartition(".")
        owner = getattr(report, place) if place else report
        act = breaks if name == part else lambda *_, what=name: made.append(what)
        monkeypatch.setattr(owner, last, act)
    run = Run.open("nightly")
    assert report.report(run, 0, Console(quiet=True)) == 1
    assert len(made) == 3
    (told,) = findings.read(run)
    assert told["code"] == "report_incomplete" and "a value of a row" not in told["message"]
    assert run.read("summary.json")["exit_code"] == run.facts()["exit_code"] == 1


@pytest.mark.parametrize("name", sorted(OF_A_RUN))
@pytest.mark.parametrize("damage", [half, nothing, a_folder])
def test_a_document_nobody_asks_tonight_is_looked_over_all_the_same(name, damage):
    run = a_past(2)
    run.write(name, run.read(name) or {})
    damage(run.folder / name)
    Run.look_over()
    aside = [str(inside) for inside, _ in documents.untold()]
    assert aside in ([f"runs/{run.run_id}/{name}"], []), "what is whole by its shape stays"
    assert aside or documents.read(run.folder / name, None, SHAPES[name]) is not None
