"""Chaos over targets that are settings alone: the trial of `chaos`, word for word, over an API of
nobody's and a real database.

What it needs to know of a target stands in its folder of `tests/python/targets/`: what a user, a
group and a membership look like, and where the server itself holds them. Nothing here names a
target, a kind, a table or a column.

Alone: `python -m tests.chaos_by_settings 50 1`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

sys.path.insert(0, str(Path(__file__).parent / "python"))

from target_kit import BY_SETTINGS, FOLDER, Fields, declared, described, filled, missing, served

from common import settings
from reverse_etl.targets.json_path import value_at
from tests import chaos

HERE = tuple(name for name in BY_SETTINGS if not missing(name))
OURS = re.compile(r"p[0-9a-f]{15}|school-[0-9]+-students")


@dataclass
class Servers:
    """What the targets write to, all of it running, and the settings that say so."""

    of: dict[str, Any]
    fields: dict[str, Fields]
    environment: dict[str, str]

    def set_faults(self, **switches: Any) -> None:
        for server in self.of.values():
            server.set_faults(**switches)


@contextmanager
def serving(folder: Path) -> Iterator[Servers]:
    """Every target's server, and a project with their settings and exports."""
    project, said = folder / "project", {}
    with ExitStack() as stack:
        running = {name: stack.enter_context(served(name, folder / name)) for name in HERE}
        for name, server in running.items():
            said[name] = described(name, server)
            exports = project / "models" / "exports" / name / "exports.yml"
            exports.parent.mkdir(parents=True)
            exports.write_text((FOLDER / name / "exports.yml").read_text("utf-8"), "utf-8")
        (project / ".dlt").mkdir()
        (project / ".dlt" / "secrets.toml").write_text(
            "".join(f"targets.{name} = {inline(said[name]['targets'][name])}\n" for name in said),
            encoding="utf-8",
        )
        settings._files.cache_clear()
        fields = {name: Fields(**said[name]["kit"]) for name in said}
        yield Servers(running, fields, {"HOMEROOM_PROJECT": str(project)})


def inline(value: Any) -> str:
    """A table as one line of TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    return json.dumps(value)


class BySettings(chaos.Chaos):
    """The trial, told by settings what a target holds."""

    targets = HERE
    platforms: Servers

    def make_views(self, connection: duckdb.DuckDBPyConnection) -> None:
        """None: what is there is read in the exports' own columns."""

    def wanted(self) -> dict[str, list[dict[str, Any]]]:
        rows = {}
        for name, fields in self.platforms.fields.items():
            rows[f"exp_{name}__users"] = [
                filled(
                    fields.user,
                    person=key,
                    local=one["local"],
                    first=one["first"],
                    unit=one["unit"],
                )
                | dict(fields.off if one["off"] else fields.on)
                for key, one in self.district.people.items()
            ]
            rows[f"exp_{name}__groups"] = [
                filled(fields.group, key=group) for group in self.district.groups
            ]
            rows[f"exp_{name}__members"] = [
                filled(fields.member, group=group, person=person)
                for group, people in self.district.groups.items()
                for person in people
            ]
        return rows

    def sent(self) -> int:
        return sum(server.sent() for server in self.platforms.of.values())

    def trial(self, number: int) -> None:
        self.before = {name: server.sent() for name, server in self.platforms.of.items()}
        super().trial(number)

    def asked(self, since: int) -> set[tuple[str, str]]:
        found = set()
        for name, server in self.platforms.of.items():
            for table, is_new, row in server.written(self.before[name]):
                for entity in ("users", "groups"):
                    if table == self.table(name, entity):
                        id_of = self.platforms.fields[name].holds[entity]["id"]
                        key = self.key_of(name, entity, row) if is_new else row[id_of]
                        found.add((name, str(key)))
        return found

    def expire_tokens(self) -> None:
        for server in self.platforms.of.values():
            server.forget_sign_ins()

    def edits(self, target: str) -> tuple[dict[str, Any], ...]:
        return {"unit": "by hand"}, dict(self.platforms.fields[target].off)

    # ------------------------------------------------------------ what the servers hold

    def table(self, name: str, entity: str) -> str:
        return self.platforms.fields[name].holds[entity]["table"]

    def rows(self, name: str, entity: str) -> list[dict[str, Any]]:
        return list(self.platforms.of[name].rows(self.table(name, entity)))

    def key_of(self, name: str, entity: str, row: dict[str, Any]) -> str | None:
        """The key of ours a row carries, if it does."""
        export = declared(name)[entity]
        path = next(one.field or one.name for one in export.columns if one.name == export.key[0])
        key = str(value_at(row, path))
        return key if OURS.fullmatch(key) else None

    def keys(self, name: str, entity: str) -> dict[str, str]:
        """Id -> key of what carries one of ours."""
        id_of = self.platforms.fields[name].holds[entity]["id"]
        keys = {str(row[id_of]): self.key_of(name, entity, row) for row in self.rows(name, entity)}
        return {at: key for at, key in keys.items() if key}

    def ours(self, target: str) -> dict[str, str]:
        return self.keys(target, "users")

    def of_others(self) -> str:
        found = {
            name: {
                entity: [
                    row for row in self.rows(name, entity) if self.key_of(name, entity, row) is None
                ]
                for entity in ("users", "groups")
            }
            for name in self.targets
        }
        return json.dumps(found, sort_keys=True, default=str)

    def check_state(self) -> None:
        """What the servers hold against the desired rows, field by field."""
        wanted = self.wanted()
        for name in self.targets:
            exports = declared(name)
            for entity in ("users", "groups"):
                rows = {self.key_of(name, entity, row): row for row in self.rows(name, entity)}
                for want in wanted[f"exp_{name}__{entity}"]:
                    key = want[exports[entity].key[0]]
                    for column in exports[entity].sent:
                        there = value_at(rows.get(key, {}), column.field or column.name)
                        if there != want.get(column.name):
                            raise chaos.WrongError(
                                f"{name}: {entity} {key}: {column.name} is not as desired"
                            )
                if rows.keys() - {None} != {
                    want[exports[entity].key[0]] for want in wanted[f"exp_{name}__{entity}"]
                }:
                    raise chaos.WrongError(f"{name}: there are more {entity} than desired")
            ties = self.platforms.fields[name].holds["members"]
            groups, users = self.keys(name, "groups"), self.keys(name, "users")
            there = {
                (groups.get(str(row[ties["group"]])), users.get(str(row[ties["person"]])))
                for row in self.rows(name, "members")
            }
            group, person = exports["members"].key
            if there != {(row[group], row[person]) for row in wanted[f"exp_{name}__members"]}:
                desired = {(row[group], row[person]) for row in wanted[f"exp_{name}__members"]}
                raise chaos.WrongError(
                    f"{name}: memberships are not as desired: missing {desired - there}, more"
                    f" {there - desired}"
                )


def run(pushes: int, seed: int, people: int = 40, say: Any = print) -> Counter[str]:
    """That many pushes; what they met."""
    before = os.environ.get("HOMEROOM_PROJECT")
    try:
        return chaos.run(pushes, seed, people, say, (serving, BySettings))
    finally:
        os.environ.pop("HOMEROOM_PROJECT", None)
        os.environ |= {"HOMEROOM_PROJECT": before} if before else {}
        settings._files.cache_clear()


if __name__ == "__main__":
    asked_for = [int(argument) for argument in sys.argv[1:]]
    met = run(asked_for[0] if asked_for else 50, asked_for[1] if len(asked_for) > 1 else 1)
    print(f"every push ended as desired; they met: {dict(met)}")
