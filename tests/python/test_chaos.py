"""The short version of `make chaos`: a few pushes in bad weather, each ended well by ordinary
nights.
"""

from __future__ import annotations

import copy
import random
from pathlib import Path

import pytest

from demo.platforms import running
from tests import chaos, chaos_by_settings

pytestmark = pytest.mark.slow

PUSHES = 3


def test_pushes_under_every_kind_of_fault_end_as_desired() -> None:
    met = chaos.run(PUSHES, seed=5, people=20, say=lambda _: None)
    assert sum(met[how] for how in ("SIGKILL", "SIGTERM", "left alone")) == PUSHES
    assert met["SIGKILL"] + met["SIGTERM"] > 0


def test_targets_by_settings_alone_end_as_desired_too() -> None:
    met = chaos_by_settings.run(PUSHES, seed=5, people=15, say=lambda _: None)
    assert sum(met[how] for how in ("SIGKILL", "SIGTERM", "left alone")) == PUSHES
    assert met["SIGKILL"] + met["SIGTERM"] > 0


def test_a_day_pushed_to_the_platforms_and_taken_back_leaves_them_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    with running(tmp_path / "var" / "demo") as platforms:
        trial = chaos.Chaos(platforms, 3, 40)
        try:
            trial.desire()
            assert trial.ordinary_night() > 0
            before = copy.deepcopy(trial.district)
            for _ in range(3):
                trial.district.day()
            trial.desire()
            assert trial.ordinary_night() > 0
            said = trial.undo(trial.run.run_id)
            trial.district = before
            trial.check_state()
            assert trial.of_others() == trial.unmanaged
        finally:
            trial.close()
    assert any(
        "google users" in sentence and "come back from the deleted ones" in sentence
        for sentence in said
    )
    assert any(
        "microsoft users" in sentence and "names stay taken" in sentence for sentence in said
    )


@pytest.mark.long
def test_a_platform_that_is_not_as_desired_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite itself: had the push not been followed by nights, it would say so."""
    monkeypatch.setattr(chaos.Chaos, "ordinary_night", lambda self: 0)
    monkeypatch.setattr(chaos, "FAULTS", {**chaos.FAULTS, "drop_writes": (0.5,)})
    with pytest.raises(chaos.WrongError, match="push 0"):
        chaos.run(1, seed=5, people=10, say=lambda _: None)


def test_every_day_of_the_district_changes_something_of_every_kind() -> None:
    district = chaos.District(random.Random(1))
    district.begin(40)
    kinds: set[str] = set()
    for _ in range(12):
        before = {key: dict(person) for key, person in district.people.items()}
        groups = {group: set(members) for group, members in district.groups.items()}
        district.day()
        kinds |= {"create" for key in district.people if key not in before} | {
            "delete" for key in before if key not in district.people
        }
        both = [(before[key], district.people[key]) for key in before if key in district.people]
        kinds |= {field for old, new in both for field in old if old[field] != new[field]}
        kinds |= {
            "members"
            for group in groups
            if group in district.groups and groups[group] != district.groups[group]
        }
        kinds |= {"groups" for group in groups.keys() ^ district.groups.keys() if group}
    assert kinds == {
        "create",
        "delete",
        "local",
        "unit",
        "off",
        "first",
        "licence",
        "members",
        "groups",
    }
