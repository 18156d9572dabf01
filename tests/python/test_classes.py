"""Classes on both platforms: courses of Classroom, education classes and their teams. What is made
is read back, a repeat makes nothing twice, a class is handed over and archived and never emptied.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from target_kit import Kit, as_text, declared, kit

from demo import platforms as emulated
from reverse_etl.execute import Execution
from reverse_etl.journal import Past
from reverse_etl.limits import Allowed, Group, holds
from reverse_etl.model import Change, key_text
from reverse_etl.targets.google import client as google_client
from reverse_etl.targets.google.client import scopes_of
from reverse_etl.targets.google.settings import Settings
from reverse_etl.targets.microsoft import client as graph_client
from reverse_etl.targets.replies import Call, Reply

COURSE = {"name": "Jazz 10", "section": "A, B", "course_state": "ACTIVE"}
KEY = "class-07474001-{}-2027"


@pytest.fixture(scope="module")
def platforms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulated.Platforms]:
    with emulated.running(tmp_path_factory.mktemp("platforms")) as running:
        yield running


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))


@pytest.fixture
def google(platforms: emulated.Platforms) -> Iterator[Kit]:
    made = kit("google", platforms, classes=True)
    yield made
    made.faults(lose_reply_after_commit=0.0, owners_must_teach=True)
    made.adapter.close()


class Classes:
    """Classes of one target as the engine would write them."""

    def __init__(self, target: Kit) -> None:
        self.target, self.number = target, 0

    def person(self, **changes: Any) -> Change:
        return self.target.done(self.target.user(**changes))

    def id(self, person: Change) -> str:
        return self.target.made["users", person.key]

    def course(self, owner: Change, key: str = "", **new: Any) -> Change:
        key = key or KEY.format(self.id(owner)[-8:].lower())
        row = {"class_id": key, **COURSE, "owner_id": owner.key[0], **new}
        change = self.target.change("courses", (key,), "create", row)
        return replace(change, references={"owner_id": self.id(owner)})

    def owned(self, course: Change, owner: Change) -> Change:
        change = self.target.change("courses", course.key, "update", {"owner_id": owner.key[0]})
        return replace(change, references={"owner_id": self.id(owner)})

    def of(self, course: Change) -> str:
        return self.target.made["courses", course.key]

    def link(self, entity: str, course: Change, person: Change, action: str = "create") -> Change:
        change = self.target.change(entity, (*course.key, *person.key), action, {})
        refers = {"class_id": self.of(course), "person_id": self.id(person)}
        remote = None if action == "create" else f"{self.of(course)}/{self.id(person)}"
        return replace(change, references=refers, remote_id=remote)

    def people(self, entity: str, course: Change) -> set[str]:
        rows = self.target.observed(entity)
        return {r["member_remote_id"] for r in rows if r["class_remote_id"] == self.of(course)}

    def owner(self, course: Change) -> str:
        rows = self.target.observed("courses")
        (row,) = [row for row in rows if row["class_id"] == course.key[0]]
        return str(row["owner_remote_id"])


@pytest.fixture
def classes(google: Kit) -> Classes:
    return Classes(google)


def sent(platforms: emulated.Platforms, since: int = 0) -> list[str]:
    lines = platforms.places.requests.read_text("utf-8").splitlines()[since:]
    found = [json.loads(line) for line in lines]
    return [f"{one['method']} {one['url'].partition('?')[0]}" for one in found]


# ---------------------------------------------------------------- courses of Classroom


def test_a_course_is_made_with_its_alias_and_owner_and_read_back(
    classes: Classes, google: Kit
) -> None:
    teacher, student = classes.person(), classes.person()
    course = google.done(classes.course(teacher))
    google.done(classes.link("course_teachers", course, teacher))  # the owner is one already
    google.done(classes.link("course_students", course, student))
    row = google.row(course)
    assert {name: row[name] for name in (*COURSE, "class_id")} == {
        **COURSE,
        "class_id": course.key[0],
    }
    assert classes.owner(course) == classes.id(teacher)
    assert classes.people("course_teachers", course) == {classes.id(teacher)}
    assert classes.people("course_students", course) == {classes.id(student)}


def test_a_course_whose_making_nobody_answered_is_found_by_its_alias_and_not_made_twice(
    classes: Classes, google: Kit
) -> None:
    course = classes.course(classes.person())
    google.faults(lose_reply_after_commit=1.0)
    google.apply(course)
    google.faults(lose_reply_after_commit=0.0)
    found = google.adapter.find(course)
    again = google.apply(course)
    assert (again.status, again.reason, again.remote_id) == ("applied", "duplicate", found)
    rows = [row for row in google.observed("courses") if row["class_id"] == course.key[0]]
    assert len(rows) == 1


def test_a_course_a_teacher_made_has_no_key_of_ours_whatever_its_aliases(
    classes: Classes, google: Kit, platforms: emulated.Platforms
) -> None:
    teacher = classes.person()
    course = google.done(classes.course(teacher))
    store = platforms.google.store
    for alias in ("d:1234", "p:class-07474001-mine-2027", "d:class-07474001-B 2"):
        mine = str(int(classes.of(course)) + 10_000_000 + len(alias))
        store.put("courses", mine, {**store["courses"][classes.of(course)], "id": mine})
        store.put("course_aliases", alias, mine)
    store.commit(0)
    keys = [row["class_id"] for row in google.observed("courses") if row["class_id"]]
    assert course.key[0] in keys
    assert all(key.startswith("class-07474001-") and " " not in key for key in keys)
    assert "class-07474001-mine-2027" not in keys


@pytest.mark.parametrize("strict", [True, False])
def test_a_teacher_who_left_hands_over_and_students_stay_and_nothing_is_archived(
    classes: Classes, google: Kit, *, strict: bool
) -> None:
    gone, new, student = classes.person(), classes.person(), classes.person()
    course = google.done(classes.course(gone))
    google.done(classes.link("course_students", course, student))
    google.faults(owners_must_teach=strict)
    if strict:  # as the engine does it: handed over, then closed
        google.done(classes.owned(course, new))
        google.done(google.to(gone, "suspend", suspended=True))
    else:  # closed by somebody else: a course without an active owner takes nobody until then
        google.done(google.to(gone, "suspend", suspended=True))
        late = google.apply(classes.link("course_students", course, new))
        assert (late.status, late.reason) == ("failed", "class_no_owner")
        google.done(classes.owned(course, new))
    google.done(classes.link("course_teachers", course, new))
    google.done(classes.link("course_teachers", course, gone, "remove"))
    assert classes.owner(course) == classes.id(new)
    assert classes.people("course_teachers", course) == {classes.id(new)}
    assert classes.people("course_students", course) == {classes.id(student)}
    assert google.row(course)["course_state"] == "ACTIVE"


def test_whoever_owns_a_course_is_not_taken_out_of_it(classes: Classes, google: Kit) -> None:
    teacher = classes.person()
    course = google.done(classes.course(teacher))
    outcome = google.apply(classes.link("course_teachers", course, teacher, "remove"))
    assert (outcome.status, outcome.reason) == ("failed", "class_owner_stays")
    assert classes.people("course_teachers", course) == {classes.id(teacher)}


def test_an_archived_course_takes_no_change_and_is_restored_by_its_state_alone(
    classes: Classes, google: Kit, platforms: emulated.Platforms
) -> None:
    teacher, student = classes.person(), classes.person()
    course = google.done(classes.course(teacher))
    google.done(google.to(course, "suspend", course_state="ARCHIVED"))
    assert google.row(course)["course_state"] == "ARCHIVED"
    refused = google.apply(google.to(course, "update", name="Other"))
    assert (refused.status, refused.reason) == ("failed", "class_archived")
    before = len(sent(platforms))
    assert not classes.people("course_students", course)
    # what is archived is not asked who is in it
    asked = [url for url in sent(platforms, before) if classes.of(course) in url]
    assert all(url.endswith("/aliases") for url in asked)
    google.done(google.to(course, "restore", course_state="ACTIVE"))
    google.done(classes.link("course_students", course, student))


def test_what_is_cleared_stands_in_the_mask_and_not_in_the_body(
    classes: Classes, google: Kit, platforms: emulated.Platforms
) -> None:
    course = google.done(classes.course(classes.person()))
    google.done(google.to(course, "update", name="Jazz 11", section=None))
    last = json.loads(platforms.places.requests.read_text("utf-8").splitlines()[-1])
    assert "updateMask=name%2Csection" in last["url"]
    assert last["body"] == {"name": "Jazz 11"}
    row = google.row(course)
    assert (row["name"], row["section"]) == ("Jazz 11", None)


def test_without_the_setting_classroom_is_not_asked_and_no_scope_of_it(
    platforms: emulated.Platforms,
) -> None:
    plain = kit("google", platforms)
    before = len(sent(platforms))
    assert plain.observed("courses") == [] == plain.observed("course_students")
    assert not sent(platforms, before)
    assert not {"courses", "course_students"} & set(plain.adapter.entities)
    plain.adapter.close()
    asked = {True: set(), False: set()}
    for classes in asked:
        asked[classes] = {
            scope.rpartition("/")[2] for scope in scopes_of(Settings(classes=classes))
        }
    assert asked[True] - asked[False] == {"classroom.courses", "classroom.rosters"}


# ---------------------------------------------------------------- education classes


class EducationClasses(Classes):
    """The same of Microsoft: a class, its two lists, its team."""

    def course(self, owner: Change, key: str = "", **new: Any) -> Change:
        key = key or KEY.format(self.id(owner)[-8:].lower())
        row = {"class_id": key, "display_name": "Jazz 10", "mail_nickname": key}
        return self.target.change("classes", (key,), "create", row | {"class_code": "MJ10"} | new)

    def of(self, course: Change) -> str:
        return self.target.made["classes", course.key]

    def team(self, course: Change, action: str = "create", *, archived: bool = False) -> Change:
        row = {"class_id": course.key[0]} if action == "create" else {}
        change = self.target.change(
            "class_teams", course.key, action, row | {"is_archived": archived}
        )
        remote = None if action == "create" else self.of(course)
        return replace(change, references={"class_id": self.of(course)}, remote_id=remote)

    def taught(self, course: Change, teacher: Change) -> None:
        self.target.done(self.link("class_members", course, teacher))
        self.target.done(self.link("class_teachers", course, teacher))


@pytest.fixture
def microsoft(platforms: emulated.Platforms, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    monkeypatch.setattr("reverse_etl.targets.microsoft.TEAM_PAUSE", 0.05)
    made = kit("microsoft", platforms, classes=True, class_teams=True)
    yield made
    made.faults(lose_reply_after_commit=0.0, incomplete_creation_seconds=0.0)
    made.adapter.close()


@pytest.fixture
def education(microsoft: Kit) -> EducationClasses:
    return EducationClasses(microsoft)


def test_a_class_is_made_and_read_back_with_its_teacher_in_both_lists(
    education: EducationClasses, microsoft: Kit
) -> None:
    teacher, student = education.person(), education.person()
    course = microsoft.done(education.course(teacher))
    education.taught(course, teacher)
    microsoft.done(education.link("class_members", course, student))
    microsoft.done(education.team(course))
    row = microsoft.row(course)
    assert (row["class_id"], row["display_name"]) == (course.key[0], "Jazz 10")
    both = {education.id(teacher), education.id(student)}
    assert education.people("class_members", course) == both
    assert education.people("class_teachers", course) == {education.id(teacher)}
    teams = {
        row["class_remote_id"]: row["is_archived"] for row in microsoft.observed("class_teams")
    }
    assert teams[education.of(course)] == "false"


def test_a_class_whose_making_nobody_answered_is_found_and_not_made_twice(
    education: EducationClasses, microsoft: Kit
) -> None:
    course = education.course(education.person())
    microsoft.faults(lose_reply_after_commit=1.0)
    assert microsoft.apply(course).status == "unknown"
    microsoft.faults(lose_reply_after_commit=0.0)
    found = microsoft.adapter.find(course)
    again = microsoft.apply(course)
    assert found and (again.status, again.remote_id) == ("applied", found)
    rows = [row for row in microsoft.observed("classes") if row["class_id"] == course.key[0]]
    assert len(rows) == 1


def test_a_nickname_that_is_somebody_elses_is_no_class_of_ours(
    education: EducationClasses, microsoft: Kit
) -> None:
    first = microsoft.done(education.course(education.person()))
    other = education.course(education.person(), mail_nickname=first.key[0])
    outcome = microsoft.apply(other)
    assert (outcome.status, outcome.reason) == ("failed", "duplicate")


def test_what_is_repeated_is_done_once_in_either_list(
    education: EducationClasses, microsoft: Kit
) -> None:
    teacher, other = education.person(), education.person()
    course = microsoft.done(education.course(teacher))
    for _ in range(2):
        education.taught(course, teacher)
        education.taught(course, other)
        microsoft.done(education.team(course))
    for _ in range(2):
        microsoft.done(education.link("class_teachers", course, other, "remove"))
        microsoft.done(education.link("class_members", course, other, "remove"))
    assert education.people("class_members", course) == {education.id(teacher)}
    assert microsoft.row(other)["account_enabled"] == "true"  # a membership went, not the person


def test_a_teacher_who_left_is_followed_before_being_taken_out(
    education: EducationClasses, microsoft: Kit
) -> None:
    gone, new, student = education.person(), education.person(), education.person()
    course = microsoft.done(education.course(gone))
    education.taught(course, gone)
    microsoft.done(education.link("class_members", course, student))
    microsoft.done(education.team(course))
    microsoft.done(microsoft.to(gone, "suspend", account_enabled=False))
    last = microsoft.apply(education.link("class_teachers", course, gone, "remove"))
    assert (last.status, last.reason) == ("failed", "class_owner_stays")
    education.taught(course, new)
    microsoft.done(education.link("class_teachers", course, gone, "remove"))
    microsoft.done(education.link("class_members", course, gone, "remove"))
    assert education.people("class_teachers", course) == {education.id(new)}
    both = {education.id(new), education.id(student)}
    assert education.people("class_members", course) == both
    teams = {
        row["class_remote_id"]: row["is_archived"] for row in microsoft.observed("class_teams")
    }
    assert teams[education.of(course)] == "false"


def test_a_team_waits_for_an_owner_and_for_its_group_three_times(
    education: EducationClasses, microsoft: Kit
) -> None:
    teacher = education.person()
    course = microsoft.done(education.course(teacher))
    early = microsoft.apply(education.team(course))
    assert (early.status, early.reason) == ("failed", "class_no_owner")
    education.taught(course, teacher)
    microsoft.faults(incomplete_creation_seconds=60.0)
    team = education.team(course)
    waits = [microsoft.apply(team) for _ in range(3)]
    assert {(one.status, one.reason, one.retry_after) for one in waits} == {
        ("retry", "not_ready", 0.05)
    }
    # of a class this process made itself it is asked on, as of anything young
    other = microsoft.another()
    given_up = [other.apply([team])[0].status for _ in range(4)]
    other.close()
    assert given_up == ["retry", "retry", "retry", "failed"]
    microsoft.faults(incomplete_creation_seconds=0.0)
    microsoft.done(team)


def test_a_team_is_archived_and_restored_and_nobodys_list_of_it_is_read_meanwhile(
    education: EducationClasses, microsoft: Kit, platforms: emulated.Platforms
) -> None:
    teacher = education.person()
    course = microsoft.done(education.course(teacher))
    education.taught(course, teacher)
    microsoft.done(education.team(course))
    microsoft.done(education.team(course, "suspend", archived=True))
    teams = {
        row["class_remote_id"]: row["is_archived"] for row in microsoft.observed("class_teams")
    }
    assert teams[education.of(course)] == "true"
    assert not education.people("class_members", course)
    assert not education.people("class_teachers", course)
    microsoft.done(education.team(course, "restore"))
    assert education.people("class_teachers", course) == {education.id(teacher)}


@pytest.mark.parametrize("given", [{}, {"class_teams": True}, {"classes": True}])
def test_without_the_settings_no_class_is_asked_for(
    platforms: emulated.Platforms, given: dict[str, bool]
) -> None:
    plain = kit("microsoft", platforms, **given)
    for entity in ("classes", "class_members", "class_teachers", "class_teams"):
        wanted = given == {"classes": True} and entity != "class_teams"
        assert plain.adapter.is_wanted(entity) == wanted
        assert (entity in plain.adapter.entities) == wanted
        if not wanted:
            assert plain.observed(entity) == []
    plain.adapter.close()


# ---------------------------------------------------------------- killed at any moment


class Dies:
    """A journal of one push that is cut off at its n-th record; what it holds is what is left."""

    def __init__(self, past: Past, records: int) -> None:
        self.past, self.left, self.ended = past, records, False

    def _record(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("killed")

    def intend(self, change_ids: list[str], attempt: int) -> None:
        self._record()
        self.past.intents.update(dict.fromkeys(change_ids, str(attempt)))

    def conclude(self, lines: list[dict[str, Any]]) -> None:
        self._record()
        self.past.outcomes.update({line["change_id"]: line for line in lines})

    def end(self) -> None:
        self.ended = True


def pushed(kind: type[Classes], target: Kit, cut: int) -> tuple[Any, ...]:
    """A class whose teacher leaves and is replaced, pushed and killed at each record up to a number
    of them, then resumed to its end: what the platform holds then.
    """
    made = kind(target)
    gone, new, student, late = (made.person() for _ in range(4))
    course = target.done(made.course(gone))
    teachers = "course_teachers" if kind is Classes else "class_teachers"
    students = "course_students" if kind is Classes else "class_members"
    both = {teachers} if kind is Classes else {teachers, students}
    for entity in sorted(both):
        target.done(made.link(entity, course, gone))
    target.done(made.link(students, course, student))
    if isinstance(made, EducationClasses):
        target.done(made.team(course))
    changes = [
        target.to(gone, "suspend", **target.off),
        *([made.owned(course, new)] if kind is Classes else []),
        *(made.link(entity, course, new) for entity in sorted(both)),
        made.link(students, course, late),
        *(made.link(entity, course, gone, "remove") for entity in sorted(both)),
    ]
    roles = {"class_id": "courses" if kind is Classes else "classes"}
    roles |= {"person_id": "users"}
    known = {(entity, key_text(key)): remote for (entity, key), remote in target.made.items()}
    past = Past()
    for records in (cut, 1_000_000):
        journal = Dies(past, records)
        execution = Execution(
            target.another() if cut else target.adapter,
            changes,
            journal=journal,  # type: ignore[arg-type]
            past=past,
            stop=threading.Event(),
            references={
                "courses": {"owner_id": "users"},
                teachers: {k: roles[k] for k in ("class_id", "person_id")},
                students: {k: roles[k] for k in ("class_id", "person_id")},
            },
            keys={
                "courses": ("class_id",),
                teachers: ("class_id", "person_id"),
                students: ("class_id", "person_id"),
                "users": ("person_id",),
            },
            known=dict(known),
        )
        execution.run()
    assert journal.ended
    names = {made.id(one): word for one, word in ((gone, "gone"), (new, "new"), (student, "s"))}
    names[made.id(late)] = "late"
    there = [{names[one] for one in made.people(entity, course)} for entity in (teachers, students)]
    states = {line["status"] for line in past.outcomes.values()}
    is_open = target.row(gone)[next(iter(target.off))] == as_text(next(iter(target.on.values())))
    owner = names[made.owner(course)] if kind is Classes else ""
    return states, there, owner, is_open


@pytest.mark.parametrize("cut", [0, 1, 3, 5, 9])  # after an odd one a call nobody recorded
def test_a_course_is_handed_over_whole_wherever_the_push_is_killed(google: Kit, cut: int) -> None:
    found = pushed(Classes, google, cut)
    assert found == ({"applied"}, [{"new"}, {"s", "late"}], "new", False)


@pytest.mark.parametrize("cut", [1, 4, 7])
def test_a_class_is_followed_whole_wherever_the_push_is_killed(microsoft: Kit, cut: int) -> None:
    found = pushed(EducationClasses, microsoft, cut)
    assert found == ({"applied"}, [{"new"}, {"s", "late", "new"}], "", False)


# ---------------------------------------------------------------- what a refusal means


def said_by(name: str, code: int, reason: str, message: str) -> Reply:
    error = {"code": code, "status": reason, "message": message} if name == "google" else None
    if error:
        return google_client.reply_of(code, json.dumps({"error": error}), {})
    return graph_client.reply_of(code, {"error": {"code": reason, "message": message}}, {})


CREATING, REPEATABLE, REMOVING = Call(False), Call(True), Call(True, removing=True)
F = "FAILED_PRECONDITION"
ERRORS = [
    ("google", CREATING, 409, "ALREADY_EXISTS", "Requested entity already exists", "look"),
    ("google", REPEATABLE, 409, "ABORTED", "The operation was aborted.", "retry"),
    ("google", REPEATABLE, 429, "RESOURCE_EXHAUSTED", "Quota exceeded.", "retry"),
    ("google", REMOVING, 404, "NOT_FOUND", "Requested entity was not found.", "applied"),
    ("google", REPEATABLE, 404, "NOT_FOUND", "Requested entity was not found.", "not_found"),
    ("google", REPEATABLE, 403, "PERMISSION_DENIED", "The caller does not have.", "permission"),
    ("google", CREATING, 503, "UNAVAILABLE", "The service is unavailable.", "unknown"),
    ("google", REPEATABLE, 503, "UNAVAILABLE", "The service is unavailable.", "retry"),
    ("google", REPEATABLE, 400, F, "@CourseNotModifiable", "class_archived"),
    ("google", REPEATABLE, 400, F, "@CourseMemberLimitReached", "class_full"),
    ("google", REPEATABLE, 400, F, "@CourseTeacherLimitReached", "class_full"),
    ("google", REPEATABLE, 400, F, "@UserGroupsMembershipLimitReached", "class_groups"),
    ("google", REPEATABLE, 400, F, "@InactiveCourseOwner", "class_no_owner"),
    ("google", REMOVING, 400, F, "The course no longer has an active owner.", "class_no_owner"),
    ("google", REPEATABLE, 400, F, "@IneligibleOwner", "class_owner"),
    ("google", CREATING, 400, F, "@UserCannotOwnCourse", "class_owner"),
    ("google", CREATING, 400, F, "The course owner's account is disabled.", "class_owner"),
    ("google", REMOVING, 400, F, "The user is the primary teacher.", "class_owner_stays"),
    ("google", REMOVING, 400, F, "The owner of the course Drive folder.", "class_owner_stays"),
    ("google", CREATING, 400, F, "@CourseTitleCannotContainUrl", "class_title"),
    ("microsoft", REPEATABLE, 400, "BadRequest", "The team needs an owner.", "class_no_owner"),
    (
        "microsoft",
        REMOVING,
        400,
        "Request_BadRequest",
        "The group must have at least one owner, hence this owner cannot be removed.",
        "class_owner_stays",
    ),
    (
        "microsoft",
        REPEATABLE,
        400,
        "Request_BadRequest",
        "One or more added object references already exist for the following modified properties.",
        "look",
    ),
    ("microsoft", REMOVING, 404, "Request_ResourceNotFound", "does not exist", "applied"),
    ("microsoft", REPEATABLE, 409, "Conflict", "The group has a team already.", "retry"),
    ("microsoft", REPEATABLE, 429, "TooManyRequests", "Please wait.", "retry"),
    ("microsoft", REPEATABLE, 423, "Locked", "Locked.", "retry"),
    ("microsoft", REPEATABLE, 403, "Authorization_RequestDenied", "Insufficient.", "permission"),
    ("microsoft", CREATING, 500, "InternalServerError", "Unexpected.", "unknown"),
]


@pytest.mark.parametrize(("name", "call", "code", "reason", "message", "means"), ERRORS)
def test_each_refusal_of_a_class_leads_to_what_is_documented(
    name: str, call: Call, code: int, reason: str, message: str, means: str
) -> None:
    reply = said_by(name, code, reason, message)
    verdict = (google_client if name == "google" else graph_client).verdict(call, reply)
    if verdict.status == "failed":
        assert reply.refusal and reply.refusal.code == f"refused_{means}"
    else:
        assert verdict.status == means


@pytest.mark.parametrize(
    ("target", "entity"), [("google", "courses"), ("microsoft", "class_teams")]
)
def test_the_end_of_a_term_archives_every_class_of_a_school_and_waits_for_nobody(
    target: str, entity: str
) -> None:
    export = declared(target)[entity]
    whole, school = Group("suspend", 30, 40), Group("suspend", 12, 12, partition="07474001")
    assert holds(target, entity, export.limits, [whole, school], Allowed()) == []
    back = Group("restore", 12, 40)  # coming back to life is no end of a term
    assert holds(target, entity, export.limits, [back], Allowed()) != []
