"""After two nights the platforms and the vendors' files hold what the generator says they should:
for every person, both ways.

What should stand where comes from `demo/expected.py`, which knows the people and the rules and
reads nothing of the warehouse: an export that is wrong disagrees with it, though the platforms
agree with the export.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping

import pytest
from conftest import LIVED, District

from demo import cases, past
from demo.expected import Expected, Person, same
from demo.places import Places


@pytest.fixture(scope="module")
def expected() -> Expected:
    students, seed = LIVED
    return Expected(students, seed, lived_in=True, seeds=cases.seed_rows(students, seed))


@pytest.fixture(scope="module")
def by_number(expected: Expected) -> dict[str, Person]:
    """Whoever a vendor's file names, by student or employee number."""
    return {person.source_key.removeprefix("E"): person for person in expected.people.values()}


def told(person: Person | None) -> str:
    return (
        f"{person.kind} ({person.source_key})" if person else "somebody the district does not know"
    )


def unlike(found: Mapping, wanted: Mapping, who: Mapping[str, Person]) -> list[str]:
    """One sentence per person or thing that stands there and should not, should and does not, or is
    not as it should be.
    """
    sentences = []
    for key in sorted(found.keys() | wanted.keys(), key=str):
        name = told(who.get(key if isinstance(key, str) else key[0]))
        if key not in wanted:
            sentences.append(f"{name}: is there and should not be: {found[key]}")
        elif key not in found:
            sentences.append(f"{name}: is not there and should be: {wanted[key]}")
        elif found[key] != wanted[key]:
            sentences.append(f"{name}: {found[key]} is there, {wanted[key]} should be")
    return sentences


def rows_unlike(
    found: Iterable[tuple], wanted: Iterable[tuple], who: Mapping[str, Person], number: int
) -> list[str]:
    """The same for rows; `number` is the column of the student or employee number."""
    there, should = Counter(found), Counter(wanted)
    return [
        f"{told(who.get(row[number]))}: is there and should not be: {row}"
        for row in (there - should).elements()
    ] + [
        f"{told(who.get(row[number]))}: is not there and should be: {row}"
        for row in (should - there).elements()
    ]


def key_on(target: str, user: dict) -> str:
    """Our key on an account, or nothing."""
    if target == "google":
        return user.get("customSchemas", {}).get("Homeroom", {}).get("person_id", "")
    return (user.get("onPremisesExtensionAttributes") or {}).get("extensionAttribute15", "")


def ours(district: District, target: str) -> dict[str, dict]:
    """Person -> account; nobody has two."""
    users = [(key_on(target, user), user) for user in district.state(target)["users"]]
    assert [
        key for key, times in Counter(key for key, _ in users if key).items() if times > 1
    ] == []
    return {key: user for key, user in users if key}


def test_everybody_has_the_google_account_they_should_have_and_nobody_else(two_nights, expected):
    found = {
        key: (
            same(user["name"]["givenName"]),
            same(user["name"]["familyName"]),
            same(user["orgUnitPath"]),
            user["suspended"],
            user["archived"],
        )
        for key, user in ours(two_nights, "google").items()
    }
    wanted = {
        key: (
            same(one.given) or "-",
            same(one.family),
            same(one.unit),
            not one.is_open,
            one.is_archived,
        )
        for key, one in expected.accounts("google").items()
    }
    assert unlike(found, wanted, expected.people) == []


def test_everybody_has_the_microsoft_account_they_should_have_and_nobody_else(two_nights, expected):
    found = {
        key: (
            *(
                same(user.get(name))
                for name in (
                    "givenName",
                    "surname",
                    "displayName",
                    "department",
                    "jobTitle",
                    "usageLocation",
                )
            ),
            user["accountEnabled"],
        )
        for key, user in ours(two_nights, "microsoft").items()
    }
    wanted = {
        key: (
            same(one.given),
            same(one.family),
            same(f"{one.given} {one.family}".strip()),
            same(one.school),
            same(one.position),
            "CA",
            one.is_open,
        )
        for key, one in expected.accounts("microsoft").items()
    }
    assert unlike(found, wanted, expected.people) == []


@pytest.mark.parametrize("target", ["google", "microsoft"])
def test_addresses_are_made_of_the_names_unique_and_the_same_everywhere(
    two_nights, expected, target
):
    addresses = {
        key: user["primaryEmail"] if target == "google" else user["userPrincipalName"]
        for key, user in ours(two_nights, target).items()
    }
    assert [
        address
        for address, times in Counter(map(str.lower, addresses.values())).items()
        if times > 1
    ] == []
    wrong = {
        told(expected.people[key]): (addresses[key], one.local, one.domain)
        for key, one in expected.accounts(target).items()
        if not re.fullmatch(f"{one.local}@{re.escape(one.domain)}", addresses[key])
    }
    assert wrong == {}
    elsewhere = {key: user["primaryEmail"] for key, user in ours(two_nights, "google").items()}
    assert {
        told(expected.people[key])
        for key, address in addresses.items()
        if address != elsewhere[key]
    } == set()


def test_who_is_renamed_is_reached_at_the_old_address_too_and_nobody_else_has_a_second_one(
    two_nights, expected
):
    google, microsoft = ours(two_nights, "google"), ours(two_nights, "microsoft")
    wanted = expected.aliases()
    assert {person.case for key, person in expected.people.items() if key in wanted} >= {
        "staff_renamed_today"
    }
    wrong = []
    for key, user in google.items():
        old = [address for address in user["aliases"] if address != user["primaryEmail"]]
        also = (
            [
                address.partition(":")[2]
                for address in microsoft[key]["proxyAddresses"]
                if address.startswith("smtp:")
            ]
            if key in microsoft
            else old
        )
        patterns = wanted.get(key, [])
        if (
            len(old) != len(patterns)
            or sorted(old) != sorted(also)
            or not all(
                re.fullmatch(f"{one}@.+", there) for one, there in zip(patterns, old, strict=True)
            )
        ):
            wrong.append(
                f"{told(expected.people[key])}: {old} in Google, {also} in Microsoft, made of"
                f" {patterns}"
            )
    assert wrong == []


@pytest.mark.parametrize("target", ["google", "microsoft"])
def test_every_group_has_the_members_it_should_have_and_teachers_own_homerooms(
    two_nights, expected, target
):
    state = two_nights.state(target)
    if target == "google":
        names = {
            group["email"]: same(group["name"])
            for group in state["groups"]
            if group.get("externalIds")
        }
        people = {user["primaryEmail"]: key for key, user in ours(two_nights, target).items()}
    else:
        names = {
            group["id"]: same(group["displayName"])
            for group in state["groups"]
            if group.get("uniqueName")
        }
        people = {user["id"]: key for key, user in ours(two_nights, target).items()}
    assert sorted(names.values()) == sorted(map(same, expected.groups))
    found = {
        (people.get(one["member"], one["member"]), names[one["group"]]): one["role"]
        for one in state["members"]
        if one["group"] in names
    }
    wanted = {(person, same(group)): role for group, person, role in expected.members(target)}
    assert unlike(found, wanted, expected.people) == []


def test_everybody_holds_the_licence_they_should_hold_and_no_other(two_nights, expected):
    products = {
        sku["skuId"]: sku["skuPartNumber"] for sku in two_nights.state("microsoft")["subscriptions"]
    }
    found = {
        (key, products[one["skuId"]]): "held"
        for key, user in ours(two_nights, "microsoft").items()
        for one in user.get("assignedLicenses", [])
    }
    assert unlike(found, dict.fromkeys(expected.licences(), "held"), expected.people) == []


@pytest.mark.parametrize("target", ["google", "microsoft"])
def test_accounts_that_are_not_ours_are_as_they_were(two_nights, expected, target, tmp_path):
    """Whatever stood there before without our key: administrators', guests', those of an
    on-premises directory, strangers'.
    """
    places = Places.within(tmp_path / "demo")
    past.fill(places, *LIVED, lived_in=False)
    before = {user["id"]: user for user in District(tmp_path).state(target)["users"]}
    now = {user["id"]: user for user in two_nights.state(target)["users"] if user["id"] in before}
    adopted = [
        key
        for key, person in expected.people.items()
        if target == "google" and person.case == "staff_half_synced"
    ]
    assert [key_on(target, user) for user in now.values() if key_on(target, user)] == adopted
    touched = [
        user
        for user in before.values()
        if not key_on(target, now[user["id"]]) and _facts(user) != _facts(now[user["id"]])
    ]
    assert touched == []


def _facts(user: dict) -> dict:
    return {name: value for name, value in user.items() if name != "etag"}


# --- vendors' files -------------------------------------------------------------------------------


def portfolio(district: District, name: str) -> list[dict[str, str]]:
    newest = sorted((district.var / "demo" / "received" / "portfolio").glob("*.zip"))[-1]
    with zipfile.ZipFile(newest) as archive:
        return records(archive.read(name), ",")


def received(district: District, path: str, delimiter: str = ",") -> list[dict[str, str]]:
    return records((district.var / "demo" / "received" / path).read_bytes(), delimiter)


def records(content: bytes, delimiter: str) -> list[dict[str, str]]:
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    rows = list(
        csv.DictReader(
            io.StringIO(content.decode("utf-8-sig"), newline=""),
            delimiter=delimiter,
            quoting=quoting,
        )
    )
    return [{name: same(text) for name, text in row.items()} for row in rows]


def normal(rows: Iterable[tuple]) -> list[tuple]:
    return [tuple(map(same, row)) for row in rows]


def test_the_portfolio_is_told_of_the_students_it_should_know_legal_names_as_legal(
    two_nights, expected, by_number
):
    columns = (
        "First Name",
        "Last Name",
        "Date of Birth",
        "Grade",
        "EnrollStatus",
        "SchoolCode",
        "Homeroom",
        "PreRegSchoolCode",
        "Preferred First Name",
        "Preferred Last Name",
    )
    rows = portfolio(two_nights, "Students.csv")
    assert [row["User ID"] for row in rows if row["User ID"] != row["Student Number"]] == []
    found = {row["User ID"]: tuple(row[name] for name in columns) for row in rows}
    assert len(found) == len(rows)
    assert (
        unlike(
            found,
            {
                number: tuple(map(same, row))
                for number, row in expected.portfolio_students().items()
            },
            by_number,
        )
        == []
    )
    google = {
        expected.people[key].source_key: user["primaryEmail"]
        for key, user in ours(two_nights, "google").items()
    }
    assert [
        told(by_number[row["User ID"]])
        for row in rows
        if row["Email Address"] != google[row["User ID"]]
    ] == []


def test_the_portfolio_is_told_who_teaches_and_who_administers(two_nights, expected, by_number):
    rows = portfolio(two_nights, "Staff.csv")
    found = {
        row["User ID"]: tuple(
            row[name] for name in ("First Name", "Last Name", "Role", "School ID")
        )
        for row in rows
    }
    assert (
        unlike(
            found,
            {number: tuple(map(same, row)) for number, row in expected.portfolio_staff().items()},
            by_number,
        )
        == []
    )
    google = {
        expected.people[key].source_key: user["primaryEmail"]
        for key, user in ours(two_nights, "google").items()
    }
    assert [
        told(by_number[row["User ID"]])
        for row in rows
        if row["Email"] != google[f"E{row['User ID']}"]
    ] == []


def test_only_guardians_are_invited_into_a_childs_portfolio(two_nights, expected, by_number):
    found = [tuple(row.values()) for row in portfolio(two_nights, "Family.csv")]
    assert rows_unlike(found, normal(expected.portfolio_family()), by_number, 3) == []


def test_the_portfolio_has_the_classes_that_are_attended_and_who_is_in_them(
    two_nights, expected, by_number
):
    described, enrolled, by_name = expected.classes()
    classes = [tuple(row.values()) for row in portfolio(two_nights, "Classes.csv")]
    assert (
        rows_unlike(classes, normal((key, *row) for key, row in described.items()), by_number, 0)
        == []
    )
    found = [tuple(row.values())[:3] for row in portfolio(two_nights, "Enrollments.csv")]
    assert rows_unlike([row for row in found if row not in by_name], enrolled, by_number, 1) == []


def test_only_guardians_who_may_be_called_are_called(two_nights, expected, by_number):
    found = [tuple(row.values()) for row in received(two_nights, "callout/contacts.csv")]
    assert rows_unlike(found, normal(expected.callout_contacts()), by_number, 1) == []


def test_only_todays_unexplained_absences_are_called_about(two_nights, expected, by_number):
    found = [tuple(row.values()) for row in received(two_nights, "callout/absences.csv")]
    assert rows_unlike(found, normal(expected.callout_absences()), by_number, 1) == []
    assert found


def test_the_bus_planner_has_who_rides_and_the_guardians_a_child_is_handed_to(
    two_nights, expected, by_number
):
    found = [
        tuple(row.values()) for row in received(two_nights, "transport/homeroom_students.txt", "\t")
    ]
    assert rows_unlike(found, normal(expected.transport_students()), by_number, 0) == []


# --- every kind is there --------------------------------------------------------------------------


def test_the_district_has_every_kind_of_person_and_the_files_of_each_are_worth_comparing(expected):
    """Without this the comparisons above could be empty of what they are for."""
    states = Counter(
        (person.population, person.state)
        for person in expected.people.values()
        if person.has_account
    )
    assert {state for _, state in states} >= {
        "preregistered",
        "active",
        "leave",
        "grace",
        "suspended",
        "archived",
        "delete_eligible",
        "returned",
    }
    assert {person.case for person in expected.people.values()} >= (
        cases.STUDENTS.keys() | cases.STAFF.keys()
    ) - {"school_never_said"}
    assert {person.case for person in expected.people.values() if person.waits} >= {
        "staff_synced",
        "staff_admin",
        "name_of_an_account",
    }
    contacts = [
        contact
        for person in expected._students()
        for contact in person.one.family.contacts
        if contact.guardian
    ]
    assert sum(not contact.has_authority for contact in contacts) == 3
    roles = Counter(role for _, _, role in expected.members("google"))
    assert 5 < roles["OWNER"] < roles["MEMBER"] / 20
