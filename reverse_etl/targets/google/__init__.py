"""Google Workspace: schemas, org units, users, their aliases, groups and members by the Directory
API; courses, whose they are and who is in them by Classroom, licences and settings of groups,
where a district asks for it.

Settings: address (root of the API), credentials (service account key file), subject (the admin it
acts as), customer, writes_per_minute, threads, timeout. Here is what the rows of `entities` cannot
say: aliases come with their users, a schema is shared with others, a course's key is asked for by
itself, and what Google means by some of its answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from common.problems import Reason
from reverse_etl.configured import settings_of
from reverse_etl.model import ADOPT, REMOVALS, Change, Export, Outcome, key_text
from reverse_etl.targets.base import ALREADY, ApiTarget
from reverse_etl.targets.entity import CREATING, Entity, Route, Words
from reverse_etl.targets.fields import mask
from reverse_etl.targets.google.client import Client
from reverse_etl.targets.google.details import merged
from reverse_etl.targets.google.entities import COURSE_KEYS, CUSTOMER, ENTITIES, LISTS
from reverse_etl.targets.google.permissions import NEEDS
from reverse_etl.targets.google.settings import Settings
from reverse_etl.targets.reading import Reads, TargetUnreadableError
from reverse_etl.targets.replies import Call, Reply, Verdict, outcome_of

REPEATABLE = Call(repeatable=True)
CLOSED = frozenset(
    {"ARCHIVED", "DECLINED", "SUSPENDED"}
)  # states in which a course takes no change


class Google(ApiTarget):
    """One Workspace domain."""

    rows: Mapping[str, Entity] = {row.name: row for row in ENTITIES}
    Settings = Settings

    def __init__(
        self, name: str, settings: Mapping[str, Any], exports: Mapping[str, Export] | None = None
    ) -> None:
        client = Client(name, settings_of(Settings, name, settings))
        super().__init__(name, settings, exports, client)
        if len(self.said.everybody) > 1:  # the quota is each admin's own
            self.rate *= len(self.said.everybody)
            self._reads = Reads(name, self.rate, client.verdict)
        self.constants = {"customer": self.said.customer}
        if self.said.details:
            users = self.rows["users"]
            self.rows = {**self.rows, "users": replace(users, asked=(*users.asked, *LISTS))}
        self._details: list[dict[str, Any]] = []  # likewise
        self._aliases: list[dict[str, str]] = []  # of our users, once observed
        self._emails: dict[str, str] = {}  # of our groups, seen or made by this process

    @property
    def entities(self) -> tuple[str, ...]:
        """Courses right behind the accounts that own them, and before one is closed: of who is
        suspended Classroom takes nothing.
        """
        others = [name for name in super().entities if name != "courses"]
        if self.is_wanted("courses"):
            others.insert(others.index("users") + 1, "courses")
        return tuple(others)

    @property
    def closes_after(self) -> Mapping[str, str]:
        """Whose closing waits for what: first a course is handed over."""
        return {"users": "courses"} if self.is_wanted("courses") else {}

    def pages(self, entity: str) -> Iterator[Sequence[Mapping[str, Any]]]:
        if entity == "aliases":
            self.look_through("users")
            yield self._aliases
            return
        if entity == "courses":
            yield from self._course_pages()
            return
        if entity == "user_details":
            self.look_through("users")
            yield self._details
            return
        if entity == "schema_fields":
            for page in super().pages("schemas"):
                yield [{**one, **each} for one in page for each in one.get("fields", ())]
            return
        if entity == "licences":
            yield from self._licence_pages()
            return
        if entity == "group_settings":
            yield from self._settings_pages()
            return
        aliases: list[dict[str, str]] = []
        details: list[dict[str, Any]] = []
        for page in super().pages(entity):
            if entity == "users":
                aliases += [
                    {"alias": alias, "person_id": key}
                    for user in page
                    if (key := self.key_of(self.rows["users"], user))
                    for alias in user.get("aliases", ())
                ]
                kept = ("customSchemas", *LISTS) if self.said.details else ()
                details += [
                    {"person_id": key, **{name: user[name] for name in kept if name in user}}
                    for user in page
                    if kept and (key := self.key_of(self.rows["users"], user))
                ]
            if entity == "groups":
                ours = (group for group in page if self.key_of(self.rows["groups"], group))
                self._emails |= {group["id"]: group["email"] for group in ours}
            yield page
        if entity == "users":
            self._aliases, self._details = aliases, details

    def _settings_pages(self) -> Iterator[Sequence[Mapping[str, Any]]]:
        """The settings of each group of ours, asked for by its address."""
        self.look_through("groups")
        row = self.rows["group_settings"]
        fields = ",".join(mask(self.seen(row.name), without=row.derived))

        def of(group: tuple[str, str]) -> list[Mapping[str, Any]]:
            route = self.filled(row.routes["of"], {"email": group[1], "mask": fields})
            request = self._client.request(route)
            reply = self.read(f"{row.name} of {group[0]}", request, missing_is_fine=True)
            return [{**reply.body, "group_remote_id": group[0]}] if reply.good else []

        yield from self.at_once(of, self._emails.items())

    def _email_of(self, group: str) -> str:
        """The address of a group: as it was made or seen, or as Google says it."""
        if group not in self._emails:
            asked = self._client.request(
                Route("groups.get", {"groupKey": group, "fields": "email"})
            )
            self._emails[group] = str(self.read(f"groups {group}", asked).body.get("email", ""))
        return self._emails[group]

    def _licence_pages(self) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Who holds what of the products the settings name, called `product/sku`."""
        row = self.rows["licences"]
        for product in self.said.products:
            values = {"product": product, "customer_id": self._customer_id()}
            for page in self.listed(row, row.routes["list"], **values):
                yield [{**one, "licence": f"{one['productId']}/{one['skuId']}"} for one in page]

    def lacking(self) -> Iterator[Reason]:
        """First the scopes, without which nothing can be asked; then what each of them needs."""
        client_id, refused = self._client.refused_scopes()
        for scope in refused:
            name = scope.rpartition("/")[2]
            said = {"target": self.name, "scope": scope, "client_id": client_id}
            rows = [row for row in self.rows.values() if self.is_wanted(row.name)]
            plain = name.removesuffix(".readonly")
            wants = [row.name for row in rows for r in self._used(row) if row.needs(r) == plain]
            yield Reason("scope_missing", said | {"entities": ", ".join(dict.fromkeys(wants))})
        if refused:
            return
        for _ in self._client.each():
            yield from super().lacking()

    def lack(self, row: Entity, permission: str, reply: Reply) -> Reason:
        needs, known = NEEDS[permission], reply.refusal
        said = {"target": self.name, "entity": row.name, "permission": permission}
        if known and known.code == "refused_api_off":
            return Reason("api_missing", said | {"api": needs.api})
        if known and known.code == "refused_permission":
            who = {"subject": self._client.acting, "privilege": needs.privilege}
            return Reason("privilege_missing", said | who)
        return super().lack(row, permission, reply)

    def probe_words(self, entity: str) -> Words:
        """The admin, a product, a group, a course: what there is to ask with."""
        words = Words({"subject": self._client.acting})
        if entity == "licences" and self.said.products:
            words |= {"product": self.said.products[0], "customer_id": self._customer_id()}
        probe = {"group_settings": "groups", "course_teachers": "courses"}
        listed = probe.get(entity.replace("students", "teachers"))
        if listed:
            row = self.rows[listed]
            fields = f"{listed}(id,email)" if listed == "groups" else "courses(id)"
            (route,) = row.probes.values()
            asked = replace(route, query={**route.query, "fields": fields})
            found = self._client.ask(self._client.request(self.filled(asked, {})))
            for one in found.body.get(listed, []):
                words |= {"email": one.get("email", ""), "owner": one["id"]}
        return words

    def _customer_id(self) -> str:
        if self.said.customer != "my_customer":
            return self.said.customer
        reply = self.read("customer", self._client.request(self.filled(CUSTOMER, {})))
        return str(next(iter(reply.body.get("users", [])), {}).get("customerId", ""))

    def exchanges(self, changes: Sequence[Change]) -> bool:
        """One SKU of a product for another is one call."""
        kinds = [change.action in REMOVALS for change in changes]
        products = {change.key[-1].partition("/")[0] for change in changes}
        licences = all(change.entity == "licences" for change in changes)
        return licences and sorted(kinds) == [False, True] and len(products) == 1

    def _course_pages(self) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Courses, each with its key; of those that are archived nobody's list is read, for nobody
        may change it.
        """
        row = self.rows["courses"]
        ours: list[Mapping[str, Any]] = []
        for page in super().pages("courses"):
            ours += [course for course in page if self.key_of(row, course)]
            yield page
        self._ours["courses"] = [c["id"] for c in ours if c.get("courseState") not in CLOSED]

    def listed(
        self, row: Entity, route: Route, what: str = "", **values: str
    ) -> Iterator[list[dict[str, Any]]]:
        for page in super().listed(row, route, what, **values):
            yield list(self.at_once(self._keyed, page)) if row.name == "courses" else page

    def _keyed(self, course: dict[str, Any]) -> dict[str, Any]:
        """A course with that one of its aliases in the domain that is a key of ours."""
        request = self._client.request(self.filled(COURSE_KEYS, {"id": course["id"]}))
        reply = self.read(f"aliases of course {course['id']}", request, missing_is_fine=True)
        aliases = (str(one.get("alias", "")) for one in reply.body.get("aliases", ()))
        keys = (one.removeprefix("d:") for one in aliases if one.startswith("d:"))
        row = self.rows["courses"]
        ours = (key for key in keys if self.key_of(row, {"alias": key}))
        return {**course, "alias": next(ours, None)}

    def addresses(self, found: Mapping[str, Any]) -> Iterator[str]:
        yield found.get("primaryEmail") or found.get("email") or ""
        yield from found.get("aliases", ())
        yield from found.get("nonEditableAliases", ())

    def holder(self, change: Change, reply: Reply) -> str:  # noqa: ARG002 - it does not say
        """Who has an address, as its own or as an alias: its kind, its id, and a key of ours."""
        named_by = self.rows[change.entity].named_by or "alias"
        if change.entity not in {"users", "groups", "aliases"} or not change.new.get(named_by):
            return ""
        for entity in ("users", "groups"):
            row = self.rows[entity]
            words = {row.named_by: change.new[named_by]}
            asked = self._client.request(self.filled(row.routes["find"], words))
            try:
                found = self.read(f"{entity} {key_text(change.key)}", asked, missing_is_fine=True)
            except TargetUnreadableError:
                return ""
            if found.good and found.body.get(row.remote_id):
                key = self.key_of(row, found.body) if entity in self.exports else None
                carries = f"carries our key {key}" if key else "does not carry this key"
                return f"{entity[:-1]} {found.body[row.remote_id]}, which {carries}"
        return ""

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """Apply each change by one call (two where the first says the object exists)."""
        return [
            self._extend_schema(change, 0)
            if change.entity == "schema_fields"
            or (change.entity, change.action) == ("schemas", "update")
            else super(Google, self).apply([change])[0]
            for change in changes
        ]

    def words(self, change: Change) -> Words:
        words = super().words(change)
        if change.entity == "org_units":
            creating = change.action in CREATING
            words["path"] = path_in_url(words["key"] if creating else words["id"])
        if change.entity == "licences":
            words |= self._of_licence(change)
        if change.entity == "group_settings" and (group := change.references.get("group_id")):
            words["email"] = self._email_of(group)
        if change.entity == "courses":
            sent = [each for each in self.tables["courses"] if each.sent]
            fields = {"owner_id": "ownerId", **{each.column: each.path[0] for each in sent}}
            words["changed"] = ",".join(fields[name] for name in change.new if name in fields)
        return words

    def _of_licence(self, change: Change) -> dict[str, str]:
        """The words of a licence: of an exchange the new SKU, and which it is given for."""
        product, _, sku = change.key[1].partition("/")
        said = {"product": product, "sku": sku}
        for other in change.others:
            said["old_sku"] = other.key[1].partition("/")[2]
        if user := change.references.get("person_id"):
            query = {"userKey": user, "fields": "primaryEmail"}
            asked = self._client.request(Route("users.get", query))
            found = self.read(f"users {change.key[0]}", asked, missing_is_fine=True).body
            said |= {"user": found["primaryEmail"]} if found.get("primaryEmail") else {}
        return said

    def _licence_looked_at(self, change: Change, reply: Reply) -> Outcome:
        """There already, or, of an exchange, the old one gone: what is held says which, and who
        holds neither is given the new one.
        """
        row, user = self.rows["licences"], change.references.get("person_id")
        words = self.words(change)
        asked = self._client.request(self.filled(row.routes["held"], words))
        if self.read(f"licences of {change.key[0]}", asked, missing_is_fine=True).good:
            return outcome_of(change, ALREADY, reply, user, "already there", 2)
        if not change.others:
            return outcome_of(change, Verdict("failed", "licence_clash"), reply, None, calls=2)
        (again,) = self.send([self._client.request(self.filled(row.routes["create"], words))])
        verdict = self._client.verdict(REPEATABLE, again)
        return outcome_of(change, verdict, again, user, "the rest of an exchange", 3)

    def request(self, change: Change) -> Any:
        """A group that was there before us keeps the ids others gave it: the list is replaced
        whole, so it is read first.
        """
        if change.others:
            route = self.rows[change.entity].routes["exchange"]
            return self._client.request(self.filled(route, self.words(change)))
        if change.entity == "user_details":
            return self._detailed(change)
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

    def password(self, change: Change) -> str:
        """As it is, or as its hash: sealed it is as it is either way."""
        plain = super().password(change)
        if not self.said.hashed_passwords:
            return plain
        return hashlib.sha1(plain.encode(), usedforsecurity=False).hexdigest()

    def _detailed(self, change: Change) -> Any:
        """What others wrote in the same lists stays: they are read first."""
        row, words = self.rows["user_details"], self.words(change)
        asked = self._client.request(self.filled(row.routes["of"], words))
        found = self.read(f"users {change.key[0]}", asked).body
        # what never stood there is not emptied: our schema may have no such field
        wanted = {
            name: value
            for name, value in change.new.items()
            if value is not None or change.old.get(name) is not None
        }
        body = merged(self.tables["user_details"], wanted, found)
        route = self.filled(replace(row.route(change.action), columns=False), words)
        return self._client.request(replace(route, body=body))

    def filled(self, route: Route, words: Mapping[str, Any], change: Change | None = None) -> Route:
        """Of a course what stands in the mask and not in the body is cleared; null is refused. Its
        owner stands there as Google knows them.
        """
        if change is None or change.entity != "courses" or not route.columns:
            made = super().filled(route, words, change)
            if made.body and "password" in made.body and self.said.hashed_passwords:
                return replace(made, body={**made.body, "hashFunction": "SHA-1"})
            return made
        plain = tuple(name for name in change.new if name != "owner_id")
        made = super().filled(replace(route, columns=plain), words, change)
        body = {k: v for k, v in (made.body or {}).items() if v is not None}
        if "owner_id" in change.new:
            body["ownerId"] = words["owner_id"]
        return replace(made, body=body)

    def ours(self, change: Change, found: Mapping[str, Any]) -> str | None:
        """A course is looked up by its alias, which is its key."""
        return found.get("id") if change.entity == "courses" else super().ours(change, found)

    def judge(self, change: Change, reply: Reply) -> Outcome:
        """Who is to own a course and is no teacher of it is made one first, where Google wants that
        (IneligibleOwner, https://developers.google.com/workspace/classroom/reference/Request.Errors).
        """
        if change.entity == "groups" and change.action in CREATING and reply.body.get("id"):
            self._emails[reply.body["id"]] = change.new["email"]
        gone = reply.code == 409 or (reply.code == 404 and bool(change.others))
        if change.entity == "licences" and gone:
            try:
                return self._licence_looked_at(change, reply)
            except TargetUnreadableError as error:
                unread = Verdict("retry", "unreadable")
                return outcome_of(change, unread, reply, None, str(error), 2)
        refused = reply.code == 400 and "IneligibleOwner" in reply.message
        if change.entity == "courses" and change.action not in CREATING and refused:
            words = self.words(change)
            query = {"courseId": words["id"], "fields": "userId"}
            route = Route("course_teachers.create", query, {"userId": words["owner_id"]})
            (added,) = self.send([self._client.request(route)])
            if added.good or added.code == 409:
                return self._repeated(change, "made a teacher first", calls=3)
        return super().judge(change, reply)

    def refusal(self, change: Change, reply: Reply) -> Reason | None:
        known = super().refusal(change, reply)
        unit = change.entity == "org_units" and known and known.code == "refused_unit"
        if change.entity == "licences" and known and known.code == "refused_no_licence":
            return Reason("refused_no_seats")
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
            looked = self._lookup(change)
        except TargetUnreadableError as error:
            unreadable = Outcome(change.change_id, "retry", reason="unreadable", note=str(error))
            return replace(unreadable, calls=calls + 1)
        if not looked.good:
            missing = Verdict("retry", "not_ready")  # the schema itself could not be made yet
            return outcome_of(change, missing, looked, None, calls=calls + 1)
        found = looked.body
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
