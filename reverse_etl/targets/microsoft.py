"""Microsoft Entra ID: users, groups, licences and members by Microsoft Graph, written in batches of
20.

In: changes whose `new` holds export columns (`fields.MICROSOFT`). Out: outcomes, and what the
tenant holds now as Arrow. Settings: address, authority, client_id, certificate (or client_secret),
ca_file, writes_per_minute, threads, timeout. The key of a user is
onPremisesExtensionAttributes.extensionAttribute15, of a group its uniqueName.

What makes a repeat harmless: a PATCH to a value, a DELETE (404 is done), a member added again (400
is done), a group by upsert on its uniqueName, a licence given again. Only a user can come to be
without our knowing; it is looked up by its name and its key.

A member is always removed by an address that ends in `/$ref`: without it Graph would delete the
person.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from reverse_etl.model import Change, Export, Outcome, key_text
from reverse_etl.passwords import PasswordRecipientError, Passwords
from reverse_etl.targets import replies
from reverse_etl.targets.fields import (
    MICROSOFT,
    MICROSOFT_OBSERVED,
    NAMES_TAKEN,
    columns,
    from_api,
    mask,
    names_batch,
    raw_batches,
    to_api,
)
from reverse_etl.targets.microsoft_client import BATCH, Client
from reverse_etl.targets.reading import Reads, TargetUnreadableError
from reverse_etl.targets.replies import Call, Reply, Verdict, outcome_of

PAGE = 999  # the most Graph allows
DIRECTORY_ROLE = "#microsoft.graph.directoryRole"
READS_PER_WRITE = (
    10  # 8,000 resource units per 10 s at 3 for a list of members, against 20 writes a second
)
USER_FIELDS = (
    *mask(MICROSOFT_OBSERVED["users"], without=("isAdmin",)),
    "proxyAddresses",
    "createdDateTime",
    "licenseAssignmentStates",
)
GROUP_FIELDS = (
    *mask(MICROSOFT_OBSERVED["groups"]),
    "mail",
    "proxyAddresses",
    "groupTypes",
    "createdDateTime",
)
JSON = {"Content-Type": "application/json"}
CREATING, REMOVING = frozenset({"create", "add", "undelete"}), frozenset({"delete", "remove"})

Name = tuple[str, str, str, str | None]  # a row of names_taken
Item = tuple[Change, Mapping[str, Any]]  # a change and its part of a batch


class Microsoft:
    """One Entra tenant."""

    entities = ("users", "groups", "licences", "members")
    raw_columns: Mapping[str, tuple[str, ...]] = {
        **{entity: columns(table) for entity, table in MICROSOFT_OBSERVED.items()},
        "names_taken": NAMES_TAKEN,
    }
    lasting: Mapping[str, str] = {}
    restorable: Mapping[str, int] = {
        "users": 30
    }  # https://learn.microsoft.com/graph/api/directory-deleteditems-restore
    batch = BATCH

    def __init__(
        self, name: str, settings: Mapping[str, Any], exports: Mapping[str, Export] | None = None
    ) -> None:
        self.name = name
        self._exports = exports or {}
        self.threads = int(settings.get("threads", 8))
        self.rate = float(settings.get("writes_per_minute", 1200)) / 60
        self._settings = settings
        self._client = Client(name, settings)
        self._reads = Reads(name, self.rate * READS_PER_WRITE, replies.microsoft)
        self.write_calls = 0
        self._lock = threading.Lock()
        self._passwords: Passwords | None = None
        self._young: set[str | None] = set()  # remote ids made by this process
        self._groups: list[str] | None = None  # remote ids of our groups, once observed
        self._names: dict[
            str, list[Name]
        ] = {}  # what names_taken says of users and of groups, once observed
        self._licences: list[dict[str, Any]] | None = (
            None  # what users hold directly, once observed
        )
        self._products: list[dict[str, Any]] | None = (
            None  # what the tenant subscribes to, once read
        )

    @property
    def read_calls(self) -> int:
        """Requests that read; a batch of reads is one."""
        return self._reads.calls

    def close(self) -> None:
        """Close the connections and forget passwords."""
        self._client.close()
        with self._lock:
            if self._passwords:
                self._passwords.close()

    def check_connection(self) -> str:
        """Sign in and read one user; what was proved, in words. Raises TargetUnreadableError."""
        self._read("users", "/users?$select=id&$top=1")
        return f"signed in as application {self._settings['client_id']}, users can be read"

    # ------------------------------------------------------------ observe

    def observe(self, entity: str) -> Iterator[pa.RecordBatch]:
        """What the tenant holds of one entity (or "names_taken"); at least one batch, if an empty
        one.
        """
        if entity == "names_taken":
            yield names_batch(self._names_taken())
            return
        pages = {
            "users": self._user_pages,
            "groups": self._group_pages,
            "members": self._member_pages,
            "licences": self._licence_pages,
            "subscriptions": lambda: [self._subscribed()],
        }[entity]
        yield from raw_batches(MICROSOFT_OBSERVED[entity], pages())

    def _user_pages(self) -> Iterator[list[dict[str, Any]]]:
        names: list[Name] = []
        held: list[dict[str, Any]] = []
        roles = self._role_groups()
        with ThreadPoolExecutor(self.threads, thread_name_prefix=f"{self.name}-read") as pool:
            for page in self._listed("/users", USER_FIELDS):
                names += [name for user in page for name in _names_of(user, "user")]
                held += [
                    {"user_remote_id": user["id"], **one}
                    for user in page
                    for one in user.pop("licenseAssignmentStates", None) or []
                    if _is_direct(one)
                ]
                strangers = [
                    user["id"] for user in page if not _person_of(user)
                ]  # only these are ever asked about: theirs is no account of ours
                belong = pool.map(
                    self._belongings_of,
                    [strangers[at : at + BATCH] for at in range(0, len(strangers), BATCH)],
                )
                admins = {
                    user
                    for some in belong
                    for user, what in some
                    if what["id"] in roles or what.get("@odata.type") == DIRECTORY_ROLE
                }
                yield [{**user, "isAdmin": user["id"] in admins} for user in page]
        self._names["users"], self._licences = names, held

    def _role_groups(self) -> set[str]:
        """The groups that may carry a directory role: whoever is in one counts as an
        administrator.
        """
        return {
            group["id"]
            for page in self._listed("/groups", ("id", "isAssignableToRole"))
            for group in page
            if group.get("isAssignableToRole")
        }

    def _belongings_of(self, users: list[str]) -> list[tuple[str, dict[str, Any]]]:
        """The groups and directory roles of up to 20 users by one batch. Needs Directory.Read.All,
        else roles stay unseen.
        """
        return self._related(users, "users", "memberOf")

    def _licence_pages(self) -> Iterator[list[dict[str, Any]]]:
        if self._licences is None:
            for _ in self._user_pages():
                continue
        called = {product["skuId"]: product["skuPartNumber"] for product in self._subscribed()}
        yield [
            {**one, "skuPartNumber": called.get(one["skuId"], one["skuId"])}
            for one in self._licences or []
        ]

    def _subscribed(self) -> list[dict[str, Any]]:
        with self._lock:
            if self._products is None:
                self._products = list(
                    self._read("subscriptions", "/subscribedSkus").body.get("value", [])
                )
            return self._products

    def _group_pages(self) -> Iterator[list[dict[str, Any]]]:
        names: list[Name] = []
        ours: list[str] = []
        for page in self._listed("/groups", GROUP_FIELDS):
            names += [name for group in page for name in _names_of(group, "group")]
            ours += [group["id"] for group in page if group.get("uniqueName")]
            yield page
        self._names["groups"], self._groups = names, ours

    def _member_pages(self) -> Iterator[list[dict[str, Any]]]:
        if self._groups is None:
            for _ in self._group_pages():
                continue
        ours = self._groups or []
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix=f"{self.name}-read")
        try:
            yield from pool.map(
                self._members_of, [ours[at : at + BATCH] for at in range(0, len(ours), BATCH)]
            )
        finally:
            pool.shutdown(cancel_futures=True)

    def _members_of(self, groups: list[str]) -> list[dict[str, Any]]:
        """The members of up to 20 groups by one batch."""
        return [
            {"group_remote_id": group, **member}
            for group, member in self._related(groups, "groups", "members")
        ]

    def _related(
        self, owners: list[str], kind: str, relation: str
    ) -> list[tuple[str, dict[str, Any]]]:
        """What up to 20 users or groups are related to, by one batch; further pages, and what the
        batch was refused, one by one.
        """
        where = [f"/{kind}/{owner}/{relation}?$select=id&$top={PAGE}" for owner in owners]
        self._reads.one_call(len(owners))
        first = self._client.batch([{"method": "GET", "url": each} for each in where])
        found: list[tuple[str, dict[str, Any]]] = []
        for owner, start, reply in zip(owners, where, first, strict=True):
            if not reply.good and reply.code != 404:
                self._reads.told(reply)
                reply = self._read(f"{relation} of {owner}", start, missing_is_fine=True)
            while True:
                found += [(owner, one) for one in reply.body.get("value", [])]
                following = reply.body.get("@odata.nextLink")
                if not following:
                    break
                reply = self._read(f"{relation} of {owner}", following)
        return found

    def _names_taken(self) -> list[Name]:
        for kind, pages in (("users", self._user_pages), ("groups", self._group_pages)):
            if kind not in self._names:
                for _ in pages():
                    continue
        names = [*self._names["users"], *self._names["groups"]]
        for where, fields in (
            (
                "/directory/deletedItems/microsoft.graph.user",
                ("id", "userPrincipalName", "mailNickname", "onPremisesExtensionAttributes"),
            ),
            ("/directory/deletedItems/microsoft.graph.group", ("id", "mailNickname", "mail")),
        ):
            for page in self._listed(where, fields):
                names += [
                    (address, "deleted", *who)
                    for found in page
                    for address, _, *who in _names_of(found, "deleted")
                ]
        return names

    def _listed(self, where: str, fields: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
        """Every page of a list; the address of the next page is used as Graph gives it."""
        following: str | None = f"{where}?$select={','.join(fields)}&$top={PAGE}"
        while following:
            page = self._read(where.strip("/"), following).body
            yield page.get("value", [])
            following = page.get("@odata.nextLink")

    def _read(self, what: str, where: str, missing_is_fine: bool = False) -> Reply:
        return self._reads.reply(what, lambda: self._client.get(where), missing_is_fine)

    # ------------------------------------------------------------ apply

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """Apply up to 20 changes by one batch; each is answered, judged and counted by itself."""
        outcomes: dict[str, Outcome] = {}
        items: list[Item] = []
        for change in changes:
            try:
                items.append((change, self._item(change)))
            except (PasswordRecipientError, TargetUnreadableError) as error:
                outcomes[change.change_id] = Outcome(
                    change.change_id, "failed", reason="not_configured", note=str(error), calls=0
                )
            except KeyError as error:
                note = f"cannot {change.action} {change.entity}: {error.args[0]}"
                outcomes[change.change_id] = Outcome(
                    change.change_id, "failed", reason="unsupported", note=note, calls=0
                )
        if items:
            with self._lock:
                self.write_calls += len(items)
            items, outcomes = self._undeleted(items, outcomes)
            try:
                answers = self._client.batch([item for _, item in items]) if items else []
            except TargetUnreadableError as error:
                return [
                    Outcome(
                        change.change_id,
                        "failed",
                        reason="not_configured",
                        note=str(error),
                        calls=0,
                    )
                    for change in changes
                ]
            for (change, _), reply in zip(items, answers, strict=True):
                outcomes[change.change_id] = self._judge(change, reply)
        return [outcomes[change.change_id] for change in changes]

    def _undeleted(
        self, items: list[Item], outcomes: dict[str, Outcome]
    ) -> tuple[list[Item], dict[str, Outcome]]:
        """Bring back the deleted users that are wanted again, so that they can be written to; drops
        the items of those that stay deleted.
        """
        back = [
            change
            for change, _ in items
            if change.entity == "users"
            and change.action == "restore"
            and change.new.get("deleted") is False
        ]
        if not back:
            return items, outcomes
        with self._lock:
            self.write_calls += len(back)
        replied = self._client.batch(
            [
                {"method": "POST", "url": f"/directory/deletedItems/{change.remote_id}/restore"}
                for change in back
            ]
        )
        for change, reply in zip(back, replied, strict=True):
            self._young.add(change.remote_id)
            if (
                not reply.good and reply.code != 404
            ):  # 404: an attempt whose reply was lost has brought it back already
                outcomes[change.change_id] = outcome_of(
                    change, replies.microsoft(Call(repeatable=True), reply), reply, change.remote_id
                )
        return [
            (change, item) for change, item in items if change.change_id not in outcomes
        ], outcomes

    def order(self, change: Change) -> int:  # noqa: ARG002 - the protocol's
        """Nothing in a tenant has to exist before its own kind."""
        return 0

    def find(self, change: Change) -> str | None:
        """Look a create up by what it would be called, and compare the key it carries: the remote
        id if it is ours.

        A membership is never looked up, nor a licence: adding it again is the same as adding it
        once.
        """
        if change.entity in ("members", "licences"):
            return None
        reply = self._read(
            f"{change.entity} {key_text(change.key)}", self._lookup(change), missing_is_fine=True
        )
        return _ours(change, reply) if reply.good else None

    def _item(self, change: Change) -> dict[str, Any]:
        """The batch item of a change. Raises KeyError with a reason for what cannot be done."""
        creating, removing = change.action in CREATING, change.action in REMOVING
        if change.entity == "members":
            return self._member_item(change, creating, removing)
        if change.entity == "licences":
            return self._licence_item(change, creating, removing)
        if change.action != "create" and not change.remote_id:
            raise KeyError("the remote id is not known; observe and plan again")
        if change.action == "undelete":
            return {
                "method": "POST",
                "url": f"/directory/deletedItems/{change.remote_id}/restore",
                "headers": JSON,
                "body": {},
            }
        if removing:
            return {"method": "DELETE", "url": f"/{change.entity}/{change.remote_id}"}
        body = to_api(MICROSOFT[change.entity], change.new, creating=creating)
        if change.action == "rename":
            # the address of mail follows; what it was before stays among the proxyAddresses, which
            # cannot be written
            body["mail"] = change.new.get("user_principal_name") or body.get("mail")
        if not body:
            raise KeyError("the change holds no column that is sent to Microsoft")
        if not creating:
            return {
                "method": "PATCH",
                "url": f"/{change.entity}/{change.remote_id}",
                "headers": JSON,
                "body": body,
            }
        if change.entity == "groups":
            return {
                "method": "PATCH",
                "url": group_url(change.key[0]),
                "headers": JSON | {"Prefer": "create-if-missing"},
                "body": body,
            }
        body["passwordProfile"] = {
            "password": self._password(change),
            "forceChangePasswordNextSignIn": True,
        }
        return {"method": "POST", "url": "/users", "headers": JSON, "body": body}

    def _member_item(self, change: Change, creating: bool, removing: bool) -> dict[str, Any]:
        group, person = change.references.get("group_id"), change.references.get("person_id")
        if not group or not person:
            raise KeyError("the group or the person does not exist in the target yet")
        if creating:
            # Graph wants the person as an absolute address
            body = {"@odata.id": f"{self._client.address}/directoryObjects/{person}"}
            return {
                "method": "POST",
                "url": f"/groups/{group}/members/$ref",
                "headers": JSON,
                "body": body,
            }
        if not removing:
            raise KeyError("a membership has no columns to change")
        return {"method": "DELETE", "url": f"/groups/{group}/members/{person}/$ref"}

    def _licence_item(self, change: Change, creating: bool, removing: bool) -> dict[str, Any]:
        person, licence = change.references.get("person_id"), change.key[1]
        product = next(
            (one["skuId"] for one in self._subscribed() if one["skuPartNumber"] == licence), None
        )
        if not person:
            raise KeyError("the person does not exist in the target yet")
        if not product:
            raise KeyError(f"the tenant has no subscription called {licence}")
        if not creating and not removing:
            raise KeyError("a licence has no columns to change")
        body = {
            "addLicenses": [{"skuId": product, "disabledPlans": []}] if creating else [],
            "removeLicenses": [product] if removing else [],
        }
        return {
            "method": "POST",
            "url": f"/users/{person}/assignLicense",
            "headers": JSON,
            "body": body,
        }

    def _judge(self, change: Change, reply: Reply) -> Outcome:
        creating = change.action in CREATING
        call = Call(
            repeatable=not (creating and change.entity == "users"),
            removing=change.action in REMOVING,
            young=not self._young.isdisjoint(
                {change.remote_id, *change.references.values()} - {None}
            ),
        )
        verdict = replies.microsoft(call, reply)
        if verdict.status == "look":
            outcome = self._look(change, reply)
        elif verdict.status == "applied" and creating:
            outcome = self._created(change, verdict, reply)
        else:
            outcome = outcome_of(change, verdict, reply, change.remote_id)
        if outcome.status in {"applied", "failed"} and self._passwords:
            self._passwords.forget(change.change_id)
        return outcome

    def _created(self, change: Change, verdict: Verdict, reply: Reply) -> Outcome:
        remote_id = (
            change.references.get("person_id")
            if change.entity in ("members", "licences")
            else reply.body.get("id")
        )
        if remote_id:
            self._young.add(remote_id)
            return outcome_of(change, verdict, reply, remote_id)
        # an upsert that found the group has no body: the id is asked for
        try:
            return outcome_of(
                change,
                Verdict("applied", "duplicate"),
                reply,
                self.find(change),
                "already there",
                2,
            )
        except TargetUnreadableError as error:
            return outcome_of(change, Verdict("retry", "unreadable"), reply, None, str(error), 2)

    def _look(self, change: Change, reply: Reply) -> Outcome:
        """Graph says it exists already: as wanted, ours from a lost reply, or somebody else's?"""
        if change.entity == "members":
            return outcome_of(
                change,
                Verdict("applied", "duplicate"),
                reply,
                change.references.get("person_id"),
                "already a member",
            )
        note = (
            f"a name meant for {key_text(change.key)} belongs to another object, which does not"
            " carry this key; nothing was changed"
        )
        if change.entity == "users" and "user_principal_name" in change.new:
            try:
                found = self._read(
                    f"users {key_text(change.key)}", self._lookup(change), missing_is_fine=True
                )
            except TargetUnreadableError as error:
                return outcome_of(
                    change, Verdict("unknown", "duplicate"), reply, None, str(error), 2
                )
            remote_id = _ours(change, found) if found.good else None
            if remote_id and (change.action in CREATING or remote_id == change.remote_id):
                return outcome_of(
                    change, Verdict("applied", "duplicate"), reply, remote_id, "already there", 2
                )
        return outcome_of(change, Verdict("failed", "duplicate"), reply, change.remote_id, note, 2)

    def _lookup(self, change: Change) -> str:
        """A read by name: consistent, while searches read an index that lags behind."""
        if change.entity == "groups":
            return f"{group_url(change.key[0])}?$select=id,uniqueName"
        return f"/users/{quote(str(change.new['user_principal_name']), safe='@')}?$select=id,onPremisesExtensionAttributes"  # noqa: E501

    def _password(self, change: Change) -> str:
        with self._lock:
            if self._passwords is None:
                self._passwords = Passwords.of_run(
                    str(self._settings.get("run_id", "no-run")), self.name
                )
        return self._passwords.issue(change.change_id, change.key[0])


def group_url(unique_name: str) -> str:
    """The address of a group by its alternate key; an apostrophe is doubled, as OData has it."""
    return f"/groups(uniqueName='{quote(unique_name.replace(chr(39), chr(39) * 2), safe='')}')"


def _ours(change: Change, reply: Reply) -> str | None:
    if change.entity == "users" and _person_of(reply.body) != change.key[0]:
        return None
    return reply.body.get("id")


def _is_direct(state: Mapping[str, Any]) -> bool:
    return not state.get("assignedByGroup")


def _person_of(found: Mapping[str, Any]) -> str | None:
    return from_api(MICROSOFT["users"][:1], found)["person_id"]


def _names_of(found: Mapping[str, Any], kind: str) -> Iterator[Name]:
    remote_id, person_id = found["id"], None if kind == "group" else _person_of(found)
    own = found.get("userPrincipalName") or found.get("mail") or found.get("mailNickname")
    if not own:
        return
    if kind == "deleted":
        own = re.sub(
            f"^{remote_id.replace('-', '')}", "", own
        )  # Entra puts the id before the name of what is deleted
    yield own, kind, remote_id, person_id
    others = {
        found.get("mail"),
        *(address.partition(":")[2] for address in found.get("proxyAddresses") or ()),
        found.get("mailNickname"),
    }
    local = own.partition("@")[0].lower()
    for other in sorted(others - {None, "", own}):
        if other.lower() not in {
            own.lower(),
            local,
        }:  # the nickname is usually the name before the @
            yield other, "alias", remote_id, person_id
