"""One held school stands in a vendor's files as it was delivered, and the others go out: what goes
out agrees with itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from engine_bench import USERS, Bench, FakeFolder, Model, user
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

A, B, C = "07474001", "07474002", "07474003"
ZIP = {"archive": "roster.zip", "when_empty": "send"}
TEXT = "varchar"


def member(entity: str, columns: tuple[str, ...], feed: str, **meta: object) -> Model:
    return Model(
        entity,
        dict.fromkeys(columns, TEXT),
        {
            "partition": "school",
            "limits": {"drop": "100%"},
            "file": {"name": entity, **ZIP},
            **meta,
        },
        target="folder",
        feeds=(feed,),
    )


STUDENTS = member("students", ("student", "school", "name"), "students", key=["student"])
CLASSES = member("classes", ("class", "school", "title"), "sections", key=["class"])
ENROLMENTS = member(
    "enrolments",
    ("row", "class", "student", "school"),
    "sections",
    key=["row"],
    references={"class": "classes"},
)
PEOPLE = {"subject": "student"}
MODELS = [
    Model(
        m.entity,
        m.columns,
        {**m.meta, **(PEOPLE if "student" in m.columns else {})},
        target="folder",
        feeds=m.feeds,
    )
    for m in (STUDENTS, CLASSES, ENROLMENTS)
]
BUS = member("bus", ("student", "school"), "students", key=["student"])
BUS.meta["file"] = {"name": "bus.txt", "when_empty": "skip"}


def district(tmp_path: Path, *models: Model) -> Bench:
    folder = tmp_path / "vendor"
    folder.mkdir()
    bench = Bench(tmp_path / "var", list(models))
    bench.folder = FakeFolder(folder)
    return bench


def lose(bench: Bench, *schools: str, feed: str = "students") -> None:
    bench.feeds = [
        {
            "source": "myedbc",
            "feed": feed,
            "status": "loaded",
            "hold": "",
            "held_partitions": list(schools),
        }
    ]


def sent(bench: Bench, name: str = "roster.zip") -> dict[str, list[list[str]]]:
    """The file as the vendor has it: member -> its rows."""
    assert bench.folder is not None
    found: dict[str, list[list[str]]] = {}
    for line in (bench.folder.folder / name).read_text().splitlines():
        entity, _, cells = line.partition(":")
        found.setdefault(entity, []).append(cells.split(","))
    return found


def rows(attends: Mapping[str, tuple[str, Mapping[str, str]]], names: str = "") -> dict:
    """student -> their school, and the class -> school they attend, as the three exports."""
    classes = {c: s for _, taken in attends.values() for c, s in taken.items()}
    return {
        "students": [
            {"student": p, "school": s, "name": f"{p}{names}"} for p, (s, _) in attends.items()
        ],
        "classes": [{"class": c, "school": s, "title": f"{c}{names}"} for c, s in classes.items()],
        "enrolments": [
            {"row": f"{c}-{p}", "class": c, "student": p, "school": s}
            for p, (_, taken) in attends.items()
            for c, s in taken.items()
        ],
    }


def test_the_other_schools_go_out_and_the_held_one_stands_as_it_was_delivered(
    tmp_path: Path,
) -> None:
    bench = district(tmp_path, *MODELS, BUS)
    before = {"p1": (A, {"a": A}), "p2": (A, {"a": A}), "p3": (B, {"b": B})}
    bus = [{"student": p, "school": s} for p, (s, _) in before.items()]
    bench.desire(**rows(before), bus=bus)
    assert bench.whole_night() == 0
    # school A has lost p2 in one feed; B has a new child and new titles
    after = {"p1": (A, {"a": A}), "p3": (B, {"b": B}), "p4": (B, {"b": B})}
    bench.desire(
        **rows(after, "+"), bus=[{"student": p, "school": s} for p, (s, _) in after.items()]
    )
    lose(bench, A)
    assert bench.whole_night() == 2
    assert sent(bench) == {
        "classes": [["a", A, "a"], ["b", B, "b+"]],
        "enrolments": [
            ["a-p1", "a", "p1", A],
            ["a-p2", "a", "p2", A],
            ["b-p3", "b", "p3", B],
            ["b-p4", "b", "p4", B],
        ],
        "students": [["p1", A, "p1"], ["p2", A, "p2"], ["p3", B, "p3+"], ["p4", B, "p4+"]],
    }
    assert sent(bench, "bus.txt")["bus.txt"] == [["p1", A], ["p2", A], ["p3", B], ["p4", B]]
    said = [one for part in bench.run.read("plan.json")["exports"] for one in part["holds"]]
    assert any(
        "of school 07474001 held" in one and "stand in the file as they were last delivered" in one
        for one in said
    )
    # a quiet night sends nothing, and the school catches up when its rows are back
    calls = bench.folder.write_calls
    assert bench.whole_night() == 2
    assert bench.folder.write_calls == calls
    bench.feeds = []
    bench.desire(**rows(before, "+"), bus=bus)
    assert bench.whole_night() == 0
    assert sent(bench)["students"] == [["p1", A, "p1+"], ["p2", A, "p2+"], ["p3", B, "p3+"]]


def test_who_was_at_the_held_school_is_not_moved_and_stands_in_every_member(tmp_path: Path) -> None:
    bench = district(tmp_path, *MODELS)
    bench.desire(**rows({"p1": (A, {"a": A, "b": B}), "p2": (A, {"a": A}), "p3": (B, {"b": B})}))
    assert bench.whole_night() == 0
    bench.desire(**rows({"p1": (B, {"b2": B}), "p3": (B, {"b2": B})}))
    lose(bench, A)
    assert bench.whole_night() == 2
    found = sent(bench)
    assert found["students"] == [["p1", A, "p1"], ["p2", A, "p2"], ["p3", B, "p3"]]
    # class b is gone at B, but p1, who stands, is in it
    assert [row[0] for row in found["classes"]] == ["a", "b", "b2"]
    assert [row[0] for row in found["enrolments"]] == ["a-p1", "a-p2", "b-p1", "b2-p3"]


def test_a_child_new_at_the_held_school_is_in_no_member_not_even_in_a_class_elsewhere(
    tmp_path: Path,
) -> None:
    bench = district(tmp_path, *MODELS)
    bench.desire(**rows({"p1": (A, {"a": A}), "p3": (B, {"b": B})}))
    assert bench.whole_night() == 0
    bench.desire(**rows({"p9": (A, {"a9": A, "b": B}), "p3": (B, {"b": B}), "p4": (B, {"b": B})}))
    lose(bench, A)
    assert bench.whole_night() == 2
    found = sent(bench)
    assert [row[0] for row in found["students"]] == ["p1", "p3", "p4"]
    assert [row[0] for row in found["enrolments"]] == ["a-p1", "b-p3", "b-p4"]


def test_a_first_file_that_would_lack_too_many_of_a_held_school_waits(tmp_path: Path) -> None:
    tight = [
        Model(
            m.entity,
            m.columns,
            {**m.meta, "limits": {"drop": "20%"}},
            target="folder",
            feeds=m.feeds,
        )
        for m in MODELS
    ]
    bench = district(tmp_path, *tight)
    four = {f"p{n}": (A, {"a": A}) for n in range(4)}
    bench.desire(**rows({**four, "p9": (B, {"b": B})}))
    lose(bench, A)
    assert bench.whole_night() == 2
    assert not (bench.folder.folder / "roster.zip").exists()
    said = [one for part in bench.run.read("plan.json")["exports"] for one in part["holds"]]
    assert any("1 of 5 rows would be sent, 4 wait for a part of the file" in one for one in said)


def test_a_member_whose_whole_feed_is_refused_holds_the_whole_file_still(tmp_path: Path) -> None:
    bench = district(tmp_path, *MODELS)
    bench.desire(**rows({"p1": (A, {"a": A})}))
    assert bench.whole_night() == 0
    bench.desire(**rows({"p1": (A, {"a": A}), "p2": (B, {"b": B})}))
    bench.feeds = [{"source": "myedbc", "feed": "sections", "status": "refused"}]
    assert bench.whole_night() == 2
    assert len(sent(bench)["students"]) == 1


@pytest.mark.parametrize("hold", ["refused", "stale"])
def test_a_column_that_alone_rests_on_a_feed_stands_and_the_rest_of_the_file_goes(
    tmp_path: Path, hold: str
) -> None:
    """The bus file goes with tonight's stops, though the file of families is old."""
    bus = Model(
        "bus",
        dict.fromkeys(("student", "school", "stop", "mother"), TEXT),
        {**BUS.meta, "key": ["student"], "file": {"name": "bus.txt", "when_empty": "skip"}},
        metas={"mother": {"rests": ["families"]}},
        target="folder",
        feeds=("students",),
        parts={"families": "parents"},
    )
    bench = district(tmp_path, bus)

    def on_the_bus(*lines: str) -> None:
        bench.desire(bus=[dict(zip(bus.columns, line.split(), strict=True)) for line in lines])

    on_the_bus(f"p1 {A} elm ann", f"p2 {A} elm bea", f"p3 {B} elm cat")
    assert bench.whole_night() == 0
    on_the_bus(f"p1 {A} oak ann+", f"p2 {A} elm bea+", f"p4 {B} fir dot+")
    bench.feeds = [{"source": "myedbc", "feed": "parents", "status": "loaded", "hold": hold}]
    assert bench.whole_night() == 2
    assert sent(bench, "bus.txt")["bus.txt"] == [
        ["p1", A, "oak", "ann"],
        ["p2", A, "elm", "bea"],
        ["p4", B, "fir", "dot+"],
    ]
    (part,) = [one for one in bench.run.read("plan.json")["exports"] if one["entity"] == "bus"]
    assert part["holds"] == [
        "folder bus: mother stand as they are, as they alone rest on feed myedbc.parents"
        f' ({hold}) tonight; everything else of it goes on, see "make report" for what is wrong'
        " with the file"
    ]
    calls = bench.folder.write_calls
    assert bench.whole_night() == 2
    assert bench.folder.write_calls == calls, "what stands is no change"
    bench.feeds = []
    assert bench.whole_night() == 0
    assert sent(bench, "bus.txt")["bus.txt"][0] == ["p1", A, "oak", "ann+"]
    # a feed the whole row rests on holds the file, as ever
    on_the_bus(f"p1 {A} fir ann")
    bench.feeds = [{"source": "myedbc", "feed": "students", "status": "loaded", "hold": hold}]
    assert bench.whole_night() == 2
    assert sent(bench, "bus.txt")["bus.txt"][0] == ["p1", A, "oak", "ann+"]


def test_a_column_that_alone_rests_on_a_feed_stands_and_the_object_goes_on(tmp_path: Path) -> None:
    users = replace(
        USERS,
        feeds=("students",),
        parts={"families": "parents"},
        metas={**USERS.metas, "given_name": {"rests": ["families"]}},
    )
    bench = Bench(tmp_path / "var", [users])
    bench.desire(users=[user(1, given_name="Ann"), user(2, given_name="Bo")])
    assert bench.whole_night() == 0
    bench.feeds = [{"source": "myedbc", "feed": "parents", "status": "loaded", "hold": "stale"}]
    bench.desire(
        users=[
            user(1, given_name="Ann+", suspended=True),
            user(2, given_name="Bo+"),
            user(3, given_name="Cy"),
        ]
    )
    assert bench.whole_night() == 2
    there = {row["person_id"]: row for row in bench.platform.rows("users")}
    assert {key: row["given_name"] for key, row in there.items()} == {
        "p1": "Ann",
        "p2": "Bo",
        "p3": "Cy",
    }
    assert there["p1"]["suspended"], "who is dismissed is closed all the same"


def test_of_a_file_of_one_day_nothing_of_yesterday_stands_for_the_held_school(
    tmp_path: Path,
) -> None:
    calls = member("calls", ("call", "student", "school"), "absences", key=["call"], **PEOPLE)
    calls.meta["file"] = {"name": "calls.csv", "when_empty": "skip", "daily": True}
    bench = district(tmp_path, calls)

    def absent(day: str, **schools: str) -> list[dict[str, str]]:
        return [{"call": f"{day}-{p}", "student": p, "school": s} for p, s in schools.items()]

    bench.desire(calls=absent("mon", p1=A, p2=B))
    assert bench.whole_night() == 0
    bench.desire(calls=absent("tue", p1=A, p3=A, p4=B))
    lose(bench, A, feed="absences")
    assert bench.whole_night() == 2
    assert sent(bench, "calls.csv")["calls.csv"] == [["tue-p4", "p4", B]]


CLASS = st.dictionaries(st.sampled_from(["c1", "c2", "c3", "c4"]), st.just(""), max_size=3)
ATTENDS = st.dictionaries(
    st.sampled_from([f"p{n}" for n in range(6)]),
    st.tuples(st.sampled_from([A, B, C]), CLASS),
    min_size=1,
)
PLACES = st.fixed_dictionaries({c: st.sampled_from([A, B, C]) for c in ("c1", "c2", "c3", "c4")})


def placed(attends: Mapping, places: Mapping[str, str]) -> dict:
    return {p: (s, {c: places[c] for c in taken}) for p, (s, taken) in attends.items()}


@pytest.mark.slow
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    ATTENDS,
    ATTENDS,
    PLACES,
    PLACES,
    st.sets(st.sampled_from([A, B, C]), max_size=2),
    st.sampled_from(["students", "sections"]),
)
def test_whatever_stands_a_file_agrees_with_itself(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict,
    after: dict,
    then: dict,
    now: dict,
    lost: set,
    feed: str,
) -> None:
    bench = district(tmp_path_factory.mktemp("night"), *MODELS)
    bench.desire(**rows(placed(before, then)))
    assert bench.whole_night() == 0
    bench.desire(**rows(placed(after, now), "+"))
    lose(bench, *lost, feed=feed)
    bench.whole_night()
    found = sent(bench)
    students = {row[0] for row in found.get("students", [])}
    classes = {row[0] for row in found.get("classes", [])}
    for row in found.get("enrolments", []):
        assert row[1] in classes
        assert row[2] in students
    # as it was, of a held school; as it is, of everybody who never stood in one
    was = {p: s for p, (s, _) in before.items()}
    for p, s in was.items():
        if s in lost:
            assert [p, s, p] in found["students"]
    free = {
        p
        for p, (s, taken) in placed(after, now).items()
        if not {s, was.get(p), *taken.values()} & lost
        and not lost & {*placed(before, then).get(p, ("", {}))[1].values()}
    }
    # a member that should have rows and would go with none holds the file: the rest waits too
    ties = {(p, c) for p, (_, taken) in after.items() for c in taken}
    open_classes = {c for _, c in ties if not {now[c], then[c]} & lost}
    has_rows = (
        bool(free)
        and (not ties or bool(open_classes))
        and (not ties or any(p in free and c in open_classes for p, c in ties))
    )
    for p in free if has_rows else ():
        assert [p, after[p][0], f"{p}+"] in found["students"]
