"""The journal: an intent is on disk before the call, and a kill at any byte loses no more than the
line being written.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reverse_etl.journal import Journal, JournalDamagedError, Past, read

LINES = st.lists(
    st.tuples(
        st.sampled_from(["intent", "outcome"]),
        st.text(min_size=1, max_size=8),
        st.text(max_size=20),
    ),
    max_size=12,
)
ANEW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


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
def test_a_torn_tail_is_cut_and_everything_before_it_is_kept(
    tmp_path: Path, entries: list, cut: float, rest: bytes
) -> None:
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
    assert {c: o["note"] for c, o in read(path).outcomes.items()} == {
        c: note for kind, c, note in entries if kind == "outcome"
    }


def test_a_broken_line_inside_a_journal_is_not_taken_for_a_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "fake.jsonl"
    lines = write(path, [("intent", "a", ""), ("outcome", "a", ""), ("intent", "b", "")])
    path.write_bytes(lines[0] + b"{half\n" + b"".join(lines[2:]))
    with pytest.raises(JournalDamagedError, match="line 2"):
        read(path)


def test_an_intent_without_an_outcome_is_unclear_and_an_ended_plan_is_not_resumed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "fake.jsonl"
    write(path, [("intent", "a", ""), ("intent", "b", ""), ("outcome", "a", "")])
    past = read(path)
    assert (past.plan_id, past.unclear, past.ended) == ("plan", {"b"}, False)
    journal = Journal(path, "plan")
    journal.end()
    journal.close()
    assert read(path).ended
    assert read(tmp_path / "nothing.jsonl").started is False


def test_many_workers_share_one_sync_and_each_is_on_disk_before_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_disk_that_fails_once_is_not_believed_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


# ---------------------------------------------------------------- what is on disk, and when


class Disk:
    """The calls that put a journal on disk, in their order, with what was in the file at that
    moment.
    """

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.calls = path, list[tuple[str, int]]()
        for name in ("write", "fdatasync", "close"):
            monkeypatch.setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name: str, real):
        def call(*arguments):
            result = real(*arguments)
            self.calls.append((name, self.path.read_bytes().count(b"\n")))
            return result

        return call

    def since(self) -> list[tuple[str, int]]:
        calls, self.calls = self.calls, []
        return calls


def test_an_intent_and_the_end_are_durable_an_outcome_is_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path / "fake.jsonl", monkeypatch)
    journal = Journal(disk.path, "plan")
    assert disk.since() == [("write", 1), ("fdatasync", 1)]
    journal.intend(["a", "b"], 3)
    assert disk.since() == [("write", 3), ("fdatasync", 3)]
    journal.conclude(
        [{"change_id": "a", "status": "applied"}, {"change_id": "b", "status": "failed"}]
    )
    assert disk.since() == [("write", 5)]
    journal.end()
    assert disk.since() == [("write", 6), ("fdatasync", 6)]
    journal.close()
    assert disk.since() == [("close", 6)]


def test_every_line_says_what_it_is_and_when(tmp_path: Path) -> None:
    path = tmp_path / "run" / "journal" / "fake.jsonl"
    journal = Journal(path, "p1")
    journal.intend(["ä"], 2)
    journal.intend(["b"])
    journal.conclude([{"change_id": "ä", "status": "applied", "at": "then"}])
    journal.end()
    journal.close()
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [{name: value for name, value in line.items() if name != "at"} for line in lines] == [
        {"line": "plan", "plan_id": "p1"},
        {"line": "intent", "change_id": "ä", "attempt": 2},
        {"line": "intent", "change_id": "b", "attempt": 1},
        {"line": "outcome", "change_id": "ä", "status": "applied"},
        {"line": "end"},
    ]
    assert '"ä"' in path.read_text(encoding="utf-8")
    assert ": " not in path.read_text(encoding="utf-8")
    assert lines[0]["at"] <= lines[1]["at"] <= lines[4]["at"]
    assert lines[0]["at"].endswith("+00:00")
    past = read(path)
    assert past.last_at == lines[4]["at"]
    assert past.intents == {"ä": lines[1]["at"], "b": lines[2]["at"]}
    assert (past.plan_id, past.started, past.ended, past.unclear) == ("p1", True, True, {"b"})
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_another_plan_of_the_same_run_goes_on_in_the_same_journal(tmp_path: Path) -> None:
    path = tmp_path / "fake.jsonl"
    write(path, [("outcome", "a", "first")])
    for plan in ("second", "third"):
        journal = Journal(path, plan)
        if plan == "second":
            journal.end()
        journal.close()
    past = read(path)
    assert (past.plan_id, past.ended, set(past.outcomes)) == ("third", False, {"a"})
    journal = Journal(path, "third")
    journal.conclude([{"change_id": "a", "status": "applied", "note": "second"}])
    journal.close()
    assert read(path).outcomes["a"]["note"] == "second"  # the last word counts


def test_a_journal_that_is_not_there_or_empty_is_no_past(tmp_path: Path) -> None:
    assert read(tmp_path / "none.jsonl") == Past()
    (tmp_path / "empty.jsonl").touch()
    assert read(tmp_path / "empty.jsonl") == Past()
    assert Past() == Past(None, {}, {}, False, False, "")


@pytest.mark.parametrize(
    "torn",
    [
        b"{",
        b'{"line":"outcome","change_id":"a"}',
        b'["line"]\n',
        b'{"at":1}\n',
        b"\xff\xfe\n",
        b"7\n",
    ],
)
def test_a_torn_last_line_is_cut_before_anything_is_added(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "fake.jsonl"
    whole = b"".join(write(path, [("intent", "a", "")]))
    path.write_bytes(whole + torn)
    assert read(path).unclear == {"a"}
    Journal(path, "plan").close()
    assert path.read_bytes().startswith(whole + b'{"line":"plan"')
    if torn.endswith(b"\n"):
        path.write_bytes(whole + torn + b"{")  # two cannot be torn by one kill
        with pytest.raises(JournalDamagedError, match="line 3 cannot be read"):
            read(path)
    path.write_bytes(torn + whole if torn.endswith(b"\n") else torn + b"\n" + whole)
    if torn != b'{"line":"outcome","change_id":"a"}':
        with pytest.raises(
            JournalDamagedError, match=r"fake.jsonl: line 1 cannot be read and is not the last"
        ):
            read(path)


def test_a_write_that_is_taken_in_parts_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:7]))
    path = tmp_path / "fake.jsonl"
    journal = Journal(path, "plan")
    journal.intend(["a"])
    journal.close()
    assert read(path).unclear == {"a"}


def test_what_is_concluded_while_another_syncs_is_written_by_the_time_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fake.jsonl"
    journal = Journal(path, "plan")
    real, syncing, go_on = os.fdatasync, threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        syncing.set()
        assert go_on.wait(30)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)
    worker = threading.Thread(target=journal.intend, args=(["a"],))
    worker.start()
    assert syncing.wait(30)
    journal.conclude([{"change_id": "b", "status": "applied"}])
    assert set(read(path).outcomes) == {"b"}  # it does not wait for the disk
    closing = threading.Thread(target=journal.close)
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()  # the file is not closed under a sync
    go_on.set()
    worker.join(30)
    closing.join(30)
    assert not closing.is_alive()
    assert set(read(path).intents) == {"a"}
