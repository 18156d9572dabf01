"""One licence for another is one call or none: whatever is refused, and wherever the night is cut,
nobody is without.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reverse_etl import exchanges
from reverse_etl.execute import Execution
from reverse_etl.journal import Past
from reverse_etl.model import Change, Outcome

PRODUCTS = ("A1", "A3", "A5")
Holding = dict[str, frozenset[str]]


@dataclass
class Tenant:
    """A target where nobody holds two products, and each product has so many seats; what happens
    to it and to its journal is one list, which can be cut anywhere.
    """

    holding: Holding
    seats: Mapping[str, int]
    at_once: bool = True
    happened: list[tuple[str, Any]] = field(default_factory=list)
    entities: tuple[str, ...] = ("licences",)
    batch: int = 2
    threads: int = 1
    rate: float = 1e9

    def exchanges(self, changes: Sequence[Change]) -> bool:
        return self.at_once

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        return [self._one(change) for change in changes]

    def _one(self, change: Change) -> Outcome:
        sides = exchanges.whole(change)
        person = change.key[0]
        given = {one.key[1] for one in sides if one.action == "create"}
        taken = {one.key[1] for one in sides if one.action == "remove"}
        before = self.holding[person]
        after = (before - taken) | given
        for product in given - before:
            if sum(product in held for held in self.holding.values()) >= self.seats[product]:
                return Outcome(change.change_id, "failed", 400, "no_seats")
        if len(after) > 1:
            return Outcome(change.change_id, "failed", 400, "licence_clash")
        self.holding = {**self.holding, person: after}
        self.happened.append(("done", (person, after)))
        return Outcome(change.change_id, "applied", 200, remote_id=person)

    def find(self, change: Change) -> str | None:
        return None

    def order(self, change: Change) -> int:
        return 0

    def intend(self, change_ids: Sequence[str], attempt: int) -> None:
        self.happened += [("intent", one) for one in change_ids]

    def conclude(self, lines: Sequence[dict[str, Any]]) -> None:
        self.happened += [("outcome", line) for line in lines]

    def end(self) -> None:
        self.happened.append(("end", None))


def change(person: str, product: str, action: str) -> Change:
    name = f"{action}-{person}-{product}"
    more = {"subject": person, "family": "licence", "remote_id": person}
    return Change(name, "fake", "licences", (person, product), action, **more)


def changes(wanted: Holding, held: Holding) -> list[Change]:
    return [
        change(person, product, action)
        for person in sorted(held)
        for action, products in (
            ("create", wanted[person] - held[person]),
            ("remove", held[person] - wanted[person]),
        )
        for product in sorted(products)
    ]


def push(tenant: Tenant, work: Sequence[Change], past: Past | None = None) -> Any:
    execution = Execution(
        tenant,  # type: ignore[arg-type]
        work,
        references={},
        keys={"licences": ("person_id", "licence")},
        known={},
        journal=tenant,  # type: ignore[arg-type]
        past=past or Past(),
        stop=threading.Event(),
        sleep=lambda seconds: None,
    )
    return execution.run()


def holdings(people: Sequence[str]) -> st.SearchStrategy[Holding]:
    one = st.sampled_from([frozenset(), *(frozenset({product}) for product in PRODUCTS)])
    return st.fixed_dictionaries(dict.fromkeys(people, one))


PEOPLE = ("p1", "p2", "p3", "p4")


@settings(max_examples=25, deadline=None)
@given(
    held=holdings(PEOPLE),
    wanted=holdings(PEOPLE),
    seats=st.fixed_dictionaries(dict.fromkeys(PRODUCTS, st.integers(0, 4))),
    cut=st.floats(0, 1),
)
def test_nobody_who_shall_have_a_licence_is_ever_without_the_one_they_had(
    held: Holding, wanted: Holding, seats: Mapping[str, int], cut: float
) -> None:
    work = changes(wanted, held)
    first = Tenant(held, seats)
    push(first, work)
    # the power fails anywhere: what was done stays done, of the journal stands what stood
    lived = first.happened[: round(cut * len(first.happened))]
    there = {**held, **dict(what for kind, what in lived if kind == "done")}
    intents = {what: "t" for kind, what in lived if kind == "intent"}
    outcomes = {what["change_id"]: what for kind, what in lived if kind == "outcome"}
    second = Tenant(there, seats)
    push(second, work, Past("p", outcomes, intents, True, False, "t"))
    for tenant in (first, second):
        for _, (person, holds) in [one for one in tenant.happened if one[0] == "done"]:
            assert holds or not (held[person] and wanted[person]), person
        for person in PEOPLE:
            assert tenant.holding[person] in {held[person], wanted[person]}
    plenty = Tenant(held, dict.fromkeys(PRODUCTS, len(PEOPLE)))
    push(plenty, work)
    assert plenty.holding == wanted
    assert first.holding == second.holding or min(seats.values()) < len(PEOPLE)


def test_both_sides_of_an_exchange_have_one_outcome_and_it_is_one_call() -> None:
    tenant = Tenant({"p1": frozenset({"A1"})}, dict.fromkeys(PRODUCTS, 9))
    work = changes({"p1": frozenset({"A3"})}, tenant.holding)
    tally = push(tenant, work)
    assert [kind for kind, _ in tenant.happened] == [
        *("intent", "intent", "done", "outcome", "outcome", "end")
    ]
    assert dict(tally.done) == {("licences", "applied"): 2}


def test_an_exchange_whose_new_licence_fails_takes_nothing_away_and_both_sides_say_why() -> None:
    tenant = Tenant({"p1": frozenset({"A1"})}, {"A1": 1, "A3": 0, "A5": 0})
    tally = push(tenant, changes({"p1": frozenset({"A3"})}, tenant.holding))
    assert tenant.holding == {"p1": frozenset({"A1"})}
    assert {what["reason"] for kind, what in tenant.happened if kind == "outcome"} == {"no_seats"}
    assert tally.failed == 2


def test_a_journal_cut_between_the_two_lines_of_an_exchange_knows_both() -> None:
    tenant = Tenant({"p1": frozenset({"A3"})}, dict.fromkeys(PRODUCTS, 9))
    work = changes({"p1": frozenset({"A3"})}, {"p1": frozenset({"A1"})})
    line = {"line": "outcome", "change_id": "create-p1-A3", "status": "applied", "remote_id": "p1"}
    known = {line["change_id"]: line}
    intents = {one.change_id: "t" for one in work}
    push(tenant, work, Past("p", known, intents, True, False, "t"))
    assert [what["change_id"] for kind, what in tenant.happened if kind == "outcome"] == [
        "remove-p1-A1"
    ]
    assert not [kind for kind, _ in tenant.happened if kind in {"intent", "done"}]


@pytest.mark.parametrize("at_once", [True, False])
def test_who_only_gets_or_only_loses_a_licence_makes_no_exchange(at_once: bool) -> None:
    tenant = Tenant(
        {"p1": frozenset(), "p2": frozenset({"A1"})}, dict.fromkeys(PRODUCTS, 9), at_once
    )
    wanted = {"p1": frozenset({"A5"}), "p2": frozenset[str]()}
    work = changes(wanted, tenant.holding)
    assert exchanges.joined(tenant, work) == work  # type: ignore[arg-type]
    push(tenant, work)
    assert tenant.holding == wanted
