"""The journal: an intent is on disk before the call, and a kill at any byte loses no more than the line being written."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reverse_etl.journal import Journal, JournalDamaged, read

LINES = st.lists(st.tuples(st.sampled_from(["intent", "outcome"]), st.text(min_size=1, max_size=8), st.text(max_size=20)), max_size=12)
ANEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path: Path, entries: list[tuple[str, str, str]]) -> list[bytes]:
    path.unlink(missing_ok=True)
    journal = Journal(path, "plan")
    for kind, change_id, note in entries:
        if kind == "intent":
            journal.intend([change_id])
        else:
            journal.conclude([{"change_id": change_id, "status": "applied", "note": note}])
    journal.close()
    return path.read_bytes().splitlines(keepends=True)


@ANEW
@given(entries=LINES, cut=st.floats(0, 1), rest=st.binary(max_size=30))
def test_a_torn_tail_is_cut_and_everything_before_it_is_kept(tmp_path: Path, entries: list, cut: float, rest: bytes) -> None:
    path = tmp_path / "fake.jsonl"
    lines = write(path, entries)
    content = b"".join(lines)
    kept = int(len(content) * cut)
    path.write_bytes(content[:kept] + rest.replace(b"\n", b""))
    whole = content[:kept].count(b"\n")
    expected = [json.loads(line) for line in lines[:whole]]
    past = read(path)
    assert set(past.outcomes) == {e["change_id"] for e in expected if e["line"] == "outcome"}
    assert set(past.intents) == {e["change_id"] for e in expected if e["line"] == "intent"}
    again = Journal(path, "plan")
    again.intend(["after"])
    again.close()
    assert set(read(path).intents) == set(past.intents) | {"after"}


@ANEW
@given(entries=LINES)
def test_what_was_concluded_is_read_back_whatever_its_note(tmp_path: Path, entries: list) -> None:
    path = tmp_path / "fake.jsonl"
    write(path, entries)
    assert {c: o["note"] for c, o in read(path).outcomes.items()} == {c: note for kind, c, note in entries if kind == "outcome"}


def test_a_broken_line_inside_a_journal_is_not_taken_for_a_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "fake.jsonl"
    lines = write(path, [("intent", "a", ""), ("outcome", "a", ""), ("intent", "b", "")])
    path.write_bytes(lines[0] + b"{half\n" + b"".join(lines[2:]))
    with pytest.raises(JournalDamaged, match="line 2"):
        read(path)


def test_an_intent_without_an_outcome_is_unclear_and_an_ended_plan_is_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "fake.jsonl"
    write(path, [("intent", "a", ""), ("intent", "b", ""), ("outcome", "a", "")])
    past = read(path)
    assert (past.plan_id, past.unclear, past.ended) == ("plan", {"b"}, False)
    journal = Journal(path, "plan")
    journal.end()
    journal.close()
    assert read(path).ended
    assert read(tmp_path / "nothing.jsonl").started is False


def test_many_workers_share_one_sync_and_each_is_on_disk_before_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs, path = [0], tmp_path / "fake.jsonl"
    real = os.fdatasync

    def slow(descriptor: int) -> None:
        syncs[0] += 1
        real(descriptor)
        threading.Event().wait(0.005)

    monkeypatch.setattr(os, "fdatasync", slow)
    journal = Journal(path, "plan")
    missing: list[str] = []

    def work(worker: int) -> None:
        for number in range(20):
            journal.intend([f"{worker}-{number}"])
            if f'"{worker}-{number}"' not in path.read_text():
                missing.append(f"{worker}-{number}")

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert missing == []
    assert len(read(path).intents) == 320
    assert syncs[0] < 160


def test_a_disk_that_fails_once_is_not_believed_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "fake.jsonl", "plan")
    real = os.fdatasync

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", full)
    with pytest.raises(OSError, match="No space"):
        journal.intend(["a"])
    monkeypatch.setattr(os, "fdatasync", real)
    with pytest.raises(OSError, match="No space"):
        journal.intend(["b"])
