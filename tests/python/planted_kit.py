"""What befell other people's districts, planted together in one: a demo district's files, HR table
and tenants of a day are edited by hand, and whose each account is is written down before the night.

Nothing here asks the product: who stands in a file is read from the file, whose an account is from
the number under its key before the night.
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from conftest import District

from demo import layouts
from demo.extracts import row
from demo.layouts import Layout
from demo.places import Places

ATTRIBUTES, ATTRIBUTE = "onPremisesExtensionAttributes", "extensionAttribute15"
STUDENTS, STAFF = "student.sd74.example", "sd74.example"
GRACE = 14  # seeds/lifecycle_rules.csv: from grace to suspended, of students
SUMMER = (date(2026, 7, 1), date(2026, 9, 30))  # seeds/school_calendar.csv: its days do not count
UNREADABLE = "the 30th of last June"
Rows = list[list[str]]


@dataclass
class Planted:
    """A district about to live the night of the planted, and the answers."""

    district: District
    places: Places
    tenants: dict[str, dict[str, Any]]
    number_of: dict[str, str]  # person -> number, of everybody before tonight
    were: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)  # once planted
    by_hand: set[tuple[str, str]] = field(default_factory=set)  # somebody wrote a key there
    whose: dict[tuple[str, str], str] = field(default_factory=dict)  # account -> number
    closed: dict[tuple[str, str], str] = field(default_factory=dict)  # by others -> number
    still: set[str] = field(default_factory=set)  # nothing of theirs may be written
    nobodys: set[tuple[str, str]] = field(default_factory=set)  # accounts that are not to be had
    unmade: set[str] = field(default_factory=set)  # numbers for whom no account is made
    barred: dict[str, list[str]] = field(default_factory=dict)  # child -> ways to who may not
    told: dict[str, set[str]] = field(default_factory=dict)  # code -> keys, some of them
    left: dict[str, date] = field(default_factory=dict)  # number -> day they left
    twice: tuple[str, set[str]] = ("", set())  # who has two positions, and where
    by_hand_alone: str = ""  # who left and can be closed by a person alone
    taken: list[str] = field(default_factory=list)  # whoever a plant befell

    # --- files ---

    def rows(self, layout: Layout) -> Rows:
        text = (self.places.extracts / layout.file).read_bytes().decode(layout.encoding)
        return list(csv.reader(io.StringIO(text, newline="")))

    def write(self, layout: Layout, rows: Rows) -> None:
        text = "".join(row(*one) + "\r\n" for one in rows)
        (self.places.extracts / layout.file).write_bytes(text.encode(layout.encoding, "replace"))

    @contextmanager
    def edited(self, layout: Layout) -> Iterator[Rows]:
        rows = self.rows(layout)
        yield rows
        self.write(layout, rows)

    def of_child(self, whose: str, **columns: str) -> None:
        """Other values in both files of students."""
        for layout in (layouts.ENHANCED, layouts.DEMOGRAPHIC):
            names = [name.lower() for name in layout.columns]
            with self.edited(layout) as rows:
                for one in rows:
                    if one[names.index("student number")] == whose:
                        for column, value in columns.items():
                            words = _HEADINGS[column]
                            at = next(names.index(word) for word in words if word in names)
                            one[at] = value

    @contextmanager
    def hr(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.places.hr)) as database, database:
            yield database

    # --- people ---

    def children(self) -> Iterator[str]:
        """Children who are here, each once, with an open account of ours in both tenants."""
        names = [name.lower() for name in layouts.ENHANCED.columns]
        number, status = names.index("student number"), names.index("enrolment status")
        for one in self.rows(layouts.ENHANCED)[1:]:
            accounts = [self.account(target, one[number]) for target in ("google", "microsoft")]
            if one[status] == "Active" and all(accounts) and one[number] not in self.taken:
                self.taken.append(one[number])
                yield one[number]

    def account(self, target: str, number: str) -> str | None:
        """The open account under whose key the number stands."""
        for remote_id, user in self.tenants[target]["users"].items():
            if is_open(target, user) and self.whose.get((target, remote_id)) == number:
                return str(remote_id)
        return None

    def change(self, target: str, remote_id: str, **values: Any) -> None:
        self.tenants[target]["users"][remote_id] |= values

    def add(self, target: str, remote_id: str, **values: Any) -> None:
        """An account made by hand, as like the others as it needs to be."""
        users, name = self.tenants[target]["users"], "userPrincipalName"
        model = next(user for user in users.values() if not key_of(target, user))
        made = {k: v for k, v in model.items() if k not in ("externalIds", "employeeId")}
        made |= {"id": remote_id, **values}
        if target == "google":
            name = "primaryEmail"
            made |= {"aliases": [], "suspended": False, "isAdmin": False}
        else:
            made |= {"mail": made[name], "proxyAddresses": [f"SMTP:{made[name]}"]}
            made |= {"accountEnabled": True, "assignedLicenses": []} | values
        users[remote_id] = made
        kind = "user" if target == "google" else "users"
        self.tenants[target]["addresses"][made[name].lower()] = [kind, remote_id]

    def save(self) -> None:
        for target, tables in self.tenants.items():
            self.places.state_of(target).write_text(json.dumps(tables), encoding="utf-8")


_HEADINGS = {
    "number": ("student number",),
    "first": ("legal first name",),
    "last": ("legal surname",),
    "usual_first": ("usual first name",),
    "usual_last": ("usual surname",),
    "born": ("date of birth",),
}


def key_of(target: str, user: dict[str, Any]) -> str | None:
    if target == "google":
        return user.get("customSchemas", {}).get("Homeroom", {}).get("person_id")
    return (user.get(ATTRIBUTES) or {}).get(ATTRIBUTE)


def is_open(target: str, user: dict[str, Any]) -> bool:
    return bool(user["accountEnabled"] if target == "microsoft" else not user["suspended"])


def before(district: District) -> Planted:
    """The district as it is: whose number stands under the key of each account."""
    places = Places.within(district.var / "demo")
    tenants = {
        target: json.loads(places.state_of(target).read_text(encoding="utf-8"))
        for target in ("google", "microsoft")
    }
    numbers = dict(
        district.ask(
            "select p.person_id, coalesce(r.staff_id, p.source_key) from identity.persons as p"
            " join identity.person_records as r using (person_id)"
        )
    )
    planted = Planted(district, places, tenants, numbers)
    for target, tables in tenants.items():
        for remote_id, user in tables["users"].items():
            if key := key_of(target, user):
                planted.whose[target, remote_id] = numbers[key]
    return planted


def plant(planted: Planted) -> None:
    """Everything, each upon somebody else."""
    child = planted.children()
    for befalls in (
        barred,
        closed_elsewhere,
        handed_on,
        shared_and_renumbered,
        damaged,
        made_anew,
        key_edited,
        employees,
        junk,
    ):
        befalls(planted, child)
    planted.save()
    gone(planted)
    planted.were = {
        (target, remote_id): dict(user)
        for target, tables in planted.tenants.items()
        for remote_id, user in tables["users"].items()
    }


def barred(planted: Planted, child: Iterator[str]) -> None:
    """1: the custody of one contact says no; the child lives elsewhere."""
    number = next(child)
    columns = [name.lower() for name in layouts.PARENTS.columns]
    with planted.edited(layouts.PARENTS) as rows:
        one = next(one for one in rows if one[columns.index("student number")] == number)
        one[columns.index("custody status")] = "NO  CONTACT."
        one[columns.index("living with student")] = "N"
        ways = ("home phone", "cellular phone", "email address")
        found = [one[columns.index(way)] for way in ways if one[columns.index(way)]]
        planted.barred[number] = found


def closed_elsewhere(planted: Planted, child: Iterator[str]) -> None:
    """2: an administrator, Google itself, and somebody in Entra close accounts of who is here."""
    for why in ("ADMIN", "ABUSE"):
        number = next(child)
        remote_id = planted.account("google", number) or ""
        planted.change("google", remote_id, suspended=True, suspensionReason=why)
        planted.closed["google", remote_id] = number
    number = next(child)
    remote_id = planted.account("microsoft", number) or ""
    planted.change("microsoft", remote_id, accountEnabled=False)
    planted.closed["microsoft", remote_id] = number
    planted.told["closed_by_somebody_else"] = set(planted.closed.values())


def handed_on(planted: Planted, child: Iterator[str]) -> None:
    """3: the number is somebody else's tonight; once a brother's, once nobody's alike."""
    for other in (
        {"first": "Emma", "last": "Brownfield", "born": "02-Jun-2011"},
        {"first": "Zebedee", "born": "03-Jul-2012"},
    ):
        number = next(child)
        planted.of_child(number, usual_first="", usual_last="", **other)
        planted.still.add(number)
    planted.told["key_changed_hands"] = set(planted.still)


def shared_and_renumbered(planted: Planted, child: Iterator[str]) -> None:
    """4: two children under one number; and a child under a number nobody knew."""
    shared = next(child)
    for layout in (layouts.ENHANCED, layouts.DEMOGRAPHIC):
        names = [name.lower() for name in layout.columns]
        number, born = names.index("student number"), names.index("date of birth")
        with planted.edited(layout) as rows:
            twin = list(next(one for one in rows if one[number] == shared))
            twin[names.index("legal first name")], twin[born] = "Quintilian", "04-Aug-2013"
            twin[names.index("legal surname")] = "Otherchild"
            school = names.index("school number")
            twin[school] = next(one[school] for one in rows[1:] if one[school] != twin[school])
            rows.append(twin)
    renumbered, new = next(child), "9999999"
    for layout in (layouts.ENHANCED, layouts.DEMOGRAPHIC):
        names = [name.lower() for name in layout.columns]
        with planted.edited(layout) as rows:
            for one in rows:
                if one[names.index("student number")] == renumbered:
                    one[names.index("student number")] = new
    planted.still |= {shared, renumbered}
    planted.unmade.add(new)
    planted.told |= {"key_shared": {shared}, "key_renumbered": {new}}


def damaged(planted: Planted, child: Iterator[str]) -> None:
    """13: letters of another encoding in a name somebody has; an entity in a newcomer's."""
    number = next(child)
    planted.of_child(number, first="RenÃ©e")
    new = "9999998"
    for layout in (layouts.ENHANCED, layouts.DEMOGRAPHIC):
        names = [name.lower() for name in layout.columns]
        with planted.edited(layout) as rows:
            one = list(next(one for one in rows if one[names.index("student number")] == number))
            one[names.index("student number")] = new
            one[names.index("legal first name")] = "Siobhan"
            one[names.index("legal surname")] = "O&#39;Brien"
            for usual in ("usual first name", "usual surname"):
                one[names.index(usual)] = ""
            one[names.index("date of birth")] = "05-Sep-2014"
            rows.append(one)
    planted.unmade.add(new)
    planted.told["name_damaged"] = {number, new}


def made_anew(planted: Planted, child: Iterator[str]) -> None:
    """20: deleted with our key, and made again by hand without it, at the same address."""
    number = next(child)
    remote_id = planted.account("google", number) or ""
    users = planted.tenants["google"]["users"]
    gone = users.pop(remote_id)
    planted.tenants["google"]["deleted"][remote_id] = gone | {
        "deletionTime": datetime.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")
    }
    for members in planted.tenants["google"]["members"].values():
        members.pop(remote_id, None)
    new = "100000009999999999999"
    named = {"primaryEmail": gone["primaryEmail"], "name": gone["name"]}
    ids = [{"type": "organization", "value": number}]
    planted.add("google", new, **named, externalIds=ids)
    planted.whose["google", new] = number


def key_edited(planted: Planted, child: Iterator[str]) -> None:
    """5, 17: one account is given another's key by hand, one what looks like a key, one a word."""
    one, other, third = next(child), next(child), next(child)
    accounts = [planted.account("microsoft", number) or "" for number in (one, other, third)]
    users = planted.tenants["microsoft"]["users"]
    key = users[accounts[1]][ATTRIBUTES]
    planted.change("microsoft", accounts[0], **{ATTRIBUTES: dict(key)})
    planted.change("microsoft", accounts[2], **{ATTRIBUTES: {ATTRIBUTE: "pfffffffffffffff"}})
    planted.by_hand |= {("microsoft", account) for account in accounts}
    planted.told["durable_key_twice"] = planted.told["key_unknown"] = set()


def employees(planted: Planted, child: Iterator[str]) -> None:
    """5, 6, 8, 10, 14, 22: human resources hires, pays twice, ends and no longer can be read."""
    hired = "insert into employees (staff_id, first_name, last_name, position, school_number,"
    hired += " email, hire_date) select ?, ?, ?, position, school_number, ?, '2026-10-01'"
    hired += " from employees where end_date is null and school_number is not null limit 1"
    with planted.hr() as hr:
        hr.execute("create table copied as select * from employees")
        hr.execute("drop table employees")
        hr.execute("alter table copied rename to employees")
        hr.execute(hired, ("990001", "Nora", "Nosyncly", None))
        hr.execute(hired, ("990002", "Gustav", "Guestly", "gustav@home.example"))
        here = [
            number
            for (number,) in hr.execute(
                "select staff_id from employees where end_date is null and hire_date < '2026-09-01'"
                " order by 1"
            )
            if all(planted.account(target, number) for target in ("google", "microsoft"))
        ]
        twice, leaver, role = here[:3]
        where = "select school_number from employees where staff_id = ?"
        first = {school for (school,) in hr.execute(where, (twice,)) if school}
        planted.twice = (twice, {*first, "07474002"})
        hr.execute(
            "insert into employees select staff_id, first_name, last_name, usual_first_name,"
            " 'Custodian', '07474002', email, hire_date, end_date from employees"
            " where staff_id = ?",
            (twice,),
        )
        ended = "update employees set end_date = ? where staff_id = ?"
        hr.execute(ended, ("2026-10-02", leaver))
        hr.execute(ended, ("2026-10-02", role))
        (unread,) = (
            number
            for (number,) in hr.execute(
                "select staff_id from employees where end_date < '2026-10-01' order by 1 limit 1"
            )
        )
        hr.execute(ended, (UNREADABLE, unread))
    planted.taken += [twice, leaver, role, unread]
    planted.by_hand_alone = role
    planted.told["values_unreadable"] = planted.told["still_open"] = set()
    # 5, 8: made by hand for the new employee, marked by another program, without a country
    by_hand, guest = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002"
    planted.add(
        "microsoft",
        by_hand,
        userPrincipalName=f"nora.n@{STAFF}",
        mailNickname="nora.n",
        displayName="Nora Nosyncly",
        givenName="Nora",
        surname="Nosyncly",
        employeeId="990001",
        usageLocation=None,
        **{ATTRIBUTES: {ATTRIBUTE: "NoSync"}},
    )
    planted.whose["microsoft", by_hand] = "990001"
    # 6: a guest of the employee's own address at home
    planted.add(
        "microsoft",
        guest,
        userPrincipalName=f"gustav_home.example#EXT#@{STAFF}",
        mailNickname="gustav_home.example",
        displayName="Gustav Guestly",
        givenName="Gustav",
        surname="Guestly",
        employeeId="990002",
        userType="Guest",
    )
    planted.change("microsoft", guest, mail="gustav@home.example")
    planted.nobodys.add(("microsoft", guest))
    # 22: only a role holder may close the account of one
    roles = planted.tenants["microsoft"]["roles"]
    next(iter(roles.values()))["members"][planted.account("microsoft", role)] = "user"


def junk(planted: Planted, child: Iterator[str]) -> None:
    """12, 15, 27: lines that are no rows, what nobody can see, references by another case."""
    with planted.edited(layouts.STAFF) as rows:
        rows.insert(1, ["-" * 8] * len(rows[0]))
        rows.append(["(12 rows affected)", *[""] * (len(rows[0]) - 1)])
    with planted.edited(layouts.ENHANCED) as rows:
        rows.insert(len(rows) // 2, list(rows[0]))
    number = next(child)
    planted.of_child(number, number=f"\u200b{number}\u00a0")
    planted.told["rows_rejected"] = set()
    with planted.edited(layouts.SCHEDULE) as rows:
        section = layouts.SCHEDULE.columns.index("Master Timetable ID")
        for one in rows[:: len(rows) // 9]:
            one[section] = f" {one[section].lower()}"


def after_grace(left: date) -> date:
    """The day the account of a student who left is to be closed: the night that first read of it
    counts, and a long weekend may lie before that one.
    """
    day, counted = left + timedelta(days=4), 0
    while counted < GRACE:
        day += timedelta(days=1)
        counted += not SUMMER[0] <= day <= SUMMER[1]
    return day


def gone(planted: Planted) -> None:
    """Who left, and when, as the sources say in a form anybody reads."""
    names = [name.lower() for name in layouts.ENHANCED.columns]
    number, withdrawn = names.index("student number"), names.index("withdraw date")
    status = names.index("enrolment status")
    rows = planted.rows(layouts.ENHANCED)[1:]
    here = {one[number] for one in rows if one[status] in ("Active", "PreReg")}
    for one in rows:
        if one[withdrawn][:1].isdigit() and one[number] not in here:
            day = datetime.strptime(one[withdrawn], "%d-%b-%Y").date()
            planted.left[one[number]] = after_grace(day)
    with planted.hr() as hr:
        for staff_id, ended in hr.execute("select staff_id, end_date from employees"):
            if ended == UNREADABLE:
                planted.left[staff_id] = date(2026, 6, 30)
            elif ended:
                planted.left[staff_id] = date.fromisoformat(ended)
