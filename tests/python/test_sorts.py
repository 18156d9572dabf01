"""What sort of account it is, is asked before whose it may be: sorts drawn as the platforms write
them, through the project's own SQL, against an answer written beside it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest
import sql_kit
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common import paths
from reverse_etl.model import Column
from reverse_etl.targets.taken import Adopts, Holder

MODELS = paths.root() / "models"
MICROSOFT = (
    "remote_id:varchar person_id:varchar employee_id:varchar user_principal_name:varchar"
    " given_name:varchar surname:varchar account_enabled:varchar is_admin:varchar"
    " is_synced:varchar user_type:varchar user_purpose:varchar"
)
GOOGLE = (
    "remote_id:varchar person_id:varchar employee_id:varchar primary_email:varchar"
    " given_name:varchar family_name:varchar suspended:varchar is_admin:varchar"
    " is_delegated_admin:varchar"
)
ACCOUNT = (
    "target:varchar remote_id:varchar person_id:varchar employee_id:varchar address:varchar"
    " first_name:varchar last_name:varchar is_open:boolean is_admin:boolean kind:varchar"
)
SAID = st.sampled_from(["true", "false", None])
# of a target of the district's own: whatever its staging says
KINDS = ["member", "guest", "shared", "room", "synced", "once_synced", "equipment", "service", None]


@dataclass(frozen=True)
class Sort:
    """An account as its platform writes it; `nobodys`: it can be nobody's own; `plain`: it can be
    adopted without a word.
    """

    target: str
    row: tuple[Any, ...]
    nobodys: bool
    plain: bool


@st.composite
def sorts(draw: st.DrawFn) -> Sort:
    target = draw(st.sampled_from(["google", "microsoft", "own"]))
    who, admin = ("r1", None, "E0101"), draw(SAID)
    if target == "google":
        suspended, delegated = draw(SAID), draw(SAID)
        plain = "true" not in (admin, delegated, suspended)
        row = (*who, "a.li@d.x", "Ann", "Li", suspended, admin, delegated)
        return Sort(target, row, nobodys=False, plain=plain)
    if target == "own":
        kind, is_open = draw(st.sampled_from(KINDS)), draw(st.booleans())
        plain = kind == "member" and is_open and admin != "true"
        row = (*who, "a.li@d.x", "Ann", "Li", is_open, admin == "true", kind)
        nobodys = kind not in ("member", "synced", "once_synced", None)
        return Sort(target, row, nobodys=nobodys, plain=plain)
    guest = draw(st.sampled_from(["", "by type", "by name", "by both"]))
    purpose = draw(
        st.sampled_from([None, "user", "linked", "others", "shared", "Shared", "room", "equipment"])
    )
    enabled, synced = draw(SAID), draw(SAID)
    name = "a.li_home.example#EXT#@d.x" if guest in ("by name", "by both") else "a.li@d.x"
    kind = "Guest" if guest in ("by type", "by both") else draw(st.sampled_from(["Member", None]))
    nobodys = bool(guest) or (purpose or "").lower() in ("shared", "room", "equipment")
    plain = not nobodys and enabled == "true" and admin != "true" and synced is None
    row = (*who, name, "Ann", "Li", enabled, admin, synced, kind, purpose)
    return Sort(target, row, nobodys=nobodys, plain=plain)


def matched(one: Sort, decided: bool) -> list[tuple[Any, ...]]:
    """(decision, doubt) of the employee whose number stands on the account."""
    account = (one.target, *one.row)
    if one.target != "own":
        sql = sql_kit.rendered(MODELS / f"staging/{one.target}/stg_{one.target}__accounts.sql")
        columns = MICROSOFT if one.target == "microsoft" else GOOGLE
        names = [column.partition(":")[0] for column in ACCOUNT.split()[1:]]
        (row,) = sql_kit.answer(
            f"select {', '.join(names)} from ({sql})", {"users": (columns, one.row)}
        )
        account = (one.target, *row)
    decision = (("staff", "E0101", one.target, "r1", "same", None, "", ""),) if decided else ()
    tables = {
        "stg_targets__accounts": (ACCOUNT, account),
        "reserved_names": ("account_name:varchar",),
        "targets": (
            "target:varchar matched_by:varchar",
            (one.target, "employee_id,user_name,email,name"),
        ),
        "person_records": (
            "person_id:varchar population:varchar source_key:varchar staff_id:varchar"
            " email:varchar school_number:varchar first_name:varchar last_name:varchar"
            " legal_first_name:varchar legal_last_name:varchar",
            ("p1", "staff", "E0101", "E0101", None, "07474001", "Ann", "Li", "Ann", "Li"),
        ),
        "lifecycle": ("person_id:varchar is_open:boolean reason:varchar", ("p1", True, None)),
        "name_policy": ("population:varchar domain:varchar", ("staff", "d.x")),
        "names_taken": (
            "target:varchar remote_id:varchar person_id:varchar address:varchar kind:varchar",
        ),
        "match_rules": (
            "rule position:integer population person_fact account_fact confidence"
            " least_similarity:double",
            ("employee_number", 1, "staff", "staff_id", "employee_id", "certain", 0.75),
        ),
        "identity_decisions": (
            "population:varchar source_key:varchar target:varchar account:varchar decision:varchar"
            " until:date why:varchar decided_by:varchar",
            *decision,
        ),
        "accounts": ("person_id:varchar account_name:varchar domain:varchar",),
        "run_context": ("as_of:date", ("2026-10-06",)),
    }
    with mock.patch.dict(os.environ, {"HOMEROOM_SEEDS": "{}"}), sql_kit.database(tables) as base:
        for name in ("orphan_accounts", "correlation_candidates", "account_matches"):
            base.execute(
                f'create table "{name}" as'
                f" {sql_kit.rendered(MODELS / 'identity/matching' / f'{name}.sql')}"
            )
        return base.execute("select decision, doubt from account_matches").fetchall()


GUEST = ("r1", None, "E0101", "a.li_home.example#EXT#@d.x", "Ann", "Li", "true", None, None)


@settings(max_examples=25)
@given(one=sorts(), decided=st.booleans())
@example(one=Sort("microsoft", (*GUEST, "Member", None), nobodys=True, plain=False), decided=True)
def test_only_a_member_is_adopted_and_every_other_sort_is_named(one: Sort, decided: bool) -> None:
    ((decision, doubt),) = matched(one, decided)
    if one.nobodys:  # nor does a person's word make it theirs
        assert (decision, bool(doubt)) == ("nobodys", True)
    elif one.plain or decided:
        assert (decision, doubt) == ("adopt", None)
    else:
        assert (decision, bool(doubt)) == ("wait", True)


# ---------------------------------------------------------------- targets by settings

SORTS = ("member", "Guest", "shared", "ROOM", "service", "", None)


@settings(max_examples=25)
@given(
    good=st.sets(st.sampled_from(["member", "guest", ""])),
    there=st.sampled_from([*SORTS, [], [{"value": "member"}], ["member", "room"], [b"Member"]]),
    closed=st.booleans(),
    key=st.sampled_from([None, "p1"]),
    adopts=st.booleans(),
)
def test_a_target_by_settings_adopts_what_is_open_nobodys_and_of_a_sort_that_is_said(
    good: set[str], there: Any, closed: bool, key: str | None, adopts: bool
) -> None:
    stands = {"sort": there, "active": not closed}
    switch = Column("is_open", field="active", role="switch", off_value=False)
    said = Adopts(adopts=adopts, adopts_only={"sort": sorted(good)})
    why = Holder("7", key, stands.get, switch).why_not(said)
    plain = {  # what a person reads there, in small letters
        "[]": {""},
        "[{'value': 'member'}]": {"member"},
        "['member', 'room']": {"member", "room"},
        "[b'Member']": {"member"},
    }.get(str(there), {str(there or "").lower()})
    ours = adopts and not closed and key is None and plain <= good
    assert (why is None) == ours
    assert ours or "it is 7" in str(why)


@pytest.mark.parametrize(
    ("remote_id", "key", "said"),
    [
        ("7", "p0fa0745bf0edbf7", "it is 7, which carries the key p0fa0745bf0edbf7"),
        ("7", "ann.li@home.example", "it is 7, which carries a key"),
        ("ann.li@d.example", None, "it is another object, which carries no key of ours"),
        ("Ann Li", "Ann\x1b[2J", "it is another object, which carries a key"),
        ("https://x/9?\n", "4", "it is another object, which carries the key 4"),
    ],
)
def test_who_has_a_name_is_never_named_by_what_tells_who_somebody_is(
    remote_id: str, key: str | None, said: str
) -> None:
    assert Holder(remote_id, key, {}.get).why_not(Adopts()) == said
