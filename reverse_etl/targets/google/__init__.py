"""Google Workspace: schemas, org units, users, their aliases, groups and members by the Directory
API.

Settings: address (root of the API), credentials (service account key file), subject (the admin it
acts as), customer, writes_per_minute, threads, timeout. Here is what the rows of `entities` cannot
say: aliases come with their users, a schema is shared with others, and what Google means by some of
its answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from common.problems import Reason
from reverse_etl.configured import settings_of
from reverse_etl.model import ADOPT, Change, Export, Outcome, key_text
from reverse_etl.targets.base import ALREADY, ApiTarget
from reverse_etl.targets.entity import CREATING, Entity, Route, Words
from reverse_etl.targets.google.client import Client
from reverse_etl.targets.google.entities import ENTITIES
from reverse_etl.targets.google.settings import Settings
from reverse_etl.targets.reading import TargetUnreadableError
from reverse_etl.targets.replies import Call, Reply, outcome_of

REPEATABLE = Call(repeatable=True)


class Google(ApiTarget):
    """One Workspace domain."""

    rows: Mapping[str, Entity] = {row.name: row for row in ENTITIES}
    Settings = Settings

    def __init__(
        self, name: str, settings: Mapping[str, Any], exports: Mapping[str, Export] | None = None
    ) -> None:
        client = Client(name, settings_of(Settings, name, settings))
        super().__init__(name, settings, exports, client)
        self.constants = {"customer": self.said.customer}
        self._aliases: list[dict[str, str]] = []  # of our users, once observed

    def pages(self, entity: str) -> Iterator[Sequence[Mapping[str, Any]]]:
        if entity == "aliases":
            self.look_through("users")
            yield self._aliases
            return
        aliases: list[dict[str, str]] = []
        for page in super().pages(entity):
            if entity == "users":
                aliases += [
                    {"alias": alias, "person_id": key}
                    for user in page
                    if (key := self.key_of(self.rows["users"], user))
                    for alias in user.get("aliases", ())
                ]
            yield page
        if entity == "users":
            self._aliases = aliases

    def addresses(self, found: Mapping[str, Any]) -> Iterator[str]:
        yield found.get("primaryEmail") or found.get("email") or ""
        yield from found.get("aliases", ())
        yield from found.get("nonEditableAliases", ())

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """Apply each change by one call (two where the first says the object exists)."""
        return [
            self._extend_schema(change, 0)
            if (change.entity, change.action) == ("schemas", "update")
            else super(Google, self).apply([change])[0]
            for change in changes
        ]

    def words(self, change: Change) -> Words:
        words = super().words(change)
        if change.entity == "org_units":
            creating = change.action in CREATING
            words["path"] = path_in_url(change.key[0] if creating else words["id"])
        return words

    def request(self, change: Change) -> Any:
        """A group that was there before us keeps the ids others gave it: the list is replaced
        whole, so it is read first.
        """
        if (change.entity, change.action) != ("groups", ADOPT):
            return super().request(change)
        row = self.rows["groups"]
        route = self.filled(row.route(change.action), self.words(change), change)
        find = replace(row.routes["find"], query={"groupKey": "{id}", "fields": "externalIds"})
        asked = self._client.request(self.filled(find, self.words(change)))
        found = self.read(f"groups {key_text(change.key)}", asked).body.get("externalIds", [])
        body = dict(route.body or {})
        ours = body.get("externalIds", [])
        named = {one.get("namespace") for one in ours}
        body["externalIds"] = [*(one for one in found if one.get("namespace") not in named), *ours]
        return self._client.request(replace(route, body=body))

    def refusal(self, change: Change, reply: Reply) -> Reason | None:
        known = super().refusal(change, reply)
        unit = change.entity == "org_units" and known and known.code == "refused_unit"
        return Reason("refused_unit_name") if unit else known

    def look(self, change: Change, reply: Reply, reason: str) -> Outcome:
        if change.entity != "members":
            return super().look(change, reply, reason)
        note = "already a member; role set"
        return self._repeated(replace(change, action="update"), note, calls=2)

    def recognised(
        self, change: Change, reply: Reply, found: Mapping[str, Any], remote_id: str
    ) -> Outcome | None:
        if change.entity == "schemas":
            return self._extend_schema(change, 2)
        done = super().recognised(change, reply, found, remote_id)
        if done or change.entity != "users" or remote_id != change.remote_id:
            return done
        # The address a user shall have is an alias of the same user (a rename taken back): Google
        # wants the alias gone first.
        alias = {"userKey": remote_id, "alias": change.new["primary_email"]}
        (gone,) = self.send([self._client.request(Route("aliases.delete", alias))])
        if not gone.good and gone.code != 404:
            verdict = self._client.verdict(REPEATABLE, gone)
            return outcome_of(change, verdict, gone, remote_id, calls=3)
        return self._repeated(change, "was its own alias before", calls=4)

    def _repeated(self, change: Change, note: str, calls: int) -> Outcome:
        (again,) = self.send([self.request(change)])
        verdict = self._client.verdict(REPEATABLE, again)
        remote_id = change.references.get("person_id") or change.remote_id
        return outcome_of(change, verdict, again, remote_id, note, calls)

    def _extend_schema(self, change: Change, calls: int) -> Outcome:
        """Give an existing schema our field. The list of fields is replaced whole, so it is read
        first.
        """
        try:
            found = self._lookup(change).body
        except TargetUnreadableError as error:
            unreadable = Outcome(change.change_id, "retry", reason="unreadable", note=str(error))
            return replace(unreadable, calls=calls + 1)
        words = self.words(change)
        create = self.filled(self.rows["schemas"].routes["create"], words)
        there = {each.get("fieldName") for each in found.get("fields", [])}
        missing = [each for each in create.body["fields"] if each["fieldName"] not in there]
        remote_id, name = found.get("schemaId"), found.get("schemaName")
        if not missing:
            there = Reply(200, {})
            return outcome_of(change, ALREADY, there, remote_id, "already there", calls + 1)
        body = {
            "schemaName": name,
            "displayName": found.get("displayName") or name,
            "fields": [*found.get("fields", []), *missing],
        }
        route = Route("schemas.update", create.query | {"schemaKey": remote_id}, body)
        (reply,) = self.send([self._client.request(route)])
        verdict = self._client.verdict(REPEATABLE, reply)
        note = "field added to an existing schema"
        return outcome_of(change, verdict, reply, remote_id, note, calls + 2)


def path_in_url(key: str) -> str:
    """An org unit in a URL: `id:…` as it is, a path without its leading slash and with its signs
    escaped. Raises KeyError for one that leads up.
    """
    if ".." in key.split("/"):
        raise KeyError("a unit that is called `..` leads elsewhere in an address and is not sent")
    return key if key.startswith("id:") else quote(key.lstrip("/"), safe="/")
