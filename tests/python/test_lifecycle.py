"""The lifecycle as a machine: walked exhaustively through the SQL that ran last night, and through
a year of nights.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from conftest import ROOT, District
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from year_kit import Expected, seed_days

from common import store
from operations.compiled_models import Models

TONIGHT = date(2027, 3, 1)
SEASONS = (date(2027, 7, 15), date(2027, 9, 15), date(2027, 9, 29))  # of the shipped rules
RECORDS = ("active", "preregistered", "leave", "left")


def seed(name: str) -> list[dict[str, str]]:
    with (ROOT / "seeds" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def manifest(two_nights: District) -> dict[str, Any]:
    return json.loads(
        (two_nights.var / "runs" / "latest" / "dbt" / "manifest.json").read_text(encoding="utf-8")
    )


def compiled_test(district: District, name: str) -> str:
    """A dbt test as SQL, from the last night that ran it: what rests on seeds alone is not built
    every night.
    """
    for run in sorted((district.var / "runs").glob("2*/dbt/manifest.json"), reverse=True):
        for node in json.loads(run.read_text(encoding="utf-8"))["nodes"].values():
            if node["name"] == name and node.get("compiled_code"):
                return node["compiled_code"]
    raise AssertionError(f"no night has run {name}")


class Machine:
    """`lifecycle_events` as the last night compiled it, over tables made by hand: one call is one
    night for many people.
    """

    def __init__(self, manifest: dict[str, Any]) -> None:
        self.sql = next(
            node["compiled_code"]
            for node in manifest["nodes"].values()
            if node["name"] == "lifecycle_events"
        )
        self.connection = duckdb.connect()
        self.connection.execute(
            """
            attach ':memory:' as warehouse; attach ':memory:' as ledger;
            create schema warehouse.identity; create schema warehouse.seeds; create schema
            warehouse.raw_homeroom; create schema ledger.identity;
            create table warehouse.identity.presence (person_id text, population text,
            source_key text, state text, reason text, reason_values text, grade_code text);
            create table warehouse.seeds.lifecycle_rules (population text, from_state text,
            record text, grade_code text, reason text, days int, first_day text, last_day text,
            spread_days int, to_state text, rule text, is_on bool);
            create table warehouse.seeds.school_calendar (population text, starts_on date,
            ends_on date, timers text);
            create table warehouse.seeds.holds (population text, source_key text, expires_on date);
            create table warehouse.seeds.leaves (population text, source_key text, starts_on date,
            ends_on date);
            create table warehouse.identity.person_keys (population text, source_key text,
            other_key text); create schema warehouse.core;
            create table warehouse.core.doubted_records (population text, held_key text);
            create table warehouse.raw_homeroom.run_context (run_id text, as_of date);
            create table ledger.identity.lifecycle_events (person_id text, event_number int,
            state text, reason text, since date, record text, reason_values text)"""
        )

    def rules(self, rows: list[dict[str, str]]) -> None:
        self.connection.execute("delete from warehouse.seeds.lifecycle_rules")
        self.connection.executemany(
            "insert into warehouse.seeds.lifecycle_rules values"
            " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                [
                    r["population"],
                    r["from_state"],
                    r["record"],
                    r.get("grade_code") or None,
                    r.get("reason") or None,
                    int(r["days"]),
                    r.get("first_day") or None,
                    r.get("last_day") or None,
                    int(r.get("spread_days") or 0),
                    r["to_state"],
                    r["rule"],
                    r["is_on"] == "true",
                ]
                for r in rows
            ],
        )

    def calendar(self, spans: list[tuple[str, date, date, str]]) -> None:
        self.connection.execute("delete from warehouse.seeds.school_calendar")
        if spans:
            self.connection.executemany(
                "insert into warehouse.seeds.school_calendar values (?, ?, ?, ?)", spans
            )

    def night(self, people: list[Person], tonight: date = TONIGHT) -> dict[Person, str]:
        """The state each of them comes into; who has no event, or one without a step, stays."""
        rows = [(str(number), one) for number, one in enumerate(people)]
        fill = {
            "warehouse.raw_homeroom.run_context": [("r", tonight)],
            "warehouse.identity.presence": [
                (
                    i,
                    p.population,
                    i,
                    "active" if p.record == "leave" else p.record,
                    "as it says",
                    None,
                    p.grade,
                )
                for i, p in rows
            ],
            "warehouse.seeds.leaves": [
                (p.population, i, tonight, None) for i, p in rows if p.record == "leave"
            ],
            "warehouse.seeds.holds": [(p.population, i, None) for i, p in rows if p.held],
            "ledger.identity.lifecycle_events": [
                (i, 1, p.state, "before", tonight - timedelta(days=p.days), "x", None)
                for i, p in rows
                if p.state != "new"
            ],
        }
        for table, values in fill.items():
            self.connection.execute(f"delete from {table}")
            if values:
                columns = pa.table(
                    {f"c{at}": [row[at] for row in values] for at in range(len(values[0]))}
                )
                self.connection.register("filling", columns)
                self.connection.execute(f"insert into {table} select * from filling")
                self.connection.unregister("filling")
        self.connection.execute("use warehouse")
        found = {
            people[int(i)]: state
            for i, state in self.connection.execute(
                f"select person_id, state from ({self.sql})"
            ).fetchall()
        }
        return {one: found.get(one, one.state) for one in people} | {
            one: "held" for one in people if one.held and one not in found
        }


@dataclass(frozen=True)
class Person:
    population: str
    state: str
    days: int
    record: str
    held: bool = False
    grade: str | None = None


@pytest.fixture(scope="module")
def machine(manifest: dict[str, Any]) -> Iterator[Machine]:
    one = Machine(manifest)
    yield one
    one.connection.close()


Node = tuple[str, str, int]  # population, state, days in it


def ways(machine: Machine, rules: list[dict[str, str]]) -> dict[Node, set[Node]]:
    """Every step of one night: from each state, after each number of days that can matter, whatever
    the record says, the grade is, and the time of the year.
    """
    machine.rules(rules)
    machine.calendar([])
    longest = max(int(rule["days"]) for rule in rules) + 1
    states = sorted({rule["from_state"] for rule in rules} | {rule["to_state"] for rule in rules})
    populations = sorted({rule["population"] for rule in rules})
    people = [
        Person(population, state, days, record, grade=grade)
        for population in populations
        for state in states
        for days in (range(1, longest + 1) if state != "new" else (0,))
        for record in RECORDS
        for grade in {None, *(rule.get("grade_code") or None for rule in rules)}
    ]
    steps: dict[Node, set[Node]] = {}
    for tonight in (TONIGHT, *SEASONS):
        for one, after in machine.night(people, tonight).items():
            stays = after == one.state
            steps.setdefault((one.population, one.state, one.days), set()).add(
                (one.population, after, min(one.days + 1, longest) if stays else 1)
            )
    return steps


def reached(steps: dict[Node, set[Node]], starts: set[Node]) -> dict[Node, int]:
    """Every node that can be reached, and in how many nights at the least."""
    nights, frontier, night = dict.fromkeys(starts, 0), starts, 0
    while frontier:
        night += 1
        frontier = {
            after for node in frontier for after in steps.get(node, ()) if after not in nights
        }
        nights |= dict.fromkeys(frontier, night)
    return nights


def fewest_nights(
    steps: dict[Node, set[Node]], population: str, before: str, after: str
) -> int | None:
    alive = {node for node in reached(steps, {(population, "new", 0)}) if node[1] == before}
    return min(
        (nights for (_, state, _), nights in reached(steps, alive).items() if state == after),
        default=None,
    )


def switched_on(rules: list[dict[str, str]]) -> list[dict[str, str]]:
    return [rule | {"is_on": "true"} for rule in rules]


def test_no_way_through_the_machine_is_shorter_than_promised(machine):
    steps = ways(machine, switched_on(seed("lifecycle_rules")))
    for promise in seed("lifecycle_promises"):
        found = fewest_nights(
            steps, promise["population"], promise["from_state"], promise["to_state"]
        )
        assert found is not None, promise
        assert found >= int(promise["days"]), promise
    assert fewest_nights(steps, "student", "active", "deleted") == 1 + 14 + 90 + 270 + 30
    assert fewest_nights(steps, "staff", "active", "deleted") == 1 + 90 + 270 + 30


def test_every_state_is_reached_and_left_again_but_nobody_is_deleted_unless_a_district_says_so(
    machine,
):
    shipped, everything = (
        seed("lifecycle_rules"),
        {row["state"] for row in seed("lifecycle_states")},
    )
    steps = ways(machine, switched_on(shipped))
    for population in ("student", "staff"):
        states = {state for _, state, _ in reached(steps, {(population, "new", 0)})} - {"new"}
        # who leaves staff has no grace
        assert states == everything - (set() if population == "student" else {"grace", "leaving"})
        for state in states:
            assert fewest_nights(steps, population, state, "active") is not None, (
                f"nobody comes back from {state}"
            )
    steps = ways(machine, shipped)
    assert "deleted" not in {
        state
        for start in ("student", "staff")
        for _, state, _ in reached(steps, {(start, "new", 0)})
    }


def test_a_held_person_never_changes(machine):
    machine.rules(switched_on(seed("lifecycle_rules")))
    machine.calendar([])
    states = [*sorted({row["state"] for row in seed("lifecycle_states")}), "new"]
    people = [
        Person(who, state, days, record, held=True)
        for who in ("student", "staff")
        for state in states
        for days in (1, 14, 90, 270, 999)
        for record in RECORDS
    ]
    assert set(machine.night(people).values()) == {"held"}
    free = [Person(one.population, one.state, one.days, one.record) for one in people]
    assert sum(after != one.state for one, after in machine.night(free).items()) > 100, (
        "without the hold they would have changed"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"from_state": "archived", "record": "left", "days": "10"},
        {"from_state": "active", "record": "left", "to_state": "archived"},
        {"from_state": "leave", "record": "left", "to_state": "delete_eligible"},
    ],
)
def test_a_rule_that_breaks_a_promise_is_found_by_the_walk_and_refused_by_the_build(
    machine, two_nights, change
):
    rules = [
        rule
        | (
            change
            if (rule["from_state"], rule["record"]) == (change["from_state"], change["record"])
            else {}
        )
        for rule in seed("lifecycle_rules")
    ]
    promised = {
        (p["population"], p["from_state"], p["to_state"]): int(p["days"])
        for p in seed("lifecycle_promises")
    }
    steps = ways(machine, switched_on(rules))
    assert any((fewest_nights(steps, *way) or days) < days for way, days in promised.items())
    test = compiled_test(two_nights, "lifecycle__no_way_is_shorter_than_promised")
    machine.connection.execute(
        "create or replace table warehouse.seeds.lifecycle_promises (population text, from_state"
        " text, to_state text, days int)"
    )
    machine.connection.executemany(
        "insert into warehouse.seeds.lifecycle_promises values (?, ?, ?, ?)",
        [[*way, days] for way, days in promised.items()],
    )
    machine.rules(rules)
    assert machine.connection.execute(test).fetchall()
    machine.rules(seed("lifecycle_rules"))
    assert machine.connection.execute(test).fetchall() == []


DAYS = st.integers(0, 420)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(spans=st.lists(st.tuples(DAYS, st.integers(0, 90)), max_size=4), since=DAYS)
def test_a_timer_counts_every_day_but_those_the_calendar_has_stand(machine, spans, since):
    tonight = date(2027, 6, 1)
    began = tonight - timedelta(days=since)
    standing, calendar = set(), []
    for ago, length in sorted(spans):
        days = {tonight - timedelta(days=ago) + timedelta(days=n) for n in range(length + 1)}
        if not days & standing:  # spans of one population do not overlap
            standing |= days
            calendar.append(("student", min(days), max(days), "stand"))
    counted = sum(began + timedelta(days=n) not in standing for n in range(1, since + 1))
    rule = {
        "population": "student",
        "from_state": "grace",
        "record": "left",
        "to_state": "suspended",
        "rule": "over",
        "is_on": "true",
    }
    machine.calendar(calendar)
    one = Person("student", "grace", since, "left")
    machine.rules([rule | {"days": str(counted)}])
    assert machine.night([one], tonight)[one] == "suspended"
    machine.rules([rule | {"days": str(counted + 1)}])
    assert machine.night([one], tonight)[one] == "grace"


def test_the_calendar_of_a_population_has_no_day_twice_and_no_gap():
    for population in ("student", "staff"):
        spans = sorted(
            (row["starts_on"], row["ends_on"])
            for row in seed("school_calendar")
            if row["population"] == population
        )
        for (_, before), (after, _) in itertools.pairwise(spans):
            assert date.fromisoformat(after) == date.fromisoformat(before) + timedelta(days=1)


# ---------------------------------------------------------------- a year of nights

NIGHTS = [
    date.fromisoformat(day)
    for day in (
        "2026-10-07",
        "2026-11-02",
        "2026-11-10",
        "2026-11-16",
        "2027-01-11",
        "2027-02-01",
        "2027-06-15",
        "2027-06-29",
        "2027-07-02",
        "2027-08-16",
        "2027-09-07",
        "2027-10-14",
        "2027-11-04",
    )
]
SUMMER = (date(2027, 7, 1), date(2027, 9, 6))
EXPORTS = (
    "exp_google__users",
    "exp_google__members",
    "exp_microsoft__users",
    "exp_microsoft__members",
)
HELD_UNTIL = date(2027, 5, 31)
# what the record of each of these says, and from which night on
STORIES = {
    "moves within the district": [("2026-11-02", "Inactive"), ("2026-11-10", "Active")],
    "moves away": [("2026-11-02", "Inactive")],
    "comes back from elsewhere": [("2026-11-02", "Inactive"), ("2027-01-11", "Active")],
    "leaves in June and comes back in September": [
        ("2027-06-29", "Inactive"),
        ("2027-09-07", "Active"),
    ],
    "leaves in June": [("2027-06-29", "Inactive")],
    "is under a legal hold": [("2026-11-02", "Inactive")],
    "begins in September": [("2026-10-07", "PreReg"), ("2027-09-07", "Active")],
}


class Year:
    """The district's own tables, its records changed night by night, its models run as the last
    build compiled them.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, models: Models) -> None:
        self.connection, self.models = connection, models
        self.names = models.up_to(*EXPORTS)
        listed = connection.execute(
            """
            select student_number, person_id, grade_code
            from core.students join ledger.identity.persons on source_key = student_number
            and population = 'student'
            join identity.lifecycle using (person_id)
            where lifecycle.record = 'active' and is_in_feed and school_number is not null
            and homeroom is not null
                and student_number not in (select student_number from core.enrolments group by all
                having count(*) > 1)
            order by 1"""
        ).fetchall()
        # whose match with an account already there waits for a decision has none, whatever the
        # lifecycle says
        with_account = self.open_accounts("google").keys() & self.open_accounts("microsoft").keys()
        listed = [row for row in listed if row[1] in with_account]
        self.people = {number: person for number, person, _ in listed}
        self.graduates = {number for number, _, grade in listed if grade == "12"}
        others = [number for number in self.people if number not in self.graduates]
        self.cast = dict(zip(STORIES, others[:: len(others) // len(STORIES)], strict=False))

    def says(self, number: str, tonight: date) -> str:
        """The status in a student's record on a night."""
        if number in self.graduates:
            return "Inactive" if tonight >= SUMMER[0] else "Active"
        story = next((STORIES[role] for role, one in self.cast.items() if one == number), [])
        return next(
            (status for since, status in reversed(story) if date.fromisoformat(since) <= tonight),
            "Active",
        )

    def night(self, tonight: date) -> None:
        """Change the records as they stand tonight and run the models."""
        summer = SUMMER[0] <= tonight <= SUMMER[1]
        self.connection.execute(
            "update raw_homeroom.run_context set as_of = ?, data_as_of = ?, run_id = ?",
            [tonight, tonight, f"{tonight}"],
        )
        status = pa.table(
            {
                "number": list(self.people),
                "status": [self.says(number, tonight) for number in self.people],
            }
        )
        self.connection.register("says", status)
        self.connection.execute(
            """update raw_myedbc.student_demographic_enhanced as feed set enrolment_status =
            says.status from says
            where feed.student_number = says.number"""
        )
        self.connection.unregister("says")
        for feed in ("student_demographic_enhanced", "student_demographic_information"):
            kept = f"kept_{feed}"
            self.connection.execute(
                f"create temp table if not exists {kept} as select student_number, school_number,"
                f" homeroom, teacher_id from raw_myedbc.{feed}"
            )
            self.connection.execute(
                f"""update raw_myedbc.{feed} as feed set homeroom = case when {not summer}
                then kept.homeroom end,
                teacher_id = case when {not summer} then kept.teacher_id end
                from {kept} as kept where kept.student_number = feed.student_number
                and kept.school_number = feed.school_number"""
            )
        self.models.run(self.connection, self.names)

    def open_accounts(self, target: str) -> dict[str, bool]:
        flag = "not suspended" if target == "google" else "account_enabled"
        return dict(
            self.connection.execute(
                f"select person_id, {flag} from exports.exp_{target}__users"
            ).fetchall()
        )

    def groups(self, target: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for person, group in self.connection.execute(
            f"select person_id, group_id from exports.exp_{target}__members"
        ).fetchall():
            found.setdefault(person, set()).add(group)
        return found


@pytest.mark.slow
def test_in_twelve_nights_of_a_year_nobody_is_cut_off_and_nobody_stays_past_their_days(
    district, manifest, monkeypatch
):
    monkeypatch.setenv("HOMEROOM_VAR", str(district.var))
    days = seed_days()
    expected, groups = Expected(), {}
    with store.connect() as connection:
        year = Year(connection, Models(manifest))
        held = year.cast["is under a legal hold"]
        connection.execute(
            "insert into seeds.holds values ('student', ?, 'legal hold', 'file 7',"
            " 'superintendent', '2026-10-07', ?)",
            [held, HELD_UNTIL],
        )
        for tonight in NIGHTS:
            year.night(tonight)
            enrolled = {
                number: (
                    year.says(number, tonight) != "Inactive"
                    or (number == held and tonight <= HELD_UNTIL)
                )
                for number in year.people
            }
            wanted = expected.students(enrolled.items(), tonight, days, year.graduates)
            for target in ("google", "microsoft"):
                there = year.open_accounts(target)
                wrong = {
                    number: must
                    for number, must in wanted.items()
                    if there.get(year.people[number]) != must
                }
                assert wrong == {}, (
                    f"{tonight}: {target}:"
                    f" {[role for role, number in year.cast.items() if number in wrong]}"
                )
                groups[target, tonight] = year.groups(target)
                lost = {
                    number
                    for number, must in wanted.items()
                    if not must and groups[target, tonight].get(year.people[number])
                }
                assert lost == set(), f"{tonight}: {target}: closed, and still in groups"
    member = {role: year.people[number] for role, number in year.cast.items()}
    for target in ("google", "microsoft"):
        spring, before, july, august = (
            groups[target, date(2027, *day)] for day in ((6, 15), (6, 29), (7, 2), (8, 16))
        )
        gone = {year.people[number] for number in year.graduates}
        before, july, august = (
            {person: found for person, found in night.items() if person not in gone}
            for night in (before, july, august)
        )
        assert before == july == august, "an empty class list in July stripped somebody"
        for number in (*year.graduates, year.cast["leaves in June"]):
            september = groups[target, date(2027, 9, 7)]
            assert year.people[number] not in september, "who left stands in a group in September"
        assert (
            spring[member["is under a legal hold"]]
            == groups[target, NIGHTS[0]][member["is under a legal hold"]]
        )
        back = groups[target, date(2027, 1, 11)][member["comes back from elsewhere"]]
        assert back == groups[target, NIGHTS[0]][member["comes back from elsewhere"]], (
            "who returned has not all groups back"
        )
        assert member["begins in September"] not in august
        assert len(groups[target, date(2027, 9, 7)][member["begins in September"]]) >= 3
    assert {role for role, number in year.cast.items() if not wanted[number]} == {
        "moves away",
        "leaves in June",
        "is under a legal hold",
    }
    assert not any(wanted[number] for number in year.graduates)
    assert year.graduates
