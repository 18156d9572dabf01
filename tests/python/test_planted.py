"""Other people's accidents, together in one district: nobody gets another's account, nothing closed
by others is opened, who left is closed or critical, and every finding has an owner who can mend it.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, District
from planted_kit import Planted, before, is_open, key_of, plant

from demo import nights
from demo.district import date_of
from demo.platforms import running

TONIGHT = date_of(1)
ALONE = {"BACKUP__NIGHTLY": "false", "NIGHT__RETRY_AFTER_MINUTES": "false"}
# whoever can mend it, by hand: who enters records, who keeps accounts, who runs the extracts
OWNERS = {
    "contacts_unsaid": {"school office"},
    "closed_by_somebody_else": {"identity administrator"},
    "durable_key_twice": {"identity administrator"},
    "key_changed_hands": {"school office"},
    "key_renumbered": {"school office"},
    "key_shared": {"school office"},
    "key_unknown": {"identity administrator"},
    "name_damaged": {"school office"},
    "rows_rejected": {"whoever schedules the extract jobs in MyEducation BC"},
    "still_open": {"identity administrator"},
    "values_unreadable": {"whoever looks after the database of hr"},
}


def night(planted: Planted, *steps: tuple[str, ...]) -> None:
    """The night of the planted, or some of its steps."""
    district = planted.district
    with running(district.var / "demo") as platforms:
        given = platforms.environment | ALONE | {"HOMEROOM_AS_OF": TONIGHT.isoformat()}
        for step in steps or (("operations", "nightly"),):
            district.run(*step, **given)


def users(planted: Planted) -> dict[tuple[str, str], dict[str, Any]]:
    """Every account of both tenants, as the platforms hold them now."""
    return {
        (target, user["id"]): user
        for target in ("google", "microsoft")
        for user in planted.district.state(target)["users"]
    }


def numbers(planted: Planted) -> dict[str, str]:
    """Person -> number, of everybody tonight."""
    return planted.number_of | dict(
        planted.district.ask(
            "select p.person_id, coalesce(r.staff_id, p.source_key) from identity.persons as p"
            " join identity.person_records as r using (person_id)"
        )
    )


def planned(planted: Planted) -> list[dict[str, Any]]:
    """What tonight would write of accounts, with nothing that is held."""
    return [
        {**one, "new": json.loads(one["new"] or "{}")}
        for one in planted.district.rows(
            "select target, person_id, action, remote_id, new from audit.planned_changes"
            " where target in ('google', 'microsoft') and entity = 'users' and hold is null"
            " and run_id = (select run_id from audit.runs order by started_at desc limit 1)"
        )
    ]


def findings(planted: Planted) -> list[dict[str, Any]]:
    run = planted.district.var / "runs" / "latest" / "findings.jsonl"
    return [json.loads(line) for line in run.read_text(encoding="utf-8").splitlines()]


def catalogue() -> dict[str, dict[str, str]]:
    with (ROOT / "common" / "problems.csv").open(encoding="utf-8", newline="") as file:
        return {one["code"]: one for one in csv.DictReader(file)}


# --- the four promises ----------------------------------------------------------------------------


def nobody_gets_anothers(planted: Planted, after: dict[tuple[str, str], dict[str, Any]]) -> None:
    number_of = numbers(planted)
    stamped = {
        account: number_of[key]
        for account, user in after.items()
        if (key := key_of(account[0], user)) in number_of
    }
    for account, number in stamped.items():
        if account in planted.by_hand:  # what somebody wrote there is not of our doing
            continue
        assert planted.whose.get(account, number) == number, (account, number)
        assert account not in planted.nobodys, account
    # and nobody has a second one because theirs is not seen
    for target in ("google", "microsoft"):
        known = {number for account, number in planted.whose.items() if account[0] == target}
        new = [
            number
            for account, number in stamped.items()
            if account[0] == target and account not in planted.whose
        ]
        assert set(new) & (known | planted.unmade) == set()
        assert len(new) == len(set(new))
    for account, user in planted.were.items():
        if planted.whose.get(account) in planted.still:
            assert {**after[account], "etag": ""} == {**user, "etag": ""}, account


def nothing_is_opened(planted: Planted, after: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert [account for account in planted.closed if is_open(account[0], after[account])] == []


def who_left_is_closed_or_critical(
    planted: Planted, after: dict[tuple[str, str], dict[str, Any]]
) -> list[str]:
    number_of, level = numbers(planted), {code: one["level"] for code, one in catalogue().items()}
    critical = [
        json.dumps(one["values"]) + one["key"]
        for one in findings(planted)
        if level[one["code"]] == "critical"
    ]
    left = {number for number, day in planted.left.items() if day < TONIGHT} - held(planted)
    still = []
    for (target, _), user in after.items():
        person = key_of(target, user)
        if number_of.get(person or "") in left and is_open(target, user):
            still.append(number_of[person or ""])
            assert any(str(person) in said for said in critical), (target, still[-1])
    return still


def every_finding_has_who_can_mend_it(planted: Planted) -> None:
    known = catalogue()
    owners = {one["owner"] for one in known.values() if one["owner"]}
    owners |= {owner for some in OWNERS.values() for owner in some}
    told = findings(planted)
    assert [one["code"] for one in told if one["owner"] not in owners] == []
    for one in told:
        if one["code"] in OWNERS:
            assert {one["owner"]} <= OWNERS[one["code"]], one["code"]


def everything_planted_is_told(planted: Planted, *but: str) -> None:
    number_of, told = numbers(planted), {}
    for one in findings(planted):
        key = number_of.get(one["key"], one["key"])
        told.setdefault(one["code"], set()).add(key)
    for code, keys in planted.told.items():
        if code not in but:
            assert code in told, (code, sorted(told))
            assert keys <= told[code], (code, keys - told[code])


def nobody_barred_is_told(planted: Planted) -> None:
    assert planted.barred
    for table in ("callout__contacts", "portfolio__family", "transport__students"):
        rows = planted.district.rows(f"select * from exports.exp_{table}")
        assert rows
        for child, ways in planted.barred.items():
            said = json.dumps([one for one in rows if child in one.values()], default=str)
            assert [way for way in ways if way in said] == [], table


def who_has_two_positions_is_one_person_at_both(planted: Planted) -> None:
    """14: no row of human resources is lost, and nobody is made twice."""
    number, schools = planted.twice
    found = planted.district.ask(
        "select s.staff_key, lpad(a.school_number, 8, '0') from core.staff as s"
        " join core.staff_assignments as a using (staff_key) where s.staff_id = ?",
        number,
    )
    assert len({key for key, _ in found}) == 1
    assert {school for _, school in found} >= {school.zfill(8) for school in schools}


def held(planted: Planted) -> set[str]:
    """Whose account somebody said is not to be touched."""
    path = planted.district.root / "seeds" / "holds.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return {one["source_key"].lstrip("E") for one in csv.DictReader(file)}


# --- a short night, and long ones -----------------------------------------------------------------


@pytest.mark.slow
def test_what_befell_others_is_planned_safely(district: District) -> None:
    """The night of the planted up to where the first write would be."""
    planted = before(district)
    plant(planted)
    steps = ["ingestion"], ["reverse_etl", "observe"], ["operations", "build"]
    night(planted, *map(tuple, steps), ("reverse_etl", "plan"), ("operations", "report"))
    after, made = users(planted), 0
    for change in planned(planted):
        account = (change["target"], change["remote_id"])
        key = {"google": "customSchemas", "microsoft": "onPremisesExtensionAttributes"}
        if change["action"] == "create":
            made += 1
            account = (change["target"], f"new {made}")
            after[account] = {"id": account[1]}
        if change["action"] in ("create", "adopt"):
            stamp = {"Homeroom": {"person_id": change["person_id"]}}
            if change["target"] == "microsoft":
                stamp = {"extensionAttribute15": change["person_id"]}
            after[account] = after[account] | {key[change["target"]]: stamp}
        said = {
            name: change["new"][column]
            for name, column in (("suspended", "suspended"), ("accountEnabled", "account_enabled"))
            if column in change["new"]
        }
        after[account] = {"suspended": False, "accountEnabled": True, **after[account], **said}
        assert numbers(planted).get(change["person_id"]) not in planted.still, change
    nobody_gets_anothers(planted, after)
    nothing_is_opened(planted, after)
    who_left_is_closed_or_critical(planted, after)
    every_finding_has_who_can_mend_it(planted)
    everything_planted_is_told(planted, "still_open")  # which only a push finds
    nobody_barred_is_told(planted)
    who_has_two_positions_is_one_person_at_both(planted)


@pytest.mark.long
def test_what_befell_others_befalls_nobody_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """150 people whose accounts are adopted on a first night, the night of the planted, and one
    more.
    """
    district, (students, seed) = District(tmp_path / "var"), (80, 15)
    size = ("--students", str(students), "--seed", str(seed))
    district.run("demo", "run", *size, "--accounts-before", "--nights", "1")
    monkeypatch.setenv("HOMEROOM_VAR", str(district.var))
    nights.District(students, seed, 1).write()
    planted = before(district)
    plant(planted)
    for _ in range(2):
        night(planted)
        after = users(planted)
        nobody_gets_anothers(planted, after)
        nothing_is_opened(planted, after)
        assert planted.by_hand_alone in who_left_is_closed_or_critical(planted, after)
        every_finding_has_who_can_mend_it(planted)
        everything_planted_is_told(planted)
        nobody_barred_is_told(planted)
        who_has_two_positions_is_one_person_at_both(planted)
        planted.were = {**after, **{account: planted.were[account] for account in planted.closed}}
