"""What changed among the users and groups of a tenant since they were last read: delta queries
(https://learn.microsoft.com/graph/delta-query-overview).

In: what an observation before left, as `observe` kept it (`Kept`), or nothing. Out: every object as
it is now, page by page, as a list would give it, and the link to ask with the next time.

A change is put onto the object as it was last read, property by property, for of what did not
change nothing may be said. What comes twice and not alike is asked for by itself, for the order of
what comes says nothing. A link nobody knows any more, or that is none of this tenant, leads to a
whole read; a second one that breaks off is an observation that failed, never half a list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from reverse_etl.targets.reading import expired_twice
from reverse_etl.targets.replies import Reply

RELATION = {"users": "manager", "groups": "members"}
ALWAYS = {  # what every object has
    "users": {"userPrincipalName", "accountEnabled", "displayName"},
    "groups": {"displayName", "mailNickname", "securityEnabled"},
}
NEVER_FILLED: dict[str, Object] = {"groups": {"groupTypes": []}}  # left out of what is new
ADDED = ("isAdmin", "userPurpose", "user_remote_id", "skuPartNumber")  # by the adapter
AT_ONCE = 1000  # objects a page is made of
Object = dict[str, Any]
ByThemselves = Callable[[Sequence[str]], Iterable[tuple[str, Object | None]]]
Ask = Callable[[str, bool], Reply]  # an address, and whether it may have expired


class Kept(Protocol):
    """What the last whole observation of a target left, in one piece."""

    links: Mapping[str, str]

    def objects(self, entity: str) -> Iterator[Object]:
        """The objects of one entity as they were read then."""


@dataclass
class Told:
    """What a question came to: of each object what is said of it, who is gone, what is unsure."""

    said: dict[str, Object] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    # of a group: member -> is one now
    tied: dict[str, dict[str, bool]] = field(default_factory=dict)
    unsure_ties: set[str] = field(default_factory=set)
    link: str = ""

    def hear(self, entity: str, one: Mapping[str, Any]) -> None:
        """One object of an answer."""
        key, relation = str(one["id"]), f"{RELATION[entity]}@delta"
        if "@removed" in one:
            if key in self.said:
                self.unsure.add(key)
            self.gone.add(key)
            return
        if key in self.gone:
            self.unsure.add(key)
        heard = {name: value for name, value in one.items() if "@" not in name}
        if entity == "users" and one.get(relation):
            now = [each["id"] for each in one[relation] if "@removed" not in each]
            heard["manager"] = {"id": now[0]} if now else None
        before = self.said.setdefault(key, {})
        if any(before.get(name, value) != value for name, value in heard.items()):
            self.unsure.add(key)
        before.update(heard)
        if entity == "groups":
            ties = self.tied.setdefault(key, {})
            for each in one.get(relation) or ():
                there = "@removed" not in each
                if ties.setdefault(str(each["id"]), there) != there:
                    self.unsure_ties.add(key)


class Changes:
    """The questions of one observation."""

    def __init__(self, name: str, address: str, ask: Ask) -> None:
        self._name, self._address, self._ask = name, address, ask
        self.kept: Kept | None = None
        self.links: dict[str, str] = {}  # entity -> where to ask the next time
        self.read: dict[str, str] = {}  # entity -> how it was read, for the record
        self.new: list[str] = []  # users nobody knew: somebody restored is in groups again, unsaid
        self._told: dict[str, Told] = {}
        self._whole: dict[str, bool] = {}
        self._groups: list[Object] | None = None  # once read: they are needed twice

    def pages(self, entity: str, first: str, one: ByThemselves) -> Iterator[list[Object]]:
        """Every object of an entity. `first`: where a whole read begins; `one`: asks for some by
        themselves, None of one that is not there.
        """
        if entity == "groups" and self._groups is not None:
            yield self._groups
            return
        told = self._asked(entity, first)
        again = dict(one(sorted(told.unsure)))
        told.gone = (told.gone - told.unsure) | {key for key, now in again.items() if now is None}
        told.said |= {key: now for key, now in again.items() if now is not None}
        objects: list[Object] = []
        for now in self._merged(entity, told, one):
            objects.append(now)
            if len(objects) == AT_ONCE and entity != "groups":
                yield objects
                objects = []
        if entity == "groups":
            self._groups = objects
        self.links[entity] = told.link
        yield objects

    def _merged(self, entity: str, told: Told, one: ByThemselves) -> Iterator[Object]:
        left = {key: now for key, now in told.said.items() if key not in told.gone}
        if not self._whole[entity] and self.kept:
            objects = users_of(self.kept) if entity == "users" else self.kept.objects(entity)
            for before in objects:
                if before["id"] not in told.gone:
                    yield {**before, **left.pop(before["id"], {})}
        if entity == "users" and not self._whole[entity]:
            self.new = list(left)
        partly = [key for key, now in left.items() if not now.keys() >= ALWAYS[entity]]
        if partly and not self._whole[entity]:
            found = dict(one(partly))  # of somebody who is back no more may be said than changed
            left = {key: found.get(key, now) for key, now in left.items()}
            left = {key: now for key, now in left.items() if now is not None}
        yield from ({**NEVER_FILLED.get(entity, {}), **now} for now in left.values())

    def _asked(self, entity: str, first: str) -> Told:
        """The answers to the link of before, or from the beginning."""
        link = self.kept.links.get(entity, "") if self.kept else ""
        if link.startswith(f"{self._address}/{entity}/delta?"):
            told = self._followed(entity, link, resuming=True)
            if told is not None:
                self._whole[entity] = False
                self.read[entity] = f"{len(told.said) + len(told.gone):,} changed"
                self._told[entity] = told
                return told
        self.read[entity] = "whole: the link is no longer known" if link else "whole"
        for _ in range(2):
            if (told := self._followed(entity, first, resuming=False)) is not None:
                self._whole[entity] = True
                self._told[entity] = told
                return told
        raise expired_twice(self._name, entity)

    def _followed(self, entity: str, where: str, *, resuming: bool) -> Told | None:
        """Every page from an address on; None where one has expired."""
        told, following = Told(), resuming
        while where:
            reply = self._ask(where, following)
            if not reply.good:
                return None
            for one in reply.body.get("value", []):
                told.hear(entity, one)
            told.link = str(reply.body.get("@odata.deltaLink") or "")
            where, following = str(reply.body.get("@odata.nextLink") or ""), True
        return told if told.link or not resuming else None

    # --- who is in which group

    def unsure_of(self, ours: Sequence[str], were_ours: set[str]) -> list[str]:
        """Groups whose members are to be asked for by themselves: of nobody's list before, or about
        whom it was said both.
        """
        told = self._told["groups"]
        known = set() if self._whole["groups"] else were_ours
        new = [] if self._whole["groups"] else [one for one in ours if one not in known]
        return [*new, *(one for one in ours if one in told.unsure_ties and one not in new)]

    def members(
        self, ours: Sequence[str], but: set[str], also: Iterable[tuple[str, str]]
    ) -> Iterator[tuple[str, str]]:
        """(group, member) of our groups, but some; nobody who is gone is in one. `also`: what was
        found of users who are new.
        """
        told = self._told["groups"]
        gone = self._told["users"].gone if "users" in self._told else set()
        wanted, heard = set(ours) - but, {one: dict(told.tied.get(one, {})) for one in ours}
        for group, member in also:
            if group in wanted:
                heard[group].setdefault(member, True)
        if not self._whole["groups"] and self.kept:
            for tie in self.kept.objects("members"):
                group, member = tie["group_remote_id"], tie["id"]
                if group in wanted and heard[group].pop(member, True) and member not in gone:
                    yield group, member
        for group in ours:
            if group in wanted:
                yield from (
                    (group, one) for one, there in heard[group].items() if there and one not in gone
                )


def users_of(kept: Kept) -> Iterator[Object]:
    """The users as they were read: what they hold directly was put aside, and what was asked
    elsewhere of some is asked again.
    """
    held: dict[str, list[Object]] = {}
    for one in kept.objects("licences"):
        state = {name: value for name, value in one.items() if name not in ADDED}
        held.setdefault(one["user_remote_id"], []).append(state)
    for user in kept.objects("users"):
        plain = {name: value for name, value in user.items() if name not in ADDED}
        yield {**plain, "licenseAssignmentStates": held.get(user["id"], [])}
