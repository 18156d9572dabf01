"""Google Workspace: schemas, org units, users, their aliases, groups and members by the Directory
API.

In: changes whose `new` holds export columns (`fields.GOOGLE`). Out: outcomes, and what the domain
holds now as Arrow. Settings: address (root of the API), credentials (service account key file),
subject (the admin it acts as), customer, writes_per_minute, threads, timeout. The key of a user is
customSchemas.Homeroom.person_id, of a group its externalIds entry of namespace `homeroom`, of an
org unit its path, of a schema its name.

Refuses: deleting a schema, which would take the durable key from every account.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from reverse_etl.model import Change, Export, Outcome, key_text
from reverse_etl.passwords import PasswordRecipientError, Passwords
from reverse_etl.targets import replies
from reverse_etl.targets.fields import (
    GOOGLE,
    GOOGLE_OBSERVED,
    GOOGLE_SCHEMA,
    NAMES_TAKEN,
    columns,
    from_api,
    mask,
    names_batch,
    raw_batches,
    to_api,
)
from reverse_etl.targets.google_client import Client
from reverse_etl.targets.reading import Reads, TargetUnreadableError
from reverse_etl.targets.replies import Call, Reply, Verdict, outcome_of

USERS_PER_PAGE, GROUPS_PER_PAGE, MEMBERS_PER_PAGE = 500, 200, 200  # the most Google allows
USER_FIELDS = (
    *mask(GOOGLE_OBSERVED["users"]),
    "aliases",
    "nonEditableAliases",
    "suspensionReason",
    "creationTime",
)
GROUP_FIELDS = (*mask(GOOGLE_OBSERVED["groups"]), "aliases", "nonEditableAliases")
REMOTE_ID = {
    "schemas": "schemaId",
    "org_units": "orgUnitId",
    "users": "id",
    "aliases": "id",
    "groups": "id",
    "members": "id",
}
WITH_KEY = {
    "projection": "custom",
    "customFieldMask": GOOGLE_SCHEMA,
}  # users carry our key only when asked for it

CREATING, REMOVING = frozenset({"create", "add", "undelete"}), frozenset({"delete", "remove"})
LINKS = frozenset({"members", "aliases"})  # what cannot come to be twice: a repeat is told so

Name = tuple[str, str, str, str | None]  # a row of names_taken


class Google:
    """One Workspace domain."""

    entities = ("schemas", "org_units", "users", "aliases", "groups", "members")
    raw_columns: Mapping[str, tuple[str, ...]] = {
        **{entity: columns(table) for entity, table in GOOGLE_OBSERVED.items()},
        "names_taken": NAMES_TAKEN,
    }
    lasting: Mapping[str, str] = {"schemas": "a schema holds the durable key of every account"}
    restorable: Mapping[str, int] = {"users": 20}  # https://support.google.com/a/answer/1397578
    batch = 1

    def __init__(
        self, name: str, settings: Mapping[str, Any], exports: Mapping[str, Export] | None = None
    ) -> None:
        self.name = name
        self._exports = exports or {}
        self.threads = int(settings.get("threads", 32))
        self.rate = float(settings.get("writes_per_minute", 2400)) / 60
        self._settings = settings
        self._customer = str(settings.get("customer", "my_customer"))
        self._reads = Reads(
            name, self.rate, replies.google
        )  # Google counts reads and writes against one quota
        self.write_calls = 0
        self._lock = threading.Lock()
        self._client = Client(name, settings)
        self._passwords: Passwords | None = None
        self._young: set[str | None] = (
            set()
        )  # remote ids, and paths of org units, made by this process
        self._groups: list[str] | None = None  # remote ids of our groups, once observed
        self._aliases: list[dict[str, str]] = []  # of our users, once observed
        self._names: dict[
            str, list[Name]
        ] = {}  # what names_taken says of users and of groups, once observed

    @property
    def read_calls(self) -> int:
        """Calls that read, counted against the same quota."""
        return self._reads.calls

    def close(self) -> None:
        """Close every thread's connection and forget passwords."""
        self._client.close()
        with self._lock:
            if self._passwords:
                self._passwords.close()

    def check_connection(self) -> str:
        """Sign in and read one user; what was proved, in words. Raises TargetUnreadableError."""
        self._read(
            "users", self._api.users.list(customer=self._customer, maxResults=1, fields="users(id)")
        )
        return f"signed in as {self._settings['subject']}, users can be read"

    # ------------------------------------------------------------ observe

    def observe(self, entity: str) -> Iterator[pa.RecordBatch]:
        """What the domain holds of one entity (or "names_taken"), page by page; at least one batch,
        if an empty one.
        """
        pages = {
            "schemas": self._schema_pages,
            "org_units": self._org_unit_pages,
            "users": self._user_pages,
            "aliases": self._alias_pages,
            "groups": self._group_pages,
            "members": self._member_pages,
        }
        if entity == "names_taken":
            yield from self._names_taken()
            return
        yield from raw_batches(GOOGLE_OBSERVED[entity], pages[entity]())

    def _schema_pages(self) -> Iterator[list[dict[str, Any]]]:
        page = self._read("schemas", self._api.schemas.list(customerId=self._customer)).body
        yield page.get("schemas", [])

    def _org_unit_pages(self) -> Iterator[list[dict[str, Any]]]:
        page = self._read(
            "org_units", self._api.org_units.list(customerId=self._customer, type="all")
        ).body
        yield page.get("organizationUnits", [])

    def _user_pages(self) -> Iterator[list[dict[str, Any]]]:
        names: list[Name] = []
        aliases: list[dict[str, str]] = []
        for page in self._listed(
            "users", "users", USER_FIELDS, maxResults=USERS_PER_PAGE, **WITH_KEY
        ):
            names += [name for user in page for name in _names_of(user, "user")]
            aliases += [
                {"alias": alias, "person_id": key}
                for user in page
                if (key := _key_of("users", user))
                for alias in user.get("aliases", ())
            ]
            yield page
        self._names["users"], self._aliases = names, aliases

    def _alias_pages(self) -> Iterator[list[dict[str, str]]]:
        if "users" not in self._names:
            for _ in self._user_pages():
                continue
        yield self._aliases

    def _group_pages(self) -> Iterator[list[dict[str, Any]]]:
        names: list[Name] = []
        ours: list[str] = []
        for page in self._listed("groups", "groups", GROUP_FIELDS, maxResults=GROUPS_PER_PAGE):
            names += [name for group in page for name in _names_of(group, "group")]
            ours += [group["id"] for group in page if _key_of("groups", group)]
            yield page
        self._names["groups"], self._groups = names, ours

    def _member_pages(self) -> Iterator[list[dict[str, Any]]]:
        if self._groups is None:
            for _ in self._group_pages():
                continue
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix=f"{self.name}-read")
        try:
            yield from pool.map(self._members_of, self._groups or [])
        finally:
            pool.shutdown(cancel_futures=True)

    def _members_of(self, group: str) -> list[dict[str, Any]]:
        members = self._api.members
        request = members.list(
            groupKey=group,
            maxResults=MEMBERS_PER_PAGE,
            fields="members(id,role,type),nextPageToken",
        )
        found: list[dict[str, Any]] = []
        while request is not None:
            reply = self._read(
                f"members of group {group}", request, missing_is_fine=True
            )  # deleted since it was listed
            found += [
                {"group_remote_id": group, **member} for member in reply.body.get("members", [])
            ]
            request = members.list_next(request, reply.body)
        return found

    def _names_taken(self) -> Iterator[pa.RecordBatch]:
        for kind, pages in (("users", self._user_pages), ("groups", self._group_pages)):
            if kind not in self._names:
                for _ in pages():
                    continue
        names = [*self._names["users"], *self._names["groups"]]
        deleted = self._listed(
            "users",
            "users",
            ("id", "primaryEmail", "aliases", "customSchemas"),
            maxResults=USERS_PER_PAGE,
            **WITH_KEY,
            showDeleted="true",
        )
        for page in deleted:
            names += [
                (address, "deleted", *who)
                for user in page
                for address, _, *who in _names_of(user, "deleted")
            ]
        yield names_batch(names)

    def _listed(
        self, resource: str, key: str, fields: Sequence[str], **query: Any
    ) -> Iterator[list[dict[str, Any]]]:
        """Every page of a list; nextPageToken is asked for, without it paging would
        stop silently.
        """
        api = getattr(self._api, resource)
        request = api.list(
            customer=self._customer, fields=f"{key}({','.join(fields)}),nextPageToken", **query
        )
        while request is not None:
            page = self._read(resource, request).body
            yield page.get(key, [])
            request = api.list_next(request, page)

    # ------------------------------------------------------------ apply

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """Apply each change by one call (two where the first says the object exists)."""
        return [self._apply(change) for change in changes]

    def order(self, change: Change) -> int:
        """Parents of org units before their children: the depth of the path; everything else in one
        round.
        """
        return change.key[0].strip("/").count("/") if change.entity == "org_units" else 0

    def find(self, change: Change) -> str | None:
        """Look a create up by what it would be called, and compare the key it carries: the remote
        id if it is ours.
        """
        asked = self._read(
            f"{change.entity} {key_text(change.key)}", self._lookup(change), missing_is_fine=True
        )
        return _ours(change, asked.body) if asked.good else None

    def _apply(self, change: Change) -> Outcome:
        creating = change.action in CREATING
        removing = change.action in REMOVING
        inside = change.new.get(
            "org_unit_path" if change.entity == "users" else "parent_org_unit_path"
        )
        touched = {change.remote_id, *change.references.values(), inside}
        # A membership or a value cannot come to be twice; what is created has to be looked up after
        # a lost reply.
        call = Call(
            repeatable=not creating or change.entity in LINKS,
            removing=removing,
            young=not self._young.isdisjoint(touched - {None}),
        )
        try:
            if change.entity == "schemas" and change.action == "update":
                return self._extend_schema(change, 0)
            request = self._request(change, creating, removing)
        except (PasswordRecipientError, TargetUnreadableError) as error:
            return Outcome(
                change.change_id, "failed", reason="not_configured", note=str(error), calls=0
            )
        except KeyError as error:
            return Outcome(
                change.change_id,
                "failed",
                reason="unsupported",
                note=f"cannot {change.action} {change.entity}: {error.args[0]}",
                calls=0,
            )
        calls = 1
        if _is_undeletion(change):
            reply, calls = self._send(self._undelete(change)), 2
            if (
                not reply.good and reply.code != 404
            ):  # 404: an attempt whose reply was lost has brought it back already
                return outcome_of(change, replies.google(call, reply), reply, change.remote_id)
            self._young.add(change.remote_id)
            call = replace(call, young=True)
        reply = self._send(request)
        outcome = self._judge(change, replies.google(call, reply), reply)
        outcome = replace(outcome, calls=outcome.calls + calls - 1)
        if outcome.status in {"applied", "failed"} and self._passwords:
            self._passwords.forget(change.change_id)
        return outcome

    def _judge(self, change: Change, verdict: Verdict, reply: Reply) -> Outcome:
        if (
            change.entity == "org_units"
            and change.action in CREATING
            and reply.code == 400
            and "Invalid Ou Id" in reply.message
        ):
            # what Google answers for a unit that exists, as well as for a name it does not take
            looked = self._look(change, reply)
            return (
                looked
                if looked.status != "failed"
                else outcome_of(change, Verdict("failed", "invalid"), reply, None, calls=2)
            )
        if verdict.status == "look":
            named = change.action in CREATING or not {"primary_email", "email"}.isdisjoint(
                change.new
            )
            return (
                self._look(change, reply)
                if named
                else outcome_of(change, Verdict("failed", "duplicate"), reply, change.remote_id)
            )
        remote_id = change.remote_id
        if verdict.status == "applied" and reply.good and change.action in CREATING:
            remote_id = reply.body.get(REMOTE_ID[change.entity]) or change.remote_id
            self._young |= {
                remote_id,
                change.new.get("org_unit_path") if change.entity == "org_units" else None,
            }
        return outcome_of(change, verdict, reply, remote_id)

    def _look(self, change: Change, reply: Reply) -> Outcome:
        """Google says it exists already: as wanted, ours from a lost reply, or somebody else's?"""
        if change.entity == "members":
            again = self._send(self._member(change, creating=False, removing=False))
            return outcome_of(
                change,
                replies.google(Call(repeatable=True), again),
                again,
                change.references.get("person_id"),
                "already a member; role set",
                2,
            )
        try:
            found = self._read(
                f"{change.entity} {key_text(change.key)}",
                self._lookup(change),
                missing_is_fine=True,
            )
        except TargetUnreadableError as error:
            return Outcome(
                change.change_id,
                "unknown",
                reply.code,
                "duplicate",
                request_id=reply.request_id,
                note=str(error),
                calls=2,
            )
        remote_id = _ours(change, found.body) if found.good else None
        if remote_id and change.entity == "schemas":
            return self._extend_schema(change, 2)
        if remote_id and (
            change.action in CREATING
            or (remote_id == change.remote_id and _is_called(change, found.body))
        ):
            # a rename is known to have answered 409 although it was done (google-api-python-client
            # issue 949)
            return outcome_of(
                change, Verdict("applied", "duplicate"), reply, remote_id, "already there", 2
            )
        if (
            remote_id
            and change.entity == "users"
            and remote_id == change.remote_id
            and change.action not in CREATING
        ):
            return self._from_alias(change)
        note = (
            f"the address meant for {key_text(change.key)} belongs to another object, which does"
            " not carry this key; nothing was changed"
        )
        return outcome_of(change, Verdict("failed", "duplicate"), reply, change.remote_id, note, 2)

    def _from_alias(self, change: Change) -> Outcome:
        """The address a user shall have is an alias of the same user (a rename taken back): Google
        wants the alias gone first.
        """
        gone = self._send(
            self._api.aliases.delete(userKey=change.remote_id, alias=change.new["primary_email"])
        )
        if not gone.good and gone.code != 404:
            return outcome_of(
                change, replies.google(Call(repeatable=True), gone), gone, change.remote_id, calls=3
            )
        again = self._send(self._request(change, creating=False, removing=False))
        return outcome_of(
            change,
            replies.google(Call(repeatable=True), again),
            again,
            change.remote_id,
            "was its own alias before",
            4,
        )

    def _lookup(self, change: Change) -> Any:
        """The consistent read of the object a change wants to exist under its name."""
        api, new = self._api, change.new
        if change.entity == "users":
            return api.users.get(
                userKey=new["primary_email"], **WITH_KEY, fields="id,primaryEmail,customSchemas"
            )
        if change.entity == "aliases":
            return api.users.get(userKey=new["alias"], fields="id")
        if change.entity == "groups":
            return api.groups.get(groupKey=new["email"])
        if change.entity == "members":
            return api.members.get(
                groupKey=change.references["group_id"], memberKey=change.references["person_id"]
            )
        if change.entity == "org_units":
            return api.org_units.get(
                customerId=self._customer, orgUnitPath=path_in_url(change.key[0])
            )
        return api.schemas.get(customerId=self._customer, schemaKey=change.key[0])

    def _request(self, change: Change, creating: bool, removing: bool) -> Any:
        """The call of a change. Raises KeyError with a reason for what cannot be done."""
        if change.entity == "members":
            return self._member(change, creating, removing)
        if change.entity == "aliases":
            return self._alias(change, creating, removing)
        body = to_api(GOOGLE[change.entity], change.new, creating=creating)
        api, remote_id = self._api, change.remote_id
        if change.action != "create" and not remote_id:
            raise KeyError("the remote id is not known; observe and plan again")
        if change.action == "undelete":
            return api.users.undelete(
                userKey=remote_id, body={"orgUnitPath": change.new["org_unit_path"]}
            )
        if not removing and not body:
            raise KeyError("the change holds no column that is sent to Google")
        if change.entity == "users":
            if change.action == "create":
                body["password"] = self._password(change)
                body["changePasswordAtNextLogin"] = True
                return api.users.insert(body=body, fields="id")
            # PUT has patch semantics here, and can clear what PATCH cannot
            return (
                api.users.delete(userKey=remote_id)
                if removing
                else api.users.update(userKey=remote_id, body=body, fields="id")
            )
        if change.entity == "groups":
            if creating:
                return api.groups.insert(body=body, fields="id")
            return (
                api.groups.delete(groupKey=remote_id)
                if removing
                else api.groups.patch(groupKey=remote_id, body=body, fields="id")
            )
        if change.entity == "org_units":
            if creating:
                return api.org_units.insert(customerId=self._customer, body=body)
            where = {"customerId": self._customer, "orgUnitPath": path_in_url(remote_id)}
            return (
                api.org_units.delete(**where)
                if removing
                else api.org_units.patch(**where, body=body)
            )
        if removing:
            raise KeyError("a schema holds the durable key of every account and is never deleted")
        return api.schemas.insert(customerId=self._customer, body=_schema(change))

    def _undelete(self, change: Change) -> Any:
        where = {
            name: value
            for name, value in (("orgUnitPath", change.new.get("org_unit_path")),)
            if value
        }
        return self._api.users.undelete(userKey=change.remote_id, body=where)

    def _member(self, change: Change, creating: bool, removing: bool) -> Any:
        group, person = change.references.get("group_id"), change.references.get("person_id")
        if not group or not person:
            raise KeyError("the group or the person does not exist in the target yet")
        body = to_api(GOOGLE["members"], {"role": change.new.get("role") or "MEMBER"})
        if creating:
            return self._api.members.insert(
                groupKey=group, body={"id": person, **body}, fields="id"
            )
        where = {"groupKey": group, "memberKey": person}
        return (
            self._api.members.delete(**where)
            if removing
            else self._api.members.patch(**where, body=body, fields="id")
        )

    def _alias(self, change: Change, creating: bool, removing: bool) -> Any:
        person = change.references.get("person_id")
        if not person:
            raise KeyError("the person has no account in the target yet")
        if creating:
            return self._api.aliases.insert(
                userKey=person, body=to_api(GOOGLE["aliases"], {"alias": change.new["alias"]})
            )
        if not removing:
            raise KeyError("an alias has no columns to change")
        return self._api.aliases.delete(userKey=person, alias=change.old["alias"])

    def _extend_schema(self, change: Change, calls: int) -> Outcome:
        """Give an existing schema our field. The list of fields is replaced whole, so it is read
        first.
        """
        try:
            found = self._read("schemas", self._lookup(change)).body
        except TargetUnreadableError as error:
            return Outcome(
                change.change_id, "retry", reason="unreadable", note=str(error), calls=calls + 1
            )
        wanted = _schema(change)["fields"]
        there = {each.get("fieldName") for each in found.get("fields", [])}
        missing = [each for each in wanted if each["fieldName"] not in there]
        if not missing:
            return Outcome(
                change.change_id,
                "applied",
                200,
                "duplicate",
                found.get("schemaId"),
                note="already there",
                calls=calls + 1,
            )
        name = found["schemaName"]
        body = {
            "schemaName": name,
            "displayName": found.get("displayName") or name,
            "fields": [*found.get("fields", []), *missing],
        }
        reply = self._send(
            self._api.schemas.update(
                customerId=self._customer, schemaKey=found["schemaId"], body=body
            )
        )
        return outcome_of(
            change,
            replies.google(Call(repeatable=True), reply),
            reply,
            found.get("schemaId"),
            "field added to an existing schema",
            calls + 2,
        )

    def _password(self, change: Change) -> str:
        with self._lock:
            if self._passwords is None:
                self._passwords = Passwords.of_run(
                    str(self._settings.get("run_id", "no-run")), self.name
                )
        return self._passwords.issue(change.change_id, change.key[0])

    # ------------------------------------------------------------ calls

    def _read(self, what: str, request: Any, missing_is_fine: bool = False) -> Reply:
        return self._reads.reply(what, lambda: self._client.ask(request), missing_is_fine)

    def _send(self, request: Any) -> Reply:
        with self._lock:
            self.write_calls += 1
        return self._client.ask(request)

    @property
    def _api(self) -> Any:
        return self._client.api


def _is_undeletion(change: Change) -> bool:
    return (
        change.entity == "users"
        and change.action == "restore"
        and change.new.get("deleted") is False
    )


def _ours(change: Change, found: Mapping[str, Any]) -> str | None:
    """The remote id of what was found if it carries the change's key; paths, schema names and
    members are keys themselves.
    """
    if change.entity == "aliases" and found.get("id") != change.references.get("person_id"):
        return None
    if change.entity in {"users", "groups"} and _key_of(change.entity, found) != change.key[0]:
        return None
    return found.get(REMOTE_ID[change.entity])


def _is_called(change: Change, found: Mapping[str, Any]) -> bool:
    address, wanted = (
        found.get("primaryEmail") or found.get("email"),
        change.new.get("primary_email") or change.new.get("email"),
    )
    return str(address).lower() == str(wanted).lower()


def _key_of(entity: str, found: Mapping[str, Any]) -> str | None:
    """The durable key a user or group carries; it stands first in its table."""
    return from_api(GOOGLE[entity][:1], found)[GOOGLE[entity][0].column]


def _schema(change: Change) -> dict[str, Any]:
    """Our schema: one text field, findable, seen by administrators and the person only."""
    body = to_api(
        GOOGLE["schemas"], {"schema_name": change.key[0], "field_name": change.new["field_name"]}
    )
    return {
        **body,
        "displayName": change.key[0],
        "fields": [
            {
                **each,
                "displayName": each["fieldName"],
                "fieldType": "STRING",
                "multiValued": False,
                "indexed": True,
                "readAccessType": "ADMINS_AND_SELF",
            }
            for each in body["fields"]
        ],
    }


def path_in_url(key: str) -> str:
    """An org unit in a URL: `id:…` as it is, a path without its leading slash and with its signs
    escaped.
    """
    return key if key.startswith("id:") else quote(key.lstrip("/"), safe="/")


def _names_of(found: Mapping[str, Any], kind: str) -> Iterator[Name]:
    person_id = None if kind == "group" else _key_of("users", found)
    address = found.get("primaryEmail") or found.get("email")
    if address:
        yield address, kind, found["id"], person_id
    for alias in (*found.get("aliases", ()), *found.get("nonEditableAliases", ())):
        yield alias, "alias", found["id"], person_id
