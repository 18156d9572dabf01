"""One person in plain words: on prepared faults the owner of the fix is named each time, and
nobody's name is shown unasked.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass

import duckdb
import pytest
from conftest import District
from rich.console import Console

from common import store
from common.problems import Reason
from operations import explain
from operations.publish import publish


@dataclass(frozen=True)
class Prepared:
    """One fault: whom it happens to, what is done to the warehouse ($p: person id, $k: number), and
    what has to be said.
    """

    who: str  # student | kindergarten (in a homeroom) | preregistered | staff
    does: str
    code: str
    owner: str
    word: str  # stands in the sentence


def finding(code: str, owner: str) -> str:
    return f"""insert into ledger.audit.findings (finding_id, run_id, code, values, source, target,
    key, owner)
        values ('f', $run, '{code}', '{{}}', '', '', $k, '{owner}')"""


MOVED = Reason("change_of_columns", {"parts": "changed in source: org_unit_path"})


def change(
    target: str,
    status: str,
    reason: Reason = MOVED,
    hold: Reason | None = None,
    note: str = "",
    word: str = "",
) -> str:
    held = f"'{hold.json}'" if hold else "null"
    outcome = (
        ""
        if hold
        else f"""insert into ledger.audit.outcomes (change_id, run_id, target, status, attempts,
        note, reason)
        values ('c' || $p, $run, '{target}', '{status}', 1, '{note}', '{word}')"""
    )
    return f"""insert into ledger.audit.planned_changes (change_id, plan_id, run_id, target, entity,
    key, subject, action, reason, hold)
        values ('c' || $p, 'p', $run, '{target}', 'users', $p, $p, 'update', '{reason.json}',
        {held}); {outcome}"""


OVER = Reason(
    "hold_drop",
    {
        "target": "google",
        "entity": "users",
        "lost": 300,
        "before": 900,
        "share": "33 %",
        "limit": "10 %",
    },
)
DOUBLED = Reason("hold_key_doubled", {"copies": 2, "target": "google"})
LOST = Reason(
    "hold_partition", {"word": "school", "partition": "07474001", "feeds": "myedbc.student"}
)
DRIFTED = Reason(
    "change_by_hand", {"parts": "drift: changed in google since our last push: given_name"}
)
FAULTS = {
    "usual names blank": Prepared(
        "student",
        "update core.students set usual_first_name = legal_first_name, usual_last_name ="
        " legal_last_name where student_number = $k",
        "legal_names",
        "school office",
        "usual surname and first name blank",
    ),
    "homeroom blank": Prepared(
        "kindergarten",
        "update core.students set homeroom = null where student_number = $k",
        "no_homeroom",
        "school office",
        "homeroom blank",
    ),
    "grade unknown": Prepared(
        "student",
        "update core.students set grade_code = null where student_number = $k",
        "no_grade",
        "school office",
        "grade blank",
    ),
    "do not call": Prepared(
        "student",
        "update core.students set may_call = false where student_number = $k",
        "do_not_call",
        "school office",
        "not to be called",
    ),
    "not begun": Prepared(
        "student",
        "update identity.presence set state = 'preregistered' where person_id = $p; update"
        " identity.lifecycle set state = 'preregistered', record = 'preregistered' where person_id"
        " = $p",
        "not_begun",
        "school office",
        "first day",
    ),
    "withdrawn": Prepared(
        "student",
        "update identity.presence set state = 'left' where person_id = $p; update"
        " identity.lifecycle set state = 'grace', record = 'left', reason = 'withdrawn' where"
        " person_id = $p",
        "left",
        "school office",
        "withdrawn",
    ),
    "employment ended": Prepared(
        "staff",
        "update identity.presence set state = 'left' where person_id = $p; update"
        " identity.lifecycle set state = 'suspended', record = 'left', reason = 'employment_ended'"
        " where person_id = $p",
        "left",
        "human resources",
        "employment ended",
    ),
    "extract missing": Prepared(
        "student",
        "update identity.presence set presence = 'file_missing' where person_id = $p",
        "file_missing",
        "student information system administrator",
        "has not come",
    ),
    "extract refused": Prepared(
        "student",
        "update identity.presence set presence = 'file_partial' where person_id = $p",
        "file_partial",
        "student information system administrator",
        "refused",
    ),
    "human resources unreadable": Prepared(
        "staff",
        "update identity.presence set presence = 'file_missing', source = 'hr', feed = 'employees'"
        " where person_id = $p",
        "file_missing",
        "human resources",
        "employees",
    ),
    "no account by rule": Prepared(
        "student",
        "update identity.presence set presence = 'filtered', rule = 'early_learning' where"
        " person_id = $p",
        "filtered",
        "identity administrator",
        "early_learning",
    ),
    "legal hold": Prepared(
        "student",
        "update identity.lifecycle set hold = 'legal hold by superintendent', held_by ="
        " 'superintendent' where person_id = $p",
        "held",
        "superintendent",
        "legal hold",
    ),
    "on leave": Prepared(
        "staff",
        "update identity.lifecycle set state = 'leave', record = 'leave' where person_id = $p",
        "on_leave",
        "human resources",
        "on leave since",
    ),
    "vanished": Prepared(
        "student",
        finding("person_vanished", "school office"),
        "person_vanished",
        "school office",
        "no longer",
    ),
    "in one system only": Prepared(
        "staff",
        finding("staff_unmatched", "human resources"),
        "staff_unmatched",
        "human resources",
        "not in",
    ),
    "birth date unreadable": Prepared(
        "student",
        finding("unreadable_birth_date", "school office"),
        "unreadable_birth_date",
        "school office",
        "no date",
    ),
    "a doubtful account": Prepared(
        "student",
        finding("account_match_waits", "identity administrator"),
        "account_match_waits",
        "identity administrator",
        "may be",
    ),
    "over the limit": Prepared(
        "student", change("google", "held", hold=OVER), "change_held", "analyst", "limit 10 %"
    ),
    "key twice": Prepared(
        "student",
        change("google", "held", hold=DOUBLED),
        "change_held",
        "google administrator",
        "carry this key",
    ),
    "school collapsed": Prepared(
        "student",
        change("google", "held", hold=LOST),
        "change_held",
        "student information system administrator",
        "lost its rows",
    ),
    "address taken": Prepared(
        "staff",
        change(
            "microsoft",
            "failed",
            note=(
                "a name meant for this key belongs to another object, which does not carry this key"
            ),
            word="duplicate",
        ),
        "change_failed",
        "microsoft administrator",
        "belongs to another",
    ),
    "platform refused": Prepared(
        "student",
        change("microsoft", "failed", note="given up after 8 attempts: 503"),
        "change_failed",
        "technician",
        "8 attempts",
    ),
    "waits for another": Prepared(
        "student",
        change("google", "skipped", note="waits for google groups g"),
        "change_skipped",
        "technician",
        "waits for",
    ),
    "changed by hand": Prepared(
        "student",
        change("google", "applied", reason=DRIFTED),
        "drift",
        "google administrator",
        "drift",
    ),
}


@dataclass(frozen=True)
class Planted:
    district: District
    people: dict[str, tuple[str, str]]  # fault -> person id, number
    before: dict[str, set[tuple[str, str]]]  # fault -> what was the matter with that person anyway


@pytest.fixture(scope="module")
def planted(two_nights: District, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """A copy of the district with every fault, each on another person; published."""
    district = two_nights.copy(tmp_path_factory.mktemp("faults") / "var")
    before = os.environ.get("HOMEROOM_VAR")
    os.environ["HOMEROOM_VAR"] = str(district.var)
    try:
        people: dict[str, tuple[str, str]] = {}
        with store.connect() as connection:
            (run,) = connection.execute("select max(run_id) from ledger.audit.runs").fetchone()
            connection.execute(
                "create temp table faults_before as select person_id, code, owner from"
                " audit.person_faults"
            )
            for name, fault in FAULTS.items():
                people[name] = _someone(
                    connection, fault.who, {person for person, _ in people.values()}
                )
            known = {
                name: _faults_before(connection, person) for name, (person, _) in people.items()
            }
            for name, fault in FAULTS.items():
                values = {"p": people[name][0], "k": people[name][1], "run": run}
                for statement in connection.extract_statements(fault.does):
                    connection.execute(
                        statement, {key: values[key] for key in statement.named_parameters}
                    )
        publish()
    finally:
        os.environ.pop("HOMEROOM_VAR") if before is None else os.environ.update(HOMEROOM_VAR=before)
    return Planted(district, people, known)


def _someone(connection: duckdb.DuckDBPyConnection, who: str, taken: set[str]) -> tuple[str, str]:
    """Somebody of the pool with nothing the matter but, maybe, legal names."""
    where = {
        "student": "true",
        "staff": "true",
        "kindergarten": "students.homeroom is not null and grades.is_k_to_7",
    }[who]
    row = connection.execute(
        f"""
        select lifecycle.person_id, holders.source_key from identity.lifecycle as lifecycle
        join identity.account_holders as holders using (person_id)
        left join core.students as students on students.student_number = holders.source_key
        and holders.population = 'student'
        left join seeds.grades as grades on grades.grade_text = students.grade_code
        where lifecycle.population = $population and lifecycle.record = 'active'
        and holders.school_number is not null and {where}
            and lifecycle.person_id not in (select unnest($taken))
            and lifecycle.person_id not in (select person_id from faults_before
            where code <> 'legal_names')
        order by 1 limit 1""",
        {"population": "staff" if who == "staff" else "student", "taken": sorted(taken) or [""]},
    ).fetchone()
    assert row, f"nobody is left for a fault of {who}"
    return row


def _faults_before(connection: duckdb.DuckDBPyConnection, person: str) -> set[tuple[str, str]]:
    return set(
        connection.execute(
            "select code, owner from faults_before where person_id = ?", [person]
        ).fetchall()
    )


@pytest.mark.parametrize("name", FAULTS)
def test_the_owner_of_the_fix_is_named(planted: Planted, name: str):
    fault, (person, number) = FAULTS[name], planted.people[name]
    with duckdb.connect(
        str(planted.district.var / "published" / "warehouse.duckdb"), read_only=True
    ) as connection:
        assert explain.resolve(connection, number) == person
        found = explain.faults(connection, person)
    said = {(one.code, one.owner) for one in found}
    assert said - planted.before[name] <= {(fault.code, fault.owner)}, (
        "somebody else is blamed as well"
    )
    assert any(
        one.code == fault.code and one.owner == fault.owner and fault.word in one.sentence
        for one in found
    )


def answer(
    planted: Planted, who: str, monkeypatch: pytest.MonkeyPatch, *, names: bool = False
) -> str:
    monkeypatch.setenv("HOMEROOM_VAR", str(planted.district.var))
    out = io.StringIO()
    explain.explain(who, Console(file=out, width=400), names=names)
    return out.getvalue()


def test_nobodys_name_is_shown_unless_asked_for(planted, monkeypatch):
    person, number = planted.people["on leave"]
    first, last, address = planted.district.ask(
        "select first_name, last_name, address from identity.account_holders where person_id = ?",
        person,
    )[0]
    told = answer(planted, number, monkeypatch)
    assert number in told
    assert "leave since" in told
    assert address not in told
    assert f"{first} {last}" not in told
    assert f"{first} {last}" in answer(planted, address, monkeypatch, names=True)
    assert address in answer(planted, person, monkeypatch, names=True)


def test_the_lifecycle_is_told_with_its_dates_and_its_hold(planted, monkeypatch):
    held = answer(planted, planted.people["legal hold"][1], monkeypatch)
    assert "held: legal hold by superintendent; nothing changes until then" in held
    left = answer(planted, planted.people["withdrawn"][1], monkeypatch)
    assert "grace since 2026-10-05: the record says left (withdrawn)" in left
    assert (
        "next: suspended on 2026-10-19 (grace is over: 14 days, of which 1 have passed), if the"
        " record stays" in left
    )


def test_a_number_nobody_knows_is_said_with_who_could_enter_it(planted, monkeypatch):
    monkeypatch.setenv("HOMEROOM_VAR", str(planted.district.var))
    with pytest.raises(
        explain.NobodyFoundError,
        match="school office \\(students\\) or human resources \\(staff\\) has not entered",
    ):
        explain.explain("0000000", Console(file=io.StringIO()))


# ---------------------------------------------------------------- who is meant

KNOWN = """
    create schema audit;
    create table audit.known_as as select * from (values
        ('p1', 'p1', false, 'student 7123', 'student 7123: Renée Bo'),
        ('p1', '7123', false, 'student 7123', 'student 7123: Renée Bo'),
        ('p1', 'r.bo@s.x', false, 'student 7123', 'student 7123: Renée Bo'),
        ('p1', 'r.old@s.x', false, 'student 7123', 'student 7123: Renée Bo'),
        ('p1', 'renée bo', true, 'student 7123', 'student 7123: Renée Bo'),
        ('p2', '9712', false, 'staff 9712', 'staff 9712: Ren Bo'),
        ('p2', 'ren bo', true, 'staff 9712', 'staff 9712: Ren Bo'),
        ('p3', 'shared', false, 'staff 1', 'staff 1: Cy'),
        ('p2', 'shared', false, 'staff 9712', 'staff 9712: Ren Bo'),
        (null, 'info@s.x', false, 'alder account 5 carries nobody''s key; reserved', null))
        as t (subject, known_as, is_name, about, about_with_names);
    create table audit.findings as select '8888' as key, 'no_school' as code,
        'A student has no school.' as message, now() as found_at;
"""


@pytest.fixture
def people():
    with duckdb.connect() as connection:
        connection.execute(KNOWN)
        yield connection


@pytest.mark.parametrize("word", ["7123", " 7123 ", "R.BO@s.x", "r.old@s.x", "p1"])
def test_somebody_is_found_by_any_word_of_today_or_before(people, word: str):
    assert explain.resolve(people, word) == "p1"


@pytest.mark.parametrize("part", ["Renée", "renee", "BO RENEE", "née b"])
def test_a_part_of_a_name_is_looked_for_only_when_names_are_asked_for(people, part: str):
    assert explain.resolve(people, part, names=True) == "p1"
    with pytest.raises(explain.NobodyFoundError, match="looked for with NAMES=1") as refused:
        explain.resolve(people, part)
    assert "7123" not in str(refused.value)


def test_several_are_a_list_to_choose_from_with_names_only_when_asked_for(people):
    with pytest.raises(explain.NobodyFoundError) as refused:
        explain.resolve(people, "bo", names=True)
    assert str(refused.value).splitlines()[1:] == [
        "  p1  student 7123: Renée Bo",
        "  p2  staff 9712: Ren Bo",
    ]
    with pytest.raises(explain.NobodyFoundError, match="'shared' means 2 people") as refused:
        explain.resolve(people, "shared")
    assert str(refused.value).splitlines()[1:] == ["  p2  staff 9712", "  p3  staff 1"]


def test_a_long_list_says_how_many_more_there_are(people):
    people.execute(
        "insert into audit.known_as select 'q' || lpad(n::text, 2, '0'), 'ann ' || n, true,"
        " 'student ' || n, null from range(25) as r(n)"
    )
    with pytest.raises(explain.NobodyFoundError, match="means 25 people") as refused:
        explain.resolve(people, "ann", names=True)
    assert len(str(refused.value).splitlines()) == 1 + explain.MOST + 1
    assert str(refused.value).endswith("and 5 more")


def test_an_account_that_is_nobodys_says_what_it_is(people):
    with pytest.raises(explain.NobodyFoundError) as refused:
        explain.resolve(people, "Info@s.x")
    said = str(refused.value)
    assert said.startswith(
        "'Info@s.x' is nobody's: alder account 5 carries nobody's key; reserved."
    )
    assert "nobody is known" not in said


def test_a_part_of_a_number_leads_to_those_it_is_a_part_of(people):
    with pytest.raises(explain.NobodyFoundError, match="is a part of what these are") as refused:
        explain.resolve(people, "712")
    assert str(refused.value).splitlines()[1:] == ["  p1  student 7123", "  p2  staff 9712"]
    with pytest.raises(explain.NobodyFoundError, match="nobody is known by '71'"):
        explain.resolve(people, "71")  # too short to look for


def test_a_key_only_findings_know_is_told_with_what_they_said(people):
    with pytest.raises(explain.NobodyFoundError) as refused:
        explain.resolve(people, "8888")
    assert str(refused.value).endswith("the nights said of it: A student has no school.")


def test_nobody_is_said_only_of_whom_nothing_knows(people):
    with pytest.raises(explain.NobodyFoundError, match=r"nobody is known by.*no name has these"):
        explain.resolve(people, "nobody.x", names=True)
    for word in ("", "   "):
        with pytest.raises(explain.NobodyFoundError, match=r"^say which person: PERSON= and"):
            explain.resolve(people, word, names=True)


def test_the_groups_of_somebody_are_named():
    assert list(explain._several("alder members", {"a", "b"}, {"b", "c"})) == [
        "alder members: should be 2, are 2; in b; missing a; too many c"
    ]
