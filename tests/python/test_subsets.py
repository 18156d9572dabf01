"""Any subset of the targets is a normal district: what is off is not read, built, planned or told
of, nothing waits for it, and what is known of it is as it was when it is on again.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import shelf_kit
import sql_kit
from engine_bench import NO_LIMITS, USERS, Bench, FakeFolder, Model, user

from common import paths, settings
from ingestion import __main__ as ingestion
from operations import schedule, seeds
from reverse_etl import check, configured, exports
from reverse_etl import plan as planning

TARGETS = ("callout", "google", "microsoft", "portfolio", "transport")
SHELF = (*shelf_kit.TARGETS, *shelf_kit.TABLES)  # off as they ship
PARTS = [
    "google.classes",
    "google.details",
    "google.group_settings",
    "google.licences",
    "microsoft.class_teams",
    "microsoft.classes",
    "microsoft.details",
]  # nobody asked for
SUBSETS = [on for count in range(6) for on in combinations(TARGETS, count)]


@pytest.fixture
def with_only(monkeypatch: pytest.MonkeyPatch):
    """Switch all shipped targets off but these, by the one line there is for it."""

    def switch(on: tuple[str, ...]) -> None:
        for name in TARGETS:
            monkeypatch.setenv(f"TARGETS__{name.upper()}__ENABLED", str(name in on).lower())

    return switch


def as_loaded() -> exports.Exports:
    """All shipped exports, as a night that built them well has them."""
    return exports.Exports(
        tuple(export for target in TARGETS for export in exports.declared(target).values()), (), ()
    )


class LetsUsIn:
    def check_connection(self) -> str:
        return "lets us in"

    def close(self) -> None: ...


@pytest.mark.parametrize("on", SUBSETS, ids=lambda on: "+".join(on) or "none")
def test_any_subset_of_the_targets_is_a_normal_district(on: tuple[str, ...], with_only) -> None:
    with_only(on)
    off = [name for name in TARGETS if name not in on]
    assert configured.names() == on
    assert configured.off() == tuple(sorted([*off, *SHELF]))
    assert seeds.told()["off"] == [*sorted([*off, *SHELF]), *PARTS]

    ours = configured.of_district(as_loaded())
    assert {export.target for export in ours.every} == set(on)
    waits = {there[0] for export in ours.every for there in export.after.values()}
    assert waits == ({"google"} if {"google", "portfolio"} <= set(on) else set())

    said: list[str] = []
    assert check.check((), lambda _: LetsUsIn(), said.append) == 0
    (said_off,) = [line for line in said if line.startswith("off: ")]
    assert said_off.removeprefix("off: ").split(";")[0].split(", ") == sorted([*off, *SHELF])
    assert len([line for line in said if line.endswith("lets us in")]) == len(on)


@pytest.mark.parametrize("said", ["true", "True", "yes", "1", "false", "", "no"])
def test_a_part_of_a_target_is_the_districts_when_it_asks_for_it(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = said in ("true", "True", "yes", "1")
    monkeypatch.setenv("TARGETS__GOOGLE__CLASSES", said)
    assert configured.parts_off() == tuple(PARTS[1:] if asked else PARTS)
    ours = {(one.target, one.entity) for one in configured.of_district(as_loaded()).every}
    courses = {"courses", "course_teachers", "course_students"}
    assert {entity for target, entity in ours if target == "google"} >= {"users", "members"}
    assert ({("google", one) for one in courses} <= ours) is asked
    assert not {entity for target, entity in ours if target == "microsoft"} & {
        "classes",
        "class_members",
        "class_teachers",
        "class_teams",
    }
    # a target that is off has no parts
    monkeypatch.setenv("TARGETS__GOOGLE__ENABLED", "false")
    assert "google.classes" in configured.parts_off()


@pytest.mark.parametrize("on", SUBSETS, ids=lambda on: "+".join(on) or "none")
def test_nothing_is_read_or_told_of_a_target_that_is_off(
    on: tuple[str, ...], with_only, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_only(on)
    monkeypatch.setenv("HOMEROOM_SEEDS", seeds.environment()["HOMEROOM_SEEDS"])
    holding = {"google", "microsoft"} & set(on)

    columns = "remote_id:varchar person_id:varchar"
    named = f"{columns} address:varchar kind:varchar"
    tables: dict[str, tuple[Any, ...]] = {
        "stg_google__users": (columns, ("r", "p")),
        "stg_microsoft__users": (columns, ("r", "p")),
        "stg_google__names_taken": (named, ("r", "p", "a@x", "user")),
        "stg_microsoft__names_taken": (named, ("r", "p", "a@x", "user")),
        "found": ("target:varchar", *((target,) for target in (*TARGETS, "", "other", None))),
    }
    staging = paths.root() / "models" / "staging" / "targets"

    def seen(view: str) -> set[str]:
        sql = sql_kit.rendered(staging / f"stg_targets__{view}.sql")
        return {row[0] for row in sql_kit.answer(sql, tables)}

    assert seen("users") == holding
    # a name somebody has there is not given away meanwhile
    assert seen("names_taken") == {"google", "microsoft"}
    told = sql_kit.answer(
        f"select target from found where not {sql_kit.macros()['is_off']('target')}", tables
    )
    assert {target for (target,) in told} == {*on, "", "other", None}


class District(Bench):
    """A bench whose nights plan what the settings switch on."""

    def night(self, undoes: str = "") -> planning.PlanInputs:
        made = super().night(undoes)
        return replace(made, exports=configured.of_district(made.exports))


LIST = Model(
    "children",
    {"student_number": "varchar", "person_id": "varchar"},
    {
        "key": ["student_number"],
        "context": ["person_id"],
        "subject": "person_id",
        "after": {"person_id": "fake.users"},
        "limits": NO_LIMITS,
        "file": {"name": "children.csv"},
    },
    target="folder",
)


def test_a_file_waits_for_no_account_of_a_target_that_is_off_and_its_memory_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGETS__FAKE__KIND", "rest")
    monkeypatch.setenv("TARGETS__FOLDER__KIND", "files")
    bench = District(tmp_path / "var", [USERS, LIST])
    (there := tmp_path / "there").mkdir()
    bench.folder = FakeFolder(there)
    children = [{"student_number": f"{n}", "person_id": f"p{n}"} for n in (1, 2)]
    bench.desire(users=[user(1)], children=children)
    assert bench.whole_night() == 0
    assert delivered(bench) == {"1"}, "the second has no account yet"

    def switch(on: bool) -> None:
        monkeypatch.setenv("TARGETS__FAKE__ENABLED", str(on).lower())

    written = bench.ask("select * from ledger.applied.fake__users")
    switch(False)
    bench.desire(users=[], children=children)  # as an export of a target that is off is built
    assert bench.whole_night() == 0
    document = bench.run.read("plan.json")
    assert {part["target"] for part in document["exports"]} == {"folder"}
    assert [part["holds"] for part in document["exports"]] == [[], []]
    assert delivered(bench) == {"1", "2"}
    assert bench.ask("select * from ledger.applied.fake__users") == written
    assert not bench.platform.rows("users")[0]["suspended"], "nobody is closed by it"

    switch(True)
    bench.platform.rows("users")[0]["suspended"] = True  # while it was off, by an administrator
    bench.desire(users=[user(1), user(2)], children=children)
    assert bench.whole_night() == 0
    (users,) = [p for p in bench.run.read("plan.json")["exports"] if p["entity"] == "users"]
    assert (users["planned"], users["closed"][0]["key"]) == ({"create": 1, "restore": 1}, "p1")
    assert {row["person_id"] for row in bench.platform.rows("users")} == {"p1", "p2"}
    assert delivered(bench) == {"1", "2"}


def delivered(bench: Bench) -> set[str]:
    return {key for (key,) in bench.ask("select _key from ledger.applied.folder__children")}


def test_a_short_run_for_targets_that_are_off_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    given = schedule.Schedule.model_validate(
        {
            "intraday": {
                "some": {"at": ["09:30"], "targets": ["callout", "transport"]},
                "none": {"at": ["09:30"], "targets": ["callout"]},
            }
        }
    )
    monkeypatch.setattr(schedule.settings, "read", lambda *_: given)
    monkeypatch.setenv("TARGETS__CALLOUT__ENABLED", "false")
    assert {one.name: one.targets for one in schedule.entries()} == {
        "nightly": (),
        "some": ("transport",),
    }


def test_a_source_that_is_off_is_not_read_and_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__HR__ENABLED", "false")
    monkeypatch.setenv("SOURCES__HR__URL", "postgresql+psycopg2://hr@127.0.0.1/hr")
    sources, wrong = ingestion._sources([])
    assert ({source.name for source in sources}, wrong) == ({"myedbc"}, {})
    with pytest.raises(settings.SettingsError, match="there is no source hr"):
        ingestion._sources(["hr"])
