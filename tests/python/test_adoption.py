"""A district whose people have accounts already, in both tenants, with the faults of the years: one night adopts them."""

from __future__ import annotations

import pytest
from conftest import District

from demo import before

STUDENTS, SEED = 100, 5
KEYS = {"google": lambda user: user.get("customSchemas", {}).get("Homeroom", {}).get("person_id"),
        "microsoft": lambda user: user.get("onPremisesExtensionAttributes", {}).get("extensionAttribute15")}  # fmt: skip
NAMES = {"google": "primaryEmail", "microsoft": "userPrincipalName"}


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory) -> District:
    district = District(tmp_path_factory.mktemp("adopted") / "var")
    ended = district.run("demo", "run", "--students", str(STUDENTS), "--seed", str(SEED), "--accounts-before", "--nights", "1")
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    return district


@pytest.fixture(scope="module")
def told(adopted: District) -> dict[str, dict]:
    return before.told(adopted.var / "demo")


def cases(told: dict[str, dict], *wanted: str) -> set[str]:
    return {number for number, one in told.items() if before.CASES.get(one["case"], one["case"]) in wanted}


@pytest.mark.parametrize("target", ["google", "microsoft"])
def test_every_certain_match_is_stamped_and_keeps_its_address(adopted, told, target):
    keys = dict(
        adopted.ask("select coalesce(r.staff_id, p.source_key), p.person_id from identity.persons as p join identity.person_records as r using (person_id)")
    )
    held = {user[NAMES[target]]: KEYS[target](user) for user in adopted.state(target)["users"]}
    wanted = {told[number]["address"]: keys[number] for number in cases(told, "adopt") if target == "google" or told[number]["case"] != "google_only"}
    assert len(wanted) > 80
    assert {address: held.get(address) for address in wanted} == wanted


@pytest.mark.parametrize("target", ["google", "microsoft"])
def test_nobody_has_two_accounts_with_our_key_and_nobody_is_given_a_second_one(adopted, told, target):
    users = adopted.state(target)["users"]
    stamped = [KEYS[target](user) for user in users if KEYS[target](user)]
    assert len(stamped) == len(set(stamped))
    new = {
        key
        for (key,) in adopted.ask(
            "select key from ledger.audit.changes where target = ? and entity = 'users' and action = 'create' and status = 'applied'", target
        )
    }
    had = cases(told, "wait") | {n for n in cases(told, "adopt") if target == "google" or told[n]["case"] != "google_only"}
    numbers = dict(
        adopted.ask("select p.person_id, coalesce(r.staff_id, p.source_key) from identity.persons as p join identity.person_records as r using (person_id)")
    )
    assert {numbers[key] for key in new} & had == set()
    assert new, "who had no account at all is given one"


@pytest.mark.parametrize("target", ["google", "microsoft"])
def test_no_admin_no_leaver_and_no_doubtful_account_is_touched(adopted, told, target):
    users = {user[NAMES[target]]: user for user in adopted.state(target)["users"]}
    untouched = [told[number]["address"] for number in cases(told, "wait", "left") if told[number]["address"] in users]
    assert len(untouched) > 10
    assert [address for address in untouched if KEYS[target](users[address])] == []
    touched = {
        remote for (remote,) in adopted.ask("select remote_id from ledger.audit.changes where target = ? and entity = 'users' and status = 'applied'", target)
    }
    assert {users[address]["id"] for address in untouched} & touched == set()
    assert [user["id"] for user in users.values() if user.get("isAdmin") and KEYS[target](user)] == []


def test_every_doubtful_one_is_listed_with_the_reason(adopted, told):
    rows = adopted.ask("""select coalesce(r.staff_id, m.source_key), m.doubt from identity.account_matches as m
                          join identity.person_records as r using (person_id) where m.decision = 'wait'""")  # fmt: skip
    reasons: dict[str, set[str]] = {}
    for number, doubt in rows:
        reasons.setdefault(told[number]["case"] if number in told else number, set()).add(doubt)
    assert reasons.pop("admin") == {"the account is an administrator's"}
    assert reasons.pop("twice") == {"two accounts match the person"}
    assert reasons.pop("closed") == {"the account is closed"}
    assert reasons.pop("name_only") == {"no more than the name is the same"}
    assert reasons.pop("somebody_elses_number") == {"the names are not alike"}
    waiting = {number for number, _ in rows}
    assert waiting >= cases(told, "wait")
    found = adopted.ask("select message from audit.findings_tonight where kind = 'account_match_waits'")
    assert found and all("identity.account_matches" in message or "account" in message for (message,) in found)


def test_a_second_night_writes_nothing(adopted):
    before_it = len([one for one in adopted.requests() if one["method"] not in ("GET",)])
    ended = adopted.run("demo", "again")
    assert ended.returncode == 0, ended.stdout[-2000:]
    assert all(sum(row["planned"].values()) == 0 for row in adopted.summaries()[-1]["targets"])
    assert before_it
