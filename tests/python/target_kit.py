"""What the tests of the targets share: what they write to, an adapter on it, and changes of every
kind.

A `Kit` is one target with its own idea of a user, a group and a membership, so that one test can be
told of all. What a target calls its fields stands in `FIELDS`, or for a target that is settings
alone in a folder of `targets/`: `settings.toml` ([targets.<name>] as a district would write it,
[server] what it speaks to, [kit] what its users, groups and members look like and what it lacks)
and the `exports.yml` of its exports. A new target is a new row, or a new folder.
"""

from __future__ import annotations

import importlib
import itertools
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import Template
from typing import Any

import pytest

from common import settings as common_settings
from demo import platforms as emulated
from demo.platforms import Platforms
from reverse_etl import exports
from reverse_etl.model import Change, Export, Outcome
from reverse_etl.targets import ADAPTERS

STAFF, STUDENTS = "sd74.example", "student.sd74.example"
FOLDER = Path(__file__).parent / "targets"
BY_SETTINGS = tuple(sorted(path.parent.name for path in FOLDER.glob("*/settings.toml")))
USUAL = {"first": "Mia Zoë", "unit": "A"}
numbers = itertools.count(1)


@dataclass(frozen=True)
class Fields:
    """How a target says the same as the others; {person}, {local}, {first}, {unit}, {key} and, of a
    membership, {group} and {person} stand for what is new in each change.
    """

    user: Mapping[str, Any]
    group: Mapping[str, Any]
    member: Mapping[str, Any]
    user_key: str  # the column that names a user
    off: Mapping[str, Any]  # an account closed
    on: Mapping[str, Any]  # and open
    stranger: Mapping[str, Any]  # settings that let nobody in
    retry_after: float | None = (
        None  # seconds the emulator asks for when it throttles; None: it asks for none
    )
    first: tuple[
        tuple[str, str, Mapping[str, Any]], ...
    ] = ()  # entity, key and row of what must be there before anything else
    # settings without a secret, and settings of a target that is not there
    bare: Mapping[str, Any] = field(default_factory=lambda: {"address": "http://127.0.0.1:9"})
    away: Mapping[str, Any] = field(default_factory=lambda: {"address": "http://127.0.0.1:9/v1.0"})
    after_error: str = "unknown"  # what becomes of a create the target fails on
    lacks: Mapping[str, str] = field(default_factory=dict)  # what a test needs -> why not
    # entity -> where the server itself holds it: its table, its id, what a link ties
    holds: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


FIELDS = {
    "google": Fields(
        user={
            "person_id": "{person}",
            "primary_email": f"{{local}}@{STUDENTS}",
            "given_name": "Mia Zoë",
            "family_name": "O’Brien-Łuk",
            "org_unit_path": "/",
            "suspended": False,
        },
        group={
            "group_id": "{key}",
            "email": f"{{key}}@{STAFF}",
            "name": "Students of a school",
            "description": None,
        },
        member={"role": "MEMBER"},
        user_key="primary_email",
        off={"suspended": True},
        on={"suspended": False},
        stranger={"subject": "nobody@elsewhere.example"},
        first=(("schemas", "Homeroom", {"schema_name": "Homeroom", "field_name": "person_id"}),),
    ),
    "microsoft": Fields(
        user={
            "person_id": "{person}",
            "user_principal_name": f"{{local}}@{STUDENTS}",
            "mail_nickname": "{local}",
            "display_name": "Mia Zoë O’Brien-Łuk",
            "given_name": "Mia Zoë",
            "surname": None,
            "account_enabled": True,
            "usage_location": "CA",
            "department": "Gold Trail Secondary",
            "job_title": "Student",
        },
        group={
            "group_id": "{key}",
            "display_name": "Students of a school",
            "mail_nickname": "{key}",
            "description": "All of them",
            "mail_enabled": False,
            "security_enabled": True,
        },
        member={},
        user_key="user_principal_name",
        off={"account_enabled": False},
        on={"account_enabled": True},
        stranger={"client_secret": "not the secret"},
        retry_after=0.2,
    ),
}


@dataclass
class Kit:
    """One target on what it writes to; every user and group it makes has names of its own."""

    name: str
    adapter: Any
    platforms: Any
    fields: Fields
    made: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)

    @property
    def user_key(self) -> str:
        return self.fields.user_key

    @property
    def off(self) -> dict[str, Any]:
        return dict(self.fields.off)

    @property
    def on(self) -> dict[str, Any]:
        return dict(self.fields.on)

    def user(self, **changes: Any) -> Change:
        number = next(numbers)
        person = f"p{number:015x}"
        return self.change(
            "users",
            (person,),
            "create",
            filled(self.fields.user, person=person, local=f"mia.o'brien{number}", **USUAL)
            | changes,
        )

    def group(self, **changes: Any) -> Change:
        key = f"school-0747400{next(numbers)}-students"
        return self.change("groups", (key,), "create", filled(self.fields.group, key=key) | changes)

    def member(self, group: Change, user: Change, action: str = "create", **new: Any) -> Change:
        references = {
            "group_id": self.made["groups", group.key],
            "person_id": self.made["users", user.key],
        }
        named = {"group": group.key[0], "person": user.key[0]}
        row = filled(self.fields.member, **named) if action == "create" else {}
        change = self.change("members", (*group.key, *user.key), action, {**row, **new})
        return replace(
            change,
            references=references,
            remote_id=None if action == "create" else references["person_id"],
        )

    def change(
        self, entity: str, key: tuple[str, ...], action: str, new: Mapping[str, Any]
    ) -> Change:
        remote_id = None if action == "create" else self.made.get((entity, key))
        return Change(
            f"c{next(numbers)}",
            self.name,
            entity,
            key,
            action,
            remote_id,
            {},
            dict(new),
            subject=key[-1],
        )

    def to(self, change: Change, action: str, **new: Any) -> Change:
        """A later change of what `change` made."""
        return self.change(change.entity, change.key, action, new)

    def apply(self, change: Change) -> Outcome:
        """Apply one change as the engine would, and remember the remote id."""
        (outcome,) = self.adapter.apply([change])
        assert outcome.change_id == change.change_id
        if outcome.status == "applied" and outcome.remote_id:
            self.made[change.entity, change.key] = outcome.remote_id
        return outcome

    def done(self, change: Change) -> Change:
        """Apply and insist."""
        outcome = self.apply(change)
        assert outcome.status == "applied", outcome
        return change

    def observed(self, entity: str) -> list[dict[str, Any]]:
        fresh = self.another()
        try:
            return [row for batch in fresh.observe(entity) for row in batch.to_pylist()]
        finally:
            fresh.close()

    def row(self, change: Change) -> dict[str, Any]:
        """What the target holds of what a change made, as the raw layer has it."""
        (found,) = [
            row
            for row in self.observed(change.entity)
            if row["remote_id"] == self.made[change.entity, change.key]
        ]
        return found

    def another(self) -> Any:
        """A second adapter on the same target, as after a restart."""
        return adapter(self.name, self.adapter._settings)

    def faults(self, **switches: Any) -> None:
        own = {self.name: switches} if isinstance(self.platforms, Platforms) else switches
        self.platforms.set_faults(**own)

    def requests(self) -> Path:
        """Where every request is written down."""
        if isinstance(self.platforms, Platforms):
            return self.platforms.places.requests
        return Path(self.platforms.requests)

    def with_settings(self, **settings: Any) -> Any:
        """An adapter on the same target, some of its settings others."""
        return adapter(self.name, self.adapter._settings | settings)

    def bare(self) -> Any:
        """An adapter nobody gave a secret."""
        settings = self.adapter._settings if self.name in BY_SETTINGS else {}
        return adapter(self.name, settings | dict(self.fields.bare))

    def links(self) -> set[tuple[str, str]]:
        """(remote id of a group, remote id of a user) of every membership that is read."""
        rows = self.observed("members")
        if rows and "group_remote_id" in rows[0]:
            return {(row["group_remote_id"], row["member_remote_id"]) for row in rows}
        # read as our keys
        groups = {row["group_id"]: row["remote_id"] for row in self.observed("groups")}
        users = {row["person_id"]: row["remote_id"] for row in self.observed("users")}
        return {(groups[row["group_id"]], users[row["person_id"]]) for row in rows}


def declared(name: str) -> dict[str, Export]:
    """The exports that go to a target."""
    return exports.declared(name, FOLDER / name if name in BY_SETTINGS else None)


def adapter(name: str, settings: Mapping[str, Any]) -> Any:
    """A target as the engine makes it: with the exports that are declared for it."""
    kind = ADAPTERS[settings.get("kind", name)]
    return kind(name, settings, declared(name))


@contextmanager
def served(name: str, folder: Path) -> Iterator[Any]:
    """What a target writes to, running."""
    if name not in BY_SETTINGS:
        with emulated.running(folder) as platforms:
            yield platforms
        return
    server = dict(tomllib.loads((FOLDER / name / "settings.toml").read_text("utf-8"))["server"])
    module = importlib.import_module(server.pop("kind"))
    if why := missing(name):
        pytest.skip(why)
    folder.mkdir(parents=True, exist_ok=True)
    with module.running(folder, **server) as running:
        yield running


def missing(name: str) -> str:
    """What this machine lacks to run what a target writes to; '' where it lacks nothing."""
    said = tomllib.loads((FOLDER / name / "settings.toml").read_text("utf-8"))
    module = importlib.import_module(said["server"]["kind"])
    return str(getattr(module, "missing", str)())


def lacks(name: str) -> dict[str, str]:
    """What tests may need and a target that is settings alone has not -> why not."""
    said = tomllib.loads((FOLDER / name / "settings.toml").read_text("utf-8"))
    return dict(said["kit"].get("lacks", {}))


def described(name: str, server: Any) -> dict[str, Any]:
    """The settings file of a target, with what only the running server knows."""
    text = (FOLDER / name / "settings.toml").read_text("utf-8")
    return tomllib.loads(Template(text).safe_substitute(server.environment))


def kit(name: str, server: Any, **more: Any) -> Kit:
    """A target on what it writes to, which is running."""
    if name in BY_SETTINGS:
        said = described(name, server)
        settings, fields = said["targets"][name], Fields(**said["kit"])
    else:
        settings, fields = settings_of(name, server.environment), FIELDS[name]
    settings = settings | {"run_id": "run1", "timeout": 5} | more
    made = Kit(name, adapter(name, settings), server, fields)
    for entity, key, row in made.fields.first:
        made.done(made.change(entity, (key,), "create", row))
    return made


def filled(row: Mapping[str, Any], **values: str) -> dict[str, Any]:
    """A row of the table with what is new in this change."""
    return {
        column: value.format(**values) if isinstance(value, str) else value
        for column, value in row.items()
    }


def settings_of(name: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """The section [targets.<name>] that the environment gives."""
    prefix = f"TARGETS__{name.upper()}__"
    return {
        key.removeprefix(prefix).lower(): common_settings._parsed(value)
        for key, value in environment.items()
        if key.startswith(prefix)
    }


def as_text(value: Any) -> Any:
    """A value as the raw layer holds it."""
    return str(value).lower() if isinstance(value, bool) else value
