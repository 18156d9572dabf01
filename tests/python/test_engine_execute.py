"""Executing, answer by answer: what is journaled when, what is tried again, looked up or given up,
who waits for whom.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from common.lock import LockHeldError
from reverse_etl import execute, pacing
from reverse_etl.execute import Execution, Item, Queue, rounds
from reverse_etl.holds import TargetUnusableError
from reverse_etl.journal import Past
from reverse_etl.model import Change, Outcome

DONE = Outcome("", "applied", 201, remote_id="r")
BUSY = Outcome("", "retry", 503, "unavailable")
THROTTLED = Outcome("", "retry", 429, "throttled")
LOST = Outcome("", "unknown", None, "timeout")
REFUSED = Outcome("", "failed", 400, "invalid")


@dataclass
class World:
    """Journal and adapter in one: everything that happens, in its order. `answers`: key -> what it
    is answered, then DONE.
    """

    answers: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    there: Mapping[str, Any] = field(
        default_factory=dict
    )  # key -> remote id that `find` gives, or what it raises
    happened: list[tuple] = field(default_factory=list)
    entities: tuple[str, ...] = ("units", "users", "members")
    batch: int = 1
    threads: int = 1
    rate: float = 1e9
    full: bool = False  # the journal's disk
    silent: bool = False  # no answer for anything
    asked: dict[str, int] = field(default_factory=dict)

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        self.happened.append(("apply", *(c.change_id for c in changes)))
        self.last = changes
        if self.silent:
            return []
        said = []
        for change in changes:
            number = self.asked[change.change_id] = self.asked.get(change.change_id, 0) + 1
            given = [*self.answers.get(change.change_id, ()), *([DONE] * number)][number - 1]
            if isinstance(given, Exception):
                raise given
            said.append(
                replace(
                    given,
                    change_id=change.change_id,
                    remote_id=given.remote_id and f"r-{change.change_id}",
                )
            )
        return said

    def find(self, change: Change) -> str | None:
        self.happened.append(("find", change.change_id))
        found = self.there.get(change.change_id)
        if isinstance(found, Exception):
            raise found
        return found

    def order(self, change: Change) -> int:
        return change.key[0].count("/")

    def intend(self, change_ids: Sequence[str], attempt: int) -> None:
        if self.full:
            raise OSError(28, "No space left")
        self.happened.append(("intend", *change_ids, attempt))

    def conclude(self, lines: Sequence[dict[str, Any]]) -> None:
        self.happened.append(("conclude", *(line["change_id"] for line in lines)))
        self.lines = [*getattr(self, "lines", []), *lines]

    def end(self) -> None:
        self.happened.append(("end",))

    def words(self) -> str:
        return " ".join("-".join(map(str, one)) for one in self.happened)


def user(name: str, action: str = "create", entity: str = "users", **more: Any) -> Change:
    return Change(name, "fake", entity, (more.pop("key", name),), action, **more)


def member(group: str, person: str, action: str = "create", **more: Any) -> Change:
    return Change(f"m-{group}-{person}", "fake", "members", (group, person), action, **more)


def run(world: World, *changes: Change, past: Past | None = None, **more: Any) -> execute.Tally:
    return made(world, *changes, past=past, **more).run()


def made(world: World, *changes: Change, past: Past | None = None, **more: Any) -> Execution:
    hours = itertools.count(
        0, 3600
    )  # every look at the clock is an hour later, so that nothing has to be waited for
    given = {
        "stop": threading.Event(),
        "clock": lambda: float(next(hours)),
        "sleep": lambda seconds: None,
        "chance": lambda: 0.0,
        "references": {
            "members": {"group_id": "users", "person_id": "users"},
            "users": {"unit": "units", "manager": "users"},
        },
        "keys": {"members": ("group_id", "person_id"), "users": ("person_id",), "units": ("unit",)},
        "known": {},
    } | more
    return Execution(world, changes, journal=world, past=past or Past(), **given)  # type: ignore[arg-type]


# ---------------------------------------------------------------- the order of things


def test_who_points_to_an_account_that_is_not_had_back_waits_and_tries_nothing() -> None:
    world = World(answers={"p": [REFUSED]})
    back = user("p", "restore", remote_id="r", new={"deleted": False})
    known = {("users", "p"): "r", ("users", "g"): "r-g"}
    more = {"deleted": {"users": "deleted"}, "known": known}
    tally = run(world, back, member("g", "p"), member("h", "p", "remove", remote_id="r"), **more)
    assert dict(tally.done) == {
        ("users", "failed"): 1,
        ("members", "skipped"): 1,
        ("members", "applied"): 1,
    }
    world = World()
    tally = run(world, back, member("g", "p"), **more)
    assert dict(tally.done) == {("users", "applied"): 1, ("members", "applied"): 1}
    opened = user("p", "restore", remote_id="r", new={"suspended": False})
    world = World(answers={"p": [REFUSED]})
    tally = run(world, opened, member("g", "p"), **more)
    assert tally.done["members", "applied"] == 1, "an account that is closed is there"


def test_an_intent_is_recorded_before_the_call_and_its_outcome_before_the_next_and_the_end_last() -> (  # noqa: E501
    None
):
    world = World()
    tally = run(world, user("a"), user("b", "update"))
    assert world.words() == "intend-a-1 apply-a conclude-a intend-b-1 apply-b conclude-b end"
    assert dict(tally.done) == {("users", "applied"): 2}
    assert (tally.failed, tally.trouble) == (0, "")


def test_a_batch_is_one_intent_one_call_and_one_record() -> None:
    world = World(batch=3)
    run(world, *(user(name) for name in "abcdefg"))
    assert (
        world.words()
        == "intend-a-b-c-1 apply-a-b-c conclude-a-b-c intend-d-e-f-1 apply-d-e-f conclude-d-e-f"
        " intend-g-1 apply-g conclude-g end"
    )


@pytest.mark.parametrize(
    ("count", "batch", "threads", "workers"),
    [(1, 1, 8, 1), (8, 1, 8, 8), (9, 1, 8, 8), (20, 20, 8, 1), (21, 20, 8, 2)],
)
def test_no_more_workers_are_started_than_there_are_batches(
    monkeypatch: pytest.MonkeyPatch, count: int, batch: int, threads: int, workers: int
) -> None:
    started: list[str] = []

    class Counted(threading.Thread):
        def start(self) -> None:
            started.append(self.name)
            super().start()

    monkeypatch.setattr(execute.threading, "Thread", Counted)
    run(World(batch=batch, threads=threads), *(user(f"u{n}") for n in range(count)))
    assert started == [f"fake-{n}" for n in range(workers)]


def test_what_is_recorded_says_what_came_and_leaves_out_what_is_empty() -> None:
    world = World(
        {
            "a": [replace(DONE, request_id="q", note="receipt")],
            "b": [replace(REFUSED, remote_id=None)],
        }
    )
    file = {"rows": 3, "bytes": 4, "sha256": "s", "without": {"x": ["1"]}, "file": "f.csv"}
    run(world, user("a"), user("b"))
    run(files := World(entities=()), Change("f", "fake", "file", ("f.csv",), "deliver", new=file))
    first, second = world.lines
    assert first["started_at"] <= first["finished_at"]
    plain = {name: value for name, value in first.items() if not name.endswith("_at")}
    assert plain == {
        "change_id": "a",
        "status": "applied",
        "attempts": 1,
        "code": 201,
        "remote_id": "r-a",
        "request_id": "q",
        "note": "receipt",
    }
    assert {name: value for name, value in second.items() if not name.endswith("_at")} == {
        "change_id": "b",
        "status": "failed",
        "attempts": 1,
        "code": 400,
        "reason": "invalid",
        "note": "invalid",
    }
    assert {name: files.lines[0].get(name) for name in file} == {**file, "file": None}


def test_rounds_go_deeper_when_making_and_back_when_taking_away() -> None:
    changes = [
        user(key, action, "units", key=key)
        for key in ("/a/b", "/a", "/a/b/c")
        for action in ("create", "delete")
    ] + [user("u", "remove"), user("v")]
    changes = [replace(c, change_id=f"{c.action} {c.key[0]}") for c in changes]
    assert [[c.change_id for c in one] for one in rounds(World(), changes)] == [
        ["create /a"],
        ["create /a/b"],
        ["create /a/b/c"],
        ["create v"],
        ["remove u"],
        ["delete /a/b/c"],
        ["delete /a/b"],
        ["delete /a"],
    ]  # type: ignore[arg-type]


# ---------------------------------------------------------------- resuming


def test_who_is_closed_is_closed_behind_what_is_handed_over_before() -> None:
    world = World(entities=("units", "users", "owners", "members"))
    changes = [
        user("gone", "suspend"),
        user("new"),
        user("class", "update", entity="owners"),
        user("other", "suspend", entity="owners"),
        user("unit", "suspend", entity="units"),
    ]
    plain = [[c.change_id for c in wave] for wave in execute.rounds(world, changes)]
    assert plain == [["unit"], ["gone", "new"], ["class", "other"]]
    world.closes_after = {"users": "owners"}  # type: ignore[attr-defined]
    waiting = [[c.change_id for c in wave] for wave in execute.rounds(world, changes)]
    assert waiting == [["unit"], ["new"], ["class", "other"], ["gone"]]


def test_what_has_an_outcome_is_not_done_again_but_counts_and_is_referred_to() -> None:
    past = Past(
        "plan",
        {
            "a": {"status": "applied", "remote_id": "ra"},
            "b": {"status": "failed", "code": 400, "reason": "invalid"},
        },
        {"a": "t", "b": "t"},
    )
    world = World()
    tally = run(world, user("a"), user("b"), member("a", "a"), member("a", "b"), past=past)
    assert world.words() == "conclude-m-a-b intend-m-a-a-1 apply-m-a-a conclude-m-a-a end"
    assert world.last[0].references == {"group_id": "ra", "person_id": "ra"}
    assert dict(tally.done) == {
        ("users", "applied"): 1,
        ("users", "failed"): 1,
        ("members", "skipped"): 1,
        ("members", "applied"): 1,
    }
    assert dict(tally.failures) == {("users", "create", 400, "invalid"): 1}
    assert tally.failed == 1


@pytest.mark.parametrize(
    ("action", "looked_up"),
    [
        ("create", True),
        ("undelete", True),
        ("deliver", True),
        ("adopt", False),
        ("update", False),
        ("rename", False),
        ("suspend", False),
        ("restore", False),
        ("remove", False),
        ("delete", False),
    ],
)
def test_what_was_about_to_be_written_is_looked_up_first_where_twice_is_not_once(
    action: str, looked_up: bool
) -> None:
    past = Past("plan", {}, {"a": "t"})
    world = World(there={"a": "ra"})
    run(world, user("a", action, remote_id="ra"), past=past)
    assert world.words() == (
        "find-a conclude-a end" if looked_up else "intend-a-2 apply-a conclude-a end"
    )
    if looked_up:
        line = {
            name: value
            for name, value in world.lines[0].items()
            if name != "finished_at" and name != "started_at"
        }
        assert line == {
            "change_id": "a",
            "status": "applied",
            "attempts": 1,
            "reason": "found",
            "remote_id": "ra",
            "note": "found by its key after an unknown reply",
        }
    absent = World()
    run(absent, user("a", action, remote_id="ra"), past=past)
    assert absent.words() == ("find-a " if looked_up else "") + "intend-a-2 apply-a conclude-a end"


def test_a_lost_reply_is_looked_up_and_a_certain_refusal_is_not() -> None:
    world = World({"a": [LOST], "b": [BUSY], "c": [LOST, BUSY]}, there={"a": "ra"})
    run(world, user("a"), user("b"), user("c"))
    assert [one for one in world.happened if one[0] == "find"] == [("find", "a"), ("find", "c")]
    assert world.asked == {"a": 1, "b": 2, "c": 3}
    assert {line["change_id"]: line.get("remote_id") for line in world.lines} == {
        "a": "ra",
        "b": "r-b",
        "c": "r-c",
    }


def test_an_adapter_that_breaks_or_says_nothing_leaves_it_unknown() -> None:
    world = World({"a": [KeyError("Jane Doe")]}, there={"a": "ra"})
    run(world, user("a"))
    assert world.words() == "intend-a-1 apply-a find-a conclude-a end"
    assert "Jane" not in str(world.lines)
    silent = World(silent=True)
    run(silent, user("a", "update"))
    assert silent.lines[0]["note"] == "given up after 6 attempts: the adapter gave no outcome"
    assert (silent.lines[0]["status"], silent.lines[0]["reason"], silent.lines[0]["attempts"]) == (
        "failed",
        "no_answer",
        6,
    )


def test_a_look_up_that_fails_is_tried_again_and_at_last_given_up() -> None:
    world = World({"a": [LOST]}, there={"a": TargetUnusableError("it is asleep")})
    run(world, user("a"))
    assert world.words() == "intend-a-1 apply-a" + " find-a" * 5 + " conclude-a end"
    assert world.lines[0]["note"] == "given up after 6 attempts: TargetUnusableError: it is asleep"


# ---------------------------------------------------------------- trying again, and giving up


@pytest.mark.parametrize(("busy", "status"), [(5, "applied"), (6, "failed")])
def test_a_change_is_tried_six_times(busy: int, status: str) -> None:
    world = World({"a": [BUSY] * busy})
    tally = run(world, user("a"))
    assert world.asked["a"] == 6
    assert [one[-1] for one in world.happened if one[0] == "intend"] == [1, 2, 3, 4, 5, 6]
    assert (world.lines[0]["status"], world.lines[0]["attempts"]) == (status, 6)
    assert world.lines[0].get("note") == (
        None if status == "applied" else "given up after 6 attempts: unavailable"
    )
    assert tally.done["users", status] == 1


@pytest.mark.parametrize(("throttles", "status"), [(29, "applied"), (30, "failed")])
def test_being_told_to_wait_is_no_attempt_but_ends_some_time(throttles: int, status: str) -> None:
    world = World({"a": [THROTTLED] * throttles})
    run(world, user("a"))
    assert (world.lines[0]["status"], world.lines[0]["attempts"]) == (status, 30)
    assert world.lines[0].get("note") == (
        None if status == "applied" else "given up after 30 attempts: throttled"
    )


@pytest.mark.parametrize(
    "answer", [THROTTLED, replace(THROTTLED, code=403), replace(THROTTLED, reason="")]
)
def test_a_busy_tenant_is_never_given_up_for_the_night(answer: Outcome) -> None:
    world = World({f"u{n}": [answer] * 25 for n in range(4)})  # a hundred in a row
    tally = run(world, *(user(f"u{n}") for n in range(4)))
    assert (tally.trouble, tally.done["users", "applied"]) == ("", 4)


@pytest.mark.parametrize(("row", "given_up"), [(59, False), (60, True)])
def test_a_platform_that_is_down_is_left_alone_after_sixty_calls_in_a_row(
    row: int, given_up: bool
) -> None:
    world = World({f"u{n}": [BUSY] for n in range(row)})
    tally = run(world, *(user(f"u{n}") for n in range(row)))
    assert tally.trouble == ("60 calls in a row came to nothing (last: 503)" if given_up else "")
    assert len(world.asked) == row
    assert (world.happened[-1] == ("end",)) is not given_up
    assert tally.done["users", "applied"] == (0 if given_up else row)


def test_a_platform_that_says_nothing_or_cannot_be_asked_is_down_too() -> None:
    names = [f"u{n}" for n in range(60)]
    assert (
        run(World(silent=True), *(user(name) for name in names)).trouble
        == "60 calls in a row came to nothing (last: no answer)"
    )
    asleep = World(there=dict.fromkeys(names, TargetUnusableError("it is asleep")))
    past = Past("plan", {}, dict.fromkeys(names, "t"))
    assert (
        run(asleep, *(user(name) for name in names), past=past).trouble
        == "60 calls in a row came to nothing (last: no answer)"
    )
    assert asleep.asked == {}


def test_the_row_begins_at_nothing_after_an_answer() -> None:
    names = [f"u{n:03}" for n in range(119)]
    world = World({name: [BUSY] for name in names} | {"u059": [DONE]})
    assert run(world, *(user(name) for name in names)).trouble == ""


def test_the_first_trouble_is_the_one_told_and_a_stop_wakes_who_waits() -> None:
    one = made(World(), user("a"), sleep=None)
    assert one.bucket._sleep == one.stop.wait
    one._give_up("its disk is full")
    one._give_up("another")
    assert one.tally.trouble == "its disk is full"


def test_a_create_nothing_was_said_of_is_looked_up() -> None:
    world = World(silent=True, there={"a": "ra"})
    run(world, user("a"))
    assert world.words() == "intend-a-1 apply-a find-a conclude-a end"


def test_the_pace_recovers_with_every_answer_that_counts() -> None:
    one = made(
        World({"a": [REFUSED], "b": [BUSY, DONE], "c": [THROTTLED, DONE]}),
        user("a"),
        user("b"),
        user("c"),
    )
    good: list[int] = []
    one.bucket.succeeded = lambda: good.append(1)  # type: ignore[method-assign]
    one.run()
    assert len(good) == 3


def test_a_change_began_when_it_was_first_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = itertools.count()
    monkeypatch.setattr(execute, "_now", lambda: f"t{next(moments)}")
    world = World({"a": [BUSY, BUSY]})
    run(world, user("a"))
    assert world.lines[0]["started_at"] == "t0"
    assert world.lines[0]["finished_at"] == f"t{next(moments) - 1}"


@pytest.mark.parametrize(
    ("between", "trouble"), [(REFUSED, False), (DONE, False), (THROTTLED, True)]
)
def test_any_answer_that_counts_begins_the_row_anew(between: Outcome, trouble: bool) -> None:
    answers = {f"u{n:02}": [BUSY] for n in range(60)} | {"u30": [between, DONE]}
    tally = run(World(answers), *(user(f"u{n:02}") for n in range(60)), user("z0"))
    assert tally.trouble == ""  # 59 busy ones, with an answer of z0 at the end
    tally = run(World(answers | {"z0": [BUSY]}), *(user(f"u{n:02}") for n in range(60)), user("z0"))
    assert bool(tally.trouble) is trouble


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([LOST], "timeout"),
        ([replace(LOST, note="cut off")], "cut off"),
        ([replace(LOST, reason="")], "no answer"),
    ],
)
def test_what_was_heard_last_is_told(
    monkeypatch: pytest.MonkeyPatch, answers: list[Outcome], words: str
) -> None:
    monkeypatch.setattr(execute, "TROUBLE", 1)
    assert (
        run(World({"a": answers}), user("a")).trouble
        == f"1 calls in a row came to nothing (last: {words})"
    )


class Waits:
    """A queue that only says how long one is to wait."""

    def __init__(self) -> None:
        self.after: list[float] = []

    def again(self, item: Item, after: float) -> None:
        self.after.append(after)


@pytest.mark.parametrize(
    ("answer", "attempts", "seconds"),
    [
        (BUSY, 1, 0.5),
        (BUSY, 3, 2.0),
        (replace(BUSY, retry_after=9.0), 3, 9.0),
        (replace(BUSY, retry_after=0.1), 3, 2.0),
        (THROTTLED, 1, 0.5),
        (THROTTLED, 4, 2.0),
        (replace(THROTTLED, retry_after=9.0), 1, 9.0),
        (replace(THROTTLED, retry_after=0.1), 4, 0.1),
    ],
)
def test_how_long_a_change_waits_before_it_is_tried_again(
    answer: Outcome, attempts: int, seconds: float
) -> None:
    one, waits = made(World(), user("a")), Waits()
    heard: list[float | None] = []
    one.bucket.throttled = heard.append  # type: ignore[method-assign,assignment]
    item = Item(user("a"), attempts=attempts, unclear=True)
    one._again(item, answer, waits)  # type: ignore[arg-type]
    assert waits.after == [pytest.approx(seconds)]
    throttled = answer.code == 429
    assert heard == ([answer.retry_after] if throttled else [])
    assert (item.attempts, item.throttles, item.unclear) == (
        attempts - throttled,
        int(throttled),
        False,
    )


def test_a_call_that_cost_several_is_paid_for() -> None:
    taken: list[int] = []
    one = made(
        World({"a": [replace(DONE, calls=3)], "b": [replace(DONE, calls=0)]}, batch=2),
        user("a"),
        user("b"),
        user("c"),
    )
    one.bucket.take = lambda calls=1: taken.append(calls) or 0.0  # type: ignore[method-assign,func-returns-value]
    one.run()
    assert taken == [2, 2, 1]


# ---------------------------------------------------------------- stopping


def test_what_is_stopped_writes_nothing_more_and_is_not_ended() -> None:
    stop, world = threading.Event(), World()
    stop.set()
    run(world, user("a"), stop=stop)
    assert world.happened == []
    stop.clear()
    one = made(world, user("a"), stop=stop)
    one.bucket.take = lambda calls=1: stop.set() or 0.0  # type: ignore[method-assign,func-returns-value] # told to stop while it waited for its turn
    one.run()
    assert world.happened == []


def test_a_journal_that_cannot_be_written_stops_its_target_before_the_call() -> None:
    world = World(full=True)
    tally = run(world, user("a"), user("b"))
    assert (
        tally.trouble
        == "its journal cannot be written (OSError, error 28); free the disk, then push again"
    )
    assert world.happened == []


def test_an_engine_that_stumbles_says_so_and_nothing_of_the_people_it_stumbled_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stumble(*_: Any) -> None:
        raise KeyError("Jane Doe")

    monkeypatch.setattr(Execution, "_judge", stumble)
    tally = run(World(), user("a"))
    assert (
        tally.trouble
        == "the engine stumbled (KeyError); changes in flight are looked up when the push is"
        " resumed"
    )


# ---------------------------------------------------------------- who waits for whom


def skipped(world: World) -> dict[str, str]:
    return {line["change_id"]: line["note"] for line in world.lines if line["status"] == "skipped"}


def test_a_membership_waits_for_a_group_or_a_person_who_is_not_there() -> None:
    world = World()
    run(
        world,
        member("g", "p"),
        member("g", "q"),
        member("h", "p"),
        known={("users", "g"): "rg", ("users", "p"): "rp"},
    )
    assert skipped(world) == {"m-g-q": "waits for fake users q", "m-h-p": "waits for fake users h"}
    assert world.asked == {"m-g-p": 1}
    assert world.last[0].references == {"group_id": "rg", "person_id": "rp"}
    assert world.lines[0]["attempts"] == 0


def test_a_person_waits_for_a_new_unit_only_where_this_plan_was_to_make_it_and_did_not() -> None:
    world = World({"/new": [REFUSED]})
    made_units = [user(path, entity="units", key=path) for path in ("/new", "/made")]
    people = [
        user("a", "update", new={"unit": "/new"}),
        user("b", new={"unit": "/made"}),
        user("c", new={"unit": "/there"}),
        user("d", new={"unit": None}),
        user("e", new={"unit": ""}),
        user("f", new={"unit": "/kept back"}),
        user("g", new={"given_name": "/new"}),
    ]
    run(world, *made_units, *people, held=frozenset({("units", "/kept back")}))
    assert skipped(world) == {
        "a": "waits for fake units /new",
        "f": "waits for fake units /kept back",
    }
    assert set(world.asked) == {"/new", "/made", "b", "c", "d", "e", "g"}


@pytest.mark.parametrize("action", ["create", "adopt", "undelete"])
def test_what_arrives_in_this_push_is_referred_to_in_it(action: str) -> None:
    world = World()
    run(world, user("p", action), member("p", "p"))
    assert world.last[0].references == {"group_id": "r-p", "person_id": "r-p"}
    nameless = World({"p": [replace(DONE, remote_id=None)]})
    run(nameless, user("p", action), member("p", "p"))
    assert skipped(nameless) == {"m-p-p": "waits for fake users p"}
    failed = World({"p": [REFUSED]})
    run(failed, user("p", action), member("p", "p"), known={("users", "p"): "of yesterday"})
    assert skipped(failed) == {"m-p-p": "waits for fake users p"}


def test_an_update_makes_nobody_known_and_keeps_nobody_waiting() -> None:
    run(unseen := World(), user("p", "update"), member("p", "p"))
    assert skipped(unseen) == {"m-p-p": "waits for fake users p"}
    world = World({"p": [REFUSED]})
    run(world, user("p", "update"), member("p", "p"), known={("users", "p"): "rp"})
    assert skipped(world) == {}
    assert world.last[0].references == {"group_id": "rp", "person_id": "rp"}


@pytest.mark.parametrize("action", ["remove", "delete"])
def test_what_is_taken_away_waits_for_nobody_when_it_is_known_itself(action: str) -> None:
    world = World()
    run(world, member("g", "p", action, remote_id="rm"), member("g", "q", action))
    assert skipped(world) == {"m-g-q": "waits for fake users g"}
    assert world.asked == {"m-g-p": 1}


def test_what_waits_for_another_target_says_for_what() -> None:
    world = World()
    run(
        world,
        user("a"),
        user("b"),
        user("c", "remove", remote_id="r"),
        waiting={("users", "a"): "google users a", ("users", "c"): "google users c"},
    )
    assert skipped(world) == {"a": "waits for google users a", "c": "waits for google users c"}
    assert set(world.asked) == {"b"}


# ---------------------------------------------------------------- records


def test_failures_are_counted_by_kind_with_three_keys() -> None:
    answers: dict[str, list[Outcome]] = {f"u{n}": [REFUSED] for n in range(5)} | {
        "v": [replace(REFUSED, code=None, reason="odd")],
        "w": [replace(REFUSED, code=409)],
    }
    tally = run(World(answers), *(user(name) for name in (*answers, "x")))
    assert dict(tally.failures) == {
        ("users", "create", 400, "invalid"): 5,
        ("users", "create", 0, "odd"): 1,
        ("users", "create", 409, "invalid"): 1,
    }
    assert tally.examples["users", "create", 400, "invalid"] == ["u0", "u1", "u2"]
    assert (tally.failed, dict(tally.done)) == (
        7,
        {("users", "failed"): 7, ("users", "applied"): 1},
    )


def test_our_own_errors_are_quoted_and_others_are_named_only() -> None:
    assert execute._plain(TargetUnusableError("write a key")) == "TargetUnusableError: write a key"
    assert execute._plain(KeyError("Jane Doe")) == "KeyError"
    assert execute._plain(LockHeldError("a push is under way")) == (
        "LockHeldError: a push is under way"
    )


# ---------------------------------------------------------------- the queue


def test_a_queue_gives_what_may_run_now_in_its_order_and_ends_when_all_is_finished() -> None:
    now = [0.0]
    items = [Item(user(name)) for name in "abcd"]
    queue = Queue(items, lambda: now[0])
    going: Callable[[], bool] = lambda: False  # noqa: E731
    assert [item.change.change_id for item in queue.take(3, going)] == ["a", "b", "c"]
    queue.again(items[0], 5.0)
    queue.again(items[1], 4.0)
    assert [item.change.change_id for item in queue.take(9, going)] == ["d"]
    now[0] = 4.0
    assert [item.change.change_id for item in queue.take(9, going)] == ["b"]
    now[0] = 9.0
    assert queue.take(9, lambda: True) == []
    assert [item.change.change_id for item in queue.take(9, going)] == ["a"]
    queue.again(items[2], 0.0)
    queue.again(items[3], 0.0)
    assert [item.change.change_id for item in queue.take(9, going)] == ["c", "d"]
    queue.finished(3)
    queue.finished(1)
    assert queue.take(9, going) == []


@pytest.mark.parametrize(
    ("ready_in", "waits"), [(0.2, [0.2]), (1.2, [0.5, 0.5, 0.2]), (1e-9, [0.001])]
)
def test_a_worker_sleeps_until_something_may_run_and_looks_up_twice_a_second(
    ready_in: float, waits: list[float]
) -> None:
    now, slept = [0.0], list[float]()
    queue = Queue([Item(user("a"))], lambda: now[0])
    (item,) = queue.take(1, lambda: False)
    queue.again(item, ready_in)

    def wait(seconds: float) -> None:
        assert 0 < seconds <= 0.5
        now[0] += seconds
        slept.append(seconds)

    queue._changed.wait = wait  # type: ignore[method-assign,assignment]
    assert queue.take(1, lambda: False) == [item]
    assert slept == pytest.approx(waits)
    queue._changed.wait = lambda seconds: (slept.append(seconds), queue.finished(1))  # type: ignore[method-assign,assignment,func-returns-value]
    assert queue.take(1, lambda: False) == []  # another has it: who waits is woken when it is done
    assert slept[-1] == 0.5


def test_the_engines_patience_is_as_documented() -> None:
    assert (execute.THROTTLES, execute.TROUBLE, pacing.ATTEMPTS) == (30, 60, 6)
