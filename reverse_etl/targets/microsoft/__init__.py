"""Microsoft Entra ID: users, groups, licences and members by Microsoft Graph, written in batches of
20.

Settings: address, authority, client_id, certificate (or client_secret), ca_file, writes_per_minute,
threads, timeout, key_attribute (which of extensionAttribute1 to 15 carries our key; else the last).
Here is what the rows of `entities` cannot say: who is an administrator, that licences come with
their users, that what belongs to many objects is read by batches too, and that a team wants time.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from common.problems import Reason
from reverse_etl.configured import settings_of
from reverse_etl.exchanges import whole
from reverse_etl.model import CREATE, REMOVALS, Change, Export, Outcome
from reverse_etl.targets.base import ALREADY, ApiTarget, Name, owned_by
from reverse_etl.targets.entity import CREATING, Entity, Route
from reverse_etl.targets.fields import Table, mask
from reverse_etl.targets.microsoft.changes import RELATION, Changes
from reverse_etl.targets.microsoft.client import BATCH, Client
from reverse_etl.targets.microsoft.entities import (
    CONTACTS,
    DELETED_NAMED,
    ENTITIES,
    MEMBER_OF,
    NAMED,
    PAGE,
    PURPOSE,
    READ,
    READING,
    ROLE_GROUPS,
    WIDER,
    WITH_MANAGER,
)
from reverse_etl.targets.microsoft.settings import Settings
from reverse_etl.targets.reading import TargetUnreadableError
from reverse_etl.targets.replies import Call, Reply, Verdict, general, outcome_of

# a group that was just made may be unknown where teams are made: so often, and so long apart
# (https://learn.microsoft.com/graph/api/team-post)
TEAM_TRIES, TEAM_PAUSE = 3, 10.0
GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
DIRECTORY_ROLE = "#microsoft.graph.directoryRole"
FORBIDDEN, THROTTLED, BROKEN = 403, 429, 500


class Microsoft(ApiTarget):
    """One Entra tenant."""

    rows: Mapping[str, Entity] = {row.name: row for row in ENTITIES}
    batch = BATCH
    Settings = Settings
    # 8,000 resource units per 10 s at 3 for a list of members, against 20 writes a second
    reads_per_write = 10.0
    changes_rest_on = ("users", "licences", "groups", "members")

    def __init__(
        self, name: str, settings: Mapping[str, Any], exports: Mapping[str, Export] | None = None
    ) -> None:
        said = settings_of(Settings, name, settings)
        client = Client(name, said)
        if exports and "users" in exports and said.key_attribute:
            exports = {**exports, "users": _keyed_by(exports["users"], said.key_attribute)}
        super().__init__(name, settings, exports, client)
        self.constants = {"address": client.address}
        if said.details:
            self.rows = {**self.rows, "users": self._with_details()}
        self._details: list[dict[str, Any]] = []  # of accounts of ours, once observed
        self._licences: list[dict[str, Any]] = []  # what users hold directly, once observed
        self._products: list[dict[str, Any]] | None = None  # subscribed to, once read
        self._teams: list[dict[str, Any]] = []  # of our classes, once observed
        self._team_tries: Counter[str] = Counter()  # change -> how often its group was unknown
        self._may_ask_mailboxes = True  # until we hear otherwise
        self.changes: Changes | None = None
        if said.whole_read_days:
            self.changes = Changes(name, client.address, self._told)

    def lacking(self) -> Iterator[Reason]:
        """What the application has no consent for of what the settings lead to, by what its token
        says: a read proves no permission to write.
        """
        granted = self._client.granted()
        if granted is None:
            return
        wanting: dict[str, list[str]] = {READ: ["users"]}
        for row in filter(lambda row: self.is_wanted(row.name), self.rows.values()):
            for route in self._used(row):
                asked = row.needs(route)
                if self.said.read_only:
                    asked = READING.get(asked, READ)
                wanting.setdefault(asked, []).append(row.name)
        for permission, entities in wanting.items():
            if not granted & {permission, *WIDER.get(permission, ())}:
                named = ", ".join(dict.fromkeys(entities))
                values = {"target": self.name, "permission": permission, "entity": named}
                yield Reason("permission_missing", values | {"why": str(general("permission"))})

    def _facts(self) -> list[str]:
        """The fields of a user that hold its details; none where no export writes some."""
        return mask(tuple(one for one in self.tables["user_details"] if one.path))

    def _with_details(self) -> Entity:
        """The row of the users, whose list brings the details and the manager of each too."""
        row = self.rows["users"]
        known = {*row.asked, *mask(self.seen("users"))}
        more = [name for name in self._facts() if name not in known]
        route = row.routes["list"]
        listing = replace(route, query={**route.query, **WITH_MANAGER})
        return replace(row, asked=(*row.asked, *more), routes={**row.routes, "list": listing})

    # ------------------------------------------------------------ what changed

    @property
    def changes_of(self) -> str:
        """What a link and what it rests on are of: another tenant, or other fields, is a whole
        read.
        """
        asked = [f"{name}:{self._asked_of(name)}" for name in RELATION]
        return json.dumps([self._client.address, self.said.authority, self.said.client_id, *asked])

    def _asked_of(self, entity: str) -> str:
        """The fields of an entity, and the relation whose changes come with them."""
        row = self.rows[entity]
        fields = (*mask(self.seen(entity), without=row.derived), *row.asked)
        relation = [RELATION[entity]] if entity == "groups" or self.said.details else []
        return ",".join(dict.fromkeys([*fields, *relation]))

    def _told(self, where: str, may_have_expired: bool) -> Reply:
        request = {"method": "GET", "url": where}
        return self.read("changes", request, following=may_have_expired)

    def listed(
        self, row: Entity, route: Route, what: str = "", *, anew: bool = False, **values: str
    ) -> Iterator[list[dict[str, Any]]]:
        """The list of the users, and of the groups, by what changed in it."""
        if self.changes is None or route is not row.routes.get("list") or row.name not in RELATION:
            yield from super().listed(row, route, what, anew=anew, **values)
            return
        words = {"mask": self._asked_of(row.name)}
        first = self._client.request(self.filled(row.routes["changes"], words))["url"]
        yield from self.changes.pages(row.name, first, lambda keys: self._by_themselves(row, keys))

    def _by_themselves(
        self, row: Entity, keys: Sequence[str]
    ) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """Some objects, each by a read of its own."""
        asked = [one for one in self._asked_of(row.name).split(",") if one != RELATION[row.name]]
        for key in keys:
            words = {"mask": ",".join(asked), "owner": key}
            request = self._client.request(self.filled(row.routes["one"], words))
            found = self.read(f"{row.name} {key}", request, missing_is_fine=True)
            yield key, {**found.body, "id": key} if found.good else None

    def _members(self) -> Iterator[list[dict[str, Any]]]:
        """Who is in our groups, by what changed in them; of a group that was not ours before all
        are asked for.
        """
        self.look_through("users")
        self.look_through("groups")
        ours, row = self._ours["groups"], self.rows["members"]
        kept = self.changes.kept.objects("groups") if self.changes.kept else ()
        were = {one["id"] for one in kept if self.key_of(self.rows["groups"], one)}
        anew = self.changes.unsure_of(ours, were)
        yield from self.related(row, anew)
        new = self.at_once(
            lambda some: self._related(self.rows["users"], MEMBER_OF, some),
            twenties(self.changes.new),
        )
        also = [(what["id"], user) for some in new for user, what in some]
        ties = self.changes.members(ours, set(anew), also)
        yield [owned_by(row, group, {"id": member}) for group, member in ties]

    def pages(self, entity: str) -> Iterator[Sequence[Mapping[str, Any]]]:
        match entity:
            case "members" if self.changes is not None:
                yield from self._members()
            case "users":
                yield from self._users()
            case "licences":
                self.look_through("users")
                called = {one["skuId"]: one["skuPartNumber"] for one in self._subscribed()}
                yield [
                    {**one, "skuPartNumber": called.get(one["skuId"], one["skuId"])}
                    for one in self._licences
                ]
            case "user_details" | "managers":
                self.look_through("users")
                managed = entity == "managers"
                yield [one for one in self._details if not managed or one.get("manager")]
            case "subscriptions":
                yield self._subscribed()
            case "classes":
                yield from self._classes()
            case "class_teams":
                self.look_through("classes")
                yield self._teams
            case _:
                yield from super().pages(entity)

    def _users(self) -> Iterator[list[dict[str, Any]]]:
        """The users, each with whether it is an administrator, and what they hold put aside."""
        held: list[dict[str, Any]] = []
        details: list[dict[str, Any]] = []
        facts = ("id", "manager", *self._facts())
        rows = self.rows["groups"]
        listing = rows.routes["list"] if self.changes is not None else ROLE_GROUPS
        roles = {
            group["id"]
            for page in self.listed(rows, listing)
            for group in page
            if group.get("isAssignableToRole")
        }  # who is in a group that may carry a directory role counts as an administrator
        users = self.rows["users"]
        for page in super().pages("users"):
            held += [
                {"user_remote_id": user["id"], **one}
                for user in page
                for one in user.get("licenseAssignmentStates") or []
                if is_direct(one)
            ]
            if self.said.details:
                details += [
                    {"person_id": key, **{name: user.get(name) for name in facts}}
                    for user in page
                    if (key := self.key_of(users, user))
                ]
            # only these are ever asked about: theirs is no account of ours
            strangers = [user["id"] for user in page if not self.key_of(users, user)]
            admins = {
                user
                for belongings in self.at_once(
                    lambda some: self._related(users, MEMBER_OF, some), twenties(strangers)
                )
                for user, what in belongings
                if what["id"] in roles or what.get("@odata.type") == DIRECTORY_ROLE
            }
            purposes = dict(
                pair
                for pairs in self.at_once(self._purposes, twenties(strangers))
                for pair in pairs
            )
            yield [
                {
                    **_without(user, "licenseAssignmentStates"),
                    "isAdmin": user["id"] in admins,
                    "userPurpose": purposes.get(user["id"]),
                }
                for user in page
            ]
        self._licences, self._details = held, details

    def _classes(self) -> Iterator[Sequence[Mapping[str, Any]]]:
        """The classes; of those whose team is archived nobody's list is read, for nobody may change
        it.
        """
        yield from super().pages("classes")
        teams: list[dict[str, Any]] = []
        if self.is_wanted("class_teams"):
            route, ours = self.rows["class_teams"].routes["of"], twenties(self._ours["classes"])
            for some in self.at_once(lambda few: self._teams_of(route, few), ours):
                teams += some
        self._teams = teams
        archived = {team["id"] for team in teams if team.get("isArchived")}
        self._ours["classes"] = [one for one in self._ours["classes"] if one not in archived]

    def _teams_of(self, route: Route, classes: Sequence[str]) -> list[dict[str, Any]]:
        """The teams of up to 20 classes, by one batch; a class without one has none."""
        requests = [self._client.request(self.filled(route, {"owner": one})) for one in classes]
        self._reads.one_call(len(classes))
        found = []
        for owner, request, reply in zip(
            classes, requests, self._client.send(requests), strict=True
        ):
            if not reply.good and reply.code != 404:
                self._reads.told(reply)
                reply = self.read(f"team of {owner}", request, missing_is_fine=True)
            found += [dict(reply.body)] if reply.good else []
        return found

    def judge(self, change: Change, reply: Reply) -> Outcome:
        """A team that is there already answers 409; one whose group is not known yet 404, and is
        asked for again.
        """
        if (change.entity, change.action) == ("class_teams", CREATE):
            if reply.code == 409:
                return self.look(change, reply, "duplicate")
            with self._lock:
                self._team_tries[change.change_id] += 1
                tries = self._team_tries[change.change_id]
            if reply.code == 404 and tries <= TEAM_TRIES:
                early = outcome_of(change, Verdict("retry", "not_ready"), reply, None)
                return replace(early, retry_after=TEAM_PAUSE)
        return super().judge(change, reply)

    def ours(self, change: Change, found: Mapping[str, Any]) -> str | None:
        """A class is looked up by a filter, which answers with a list."""
        if change.entity == "classes":
            found = next(iter(found.get("value", ())), {})
        return super().ours(change, found)

    def is_wanted(self, entity: str) -> bool:
        """Teams are teams of classes."""
        also = entity != "class_teams" or self.said.classes
        return also and super().is_wanted(entity)

    def names_taken(self) -> list[Name]:
        """What users and groups hold, and the contacts: without OrgContact.Read.All theirs are
        known only by what is refused.
        """
        names = super().names_taken()
        row = Entity("contacts", page=PAGE)
        words = {"page": str(PAGE)}
        if self._client.ask(self._client.request(self.filled(CONTACTS, words))).code == FORBIDDEN:
            return names
        for page in self.listed(row, CONTACTS):
            for found in page:
                held = [one.partition(":")[2] for one in found.get("proxyAddresses") or ()]
                taken = dict.fromkeys(one.lower() for one in (found.get("mail"), *held) if one)
                names += [(address, "contact", str(found["id"]), None) for address in taken]
        return names

    def seen(self, entity: str) -> Table:
        """Contacts are read for their addresses alone."""
        return super().seen(entity) if entity in self.rows else ()

    def holder(self, change: Change, reply: Reply) -> str:  # noqa: ARG002 - the refusal names it
        """Who or what a refusal says has the name, in words: its kind and id, never its name."""
        told = json.dumps((reply.body.get("error") or {}).get("details") or [])
        for named in dict.fromkeys(GUID.findall(told)):
            for route, where in ((NAMED, ""), (DELETED_NAMED, "deleted ")):
                asked = self._client.request(self.filled(route, {"named": named}))
                try:
                    found = self.read(f"object {named}", asked, missing_is_fine=True)
                except TargetUnreadableError:
                    return f"object {named}"
                if found.good:
                    kind = str(found.body.get("@odata.type", "")).rpartition(".")[2] or "object"
                    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()
                    key = self._key_of_user(named) if (kind, where) == ("user", "") else None
                    carries = f"carries our key {key}" if key else "does not carry this key"
                    return f"{where}{words} {named}, which {carries}"
        return ""

    def _key_of_user(self, named: str) -> str | None:
        """The key of ours somebody carries, asked for by their id."""
        row = self.rows["users"]
        route = self.filled(row.routes["find"], {"user_principal_name": named})
        asked = self._client.request(route)
        return self.key_of(row, self.read(f"users {named}", asked, missing_is_fine=True).body)

    def _purposes(self, owners: Sequence[str]) -> list[tuple[str, str]]:
        """What the mailboxes of up to 20 users are for. Who has none is a user; and so is everybody
        without MailboxSettings.Read: then rooms and shared ones are known by being closed.
        """
        if not self._may_ask_mailboxes:
            return []
        requests = [self._client.request(self.filled(PURPOSE, {"owner": one})) for one in owners]
        self._reads.one_call(len(owners))
        found: list[tuple[str, str]] = []
        for owner, request, reply in zip(
            owners, requests, self._client.send(requests), strict=True
        ):
            if reply.code == FORBIDDEN:
                self._may_ask_mailboxes = False
                return found
            if not reply.good and (reply.code == THROTTLED or reply.code >= BROKEN):
                self._reads.told(reply)
                reply = self.read(f"mailbox of {owner}", request, missing_is_fine=True)
            if reply.good and reply.body.get("value"):
                found.append((owner, reply.body["value"]))
        return found

    def related(self, row: Entity, owners: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
        for found in self.at_once(
            lambda some: self._related(row, row.routes["of"], some), twenties(owners)
        ):
            yield [owned_by(row, owner, one) for owner, one in found]

    def _related(
        self, row: Entity, route: Route, owners: Sequence[str]
    ) -> list[tuple[str, dict[str, Any]]]:
        """What up to 20 users or groups are related to, by one batch; further pages, and what the
        batch was refused, one by one. Of users it needs Directory.Read.All, else roles stay unseen.
        """
        requests = [
            self._client.request(self.filled(route, {"owner": owner, "page": str(row.page)}))
            for owner in owners
        ]
        self._reads.one_call(len(owners))
        found: list[tuple[str, dict[str, Any]]] = []
        for owner, request, reply in zip(
            owners, requests, self._client.send(requests), strict=True
        ):
            what = f"{route.call.rpartition('/')[2]} of {owner}"
            if not reply.good and reply.code != 404:
                self._reads.told(reply)
                reply = self.read(what, request, missing_is_fine=True)
            these = list(reply.body.get("value", []))
            while request := self._client.following(route, request, reply):
                reply = self.read(what, request, following=True)
                if not reply.good:  # the next page has expired: the list once more
                    again = self.listed(row, route, what, anew=True, owner=owner)
                    these = [one for page in again for one in page]
                    break
                these += reply.body.get("value", [])
            found += [(owner, one) for one in these]
        return found

    def _subscribed(self) -> list[dict[str, Any]]:
        with self._lock:
            if self._products is None:
                row = self.rows["subscriptions"]
                self._products = [
                    one for page in self.listed(row, row.routes["list"]) for one in page
                ]
            return self._products

    # ------------------------------------------------------------ licences

    def exchanges(self, changes: Sequence[Change]) -> bool:
        """Licences are given and taken back by one call, which does all of it or nothing."""
        return all(change.entity == "licences" for change in changes)

    def request(self, change: Change) -> Any:
        if self.call(change).removing and change.entity == "managers":
            route = self.rows["managers"].routes["remove"]
            return self._client.request(self.filled(route, self.words(change)))
        if change.entity == "user_details" and (own := self._own_attribute(change)):
            raise KeyError(f"{own} carries our key; take its rows out of the seed")
        if change.entity != "licences":
            return super().request(change)
        return self._assigning(change, *self._sides(change))

    def _own_attribute(self, change: Change) -> str:
        """The column of a change that would overwrite our key."""
        keys = {one.path for one in self._key_fields["users"]}
        given = {
            name
            for name, value in change.new.items()
            if value is not None or change.action != CREATE
        }
        own = (one.column for one in self.tables["user_details"] if one.path in keys)
        return next((name for name in own if name in given), "")

    def call(self, change: Change) -> Call:
        """A manager who is to be nobody, and is so already, is taken away."""
        nobody = change.entity == "managers" and change.new.get("manager_id") is None
        made = super().call(change)
        return replace(made, removing=True) if nobody else made

    def _sides(self, change: Change) -> tuple[list[str], list[str]]:
        """The products a change, or an exchange, gives and takes back."""
        sides = whole(change)
        return (
            [self._product(one) for one in sides if one.action in CREATING],
            [self._product(one) for one in sides if one.action in REMOVALS],
        )

    def _assigning(self, change: Change, giving: list[str], taking: list[str]) -> Any:
        route = self.filled(self.rows["licences"].route(change.action), self.words(change))
        adding = [{"skuId": product, "disabledPlans": []} for product in giving]
        body = {"addLicenses": adding, "removeLicenses": taking}
        return self._client.request(replace(route, body=body))

    def look(self, change: Change, reply: Reply, reason: str) -> Outcome:
        if not change.others:
            return super().look(change, reply, reason)
        # somebody, or an attempt whose reply was lost, did a part of the exchange: the rest of it
        words, user = self.words(change), change.references.get("person_id")
        route = self.filled(self.rows["licences"].routes["held"], words)
        try:
            found = self.read(f"licences of {change.key[0]}", self._client.request(route)).body
        except TargetUnreadableError as error:
            unread = Verdict("retry", "unreadable")
            return outcome_of(change, unread, reply, None, str(error), 2)
        states = found.get("licenseAssignmentStates") or ()
        held = {one["skuId"] for one in states if is_direct(one)}
        giving, taking = self._sides(change)
        giving = [product for product in giving if product not in held]
        taking = [product for product in taking if product in held]
        if not giving and not taking:
            return outcome_of(change, ALREADY, reply, user, "already there", 2)
        (again,) = self.send([self._assigning(change, giving, taking)])
        verdict = self._client.verdict(Call(repeatable=True), again)
        return outcome_of(change, verdict, again, user, "the rest of an exchange", 3)

    def _product(self, change: Change) -> str:
        """The id of the product a licence is called by. Raises KeyError with a reason."""
        licence = change.key[1]
        called = {one["skuPartNumber"]: one["skuId"] for one in self._subscribed()}
        if licence not in called:
            raise KeyError(f"the tenant has no subscription called {licence}")
        return called[licence]

    def addresses(self, found: Mapping[str, Any]) -> Iterator[str]:
        own = found.get("userPrincipalName") or found.get("mail") or found.get("mailNickname")
        if not own:
            return
        # Entra puts the id before the name of what is deleted
        yield (own := own.removeprefix(found["id"].replace("-", "")))
        others = {
            found.get("mail"),
            *(address.partition(":")[2] for address in found.get("proxyAddresses") or ()),
            found.get("mailNickname"),
        }
        # the nickname is usually the name before the @
        known = {own.lower(), own.partition("@")[0].lower()}
        yield from (
            other for other in sorted(others - {None, "", own}) if other.lower() not in known
        )


def _keyed_by(users: Export, attribute: str) -> Export:
    """The export with its key in another of the tenant's fifteen attributes for such things."""
    return replace(
        users,
        columns=tuple(
            replace(one, field=f"onPremisesExtensionAttributes.{attribute}")
            if one.name in users.key
            else one
            for one in users.columns
        ),
    )


def is_direct(state: Mapping[str, Any]) -> bool:
    """Whether a licence was given to the user and comes by no group."""
    return not state.get("assignedByGroup")


def twenties(owners: Sequence[str]) -> list[Sequence[str]]:
    """As many as one batch takes, and again."""
    return [owners[at : at + BATCH] for at in range(0, len(owners), BATCH)]


def _without(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != name}
