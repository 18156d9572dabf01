"""Courses of Classroom, their aliases, teachers and students.

A course is kept with its owner; who teaches and who learns in it as lists of user ids beside.
Facts: Google's API description (classroom.v1 rev 20261028) and its page of request errors. What no
page says is a switch of the platform: `owners_must_teach` (a course is handed over only to one of
its teachers), and the wording after the `@`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from demo.platforms.google_tenant import DOMAINS, Call, Tenant, now
from demo.platforms.http import RefusalError, Reply

WRITABLE = {
    "name": 750,
    "section": 2800,
    "descriptionHeading": 3600,
    "description": 30_000,
    "room": 650,
    "subject": 1000,
}
STATES = ("PROVISIONED", "ACTIVE", "ARCHIVED", "DECLINED", "SUSPENDED")
CHANGEABLE = {*WRITABLE, "courseState", "ownerId"}
MOST_TEACHERS, MOST_MEMBERS = 20, 1000  # https://support.google.com/a/answer/6190760
PAGE, MOST_IN_A_PAGE = 30, 100  # a page is shorter than asked for where the server likes


def refuse(code: int, status: str, message: str) -> RefusalError:
    """A refusal in the new style of Google's APIs."""
    return RefusalError(
        Reply(code, {"error": {"code": code, "message": message, "status": status}})
    )


def precondition(word: str, text: str) -> RefusalError:
    return refuse(400, "FAILED_PRECONDITION", f"@{word} {text}")


def missing() -> RefusalError:
    return refuse(404, "NOT_FOUND", "Requested entity was not found.")


def call(tenant: Tenant, asked: Call) -> Reply:
    """Answer one call under /v1/courses."""
    match (asked.method, asked.parts):
        case ("GET", ("courses",)):
            return _list(tenant, asked.params)
        case ("POST", ("courses",)):
            return _create(tenant, asked.body)
        case ("GET", ("courses", key)):
            return Reply(200, course(tenant, key))
        case ("PATCH", ("courses", key)):
            return _patch(tenant, key, asked.params, asked.body)
        case ("DELETE", ("courses", key)):
            return _delete(tenant, key)
        case ("GET", ("courses", key, "aliases")):
            wanted = course(tenant, key)["id"]
            held = [a for a, of in tenant.store["course_aliases"].items() if of == wanted]
            return Reply(200, {"aliases": [{"alias": one} for one in held]} if held else {})
        case ("POST", ("courses", key, "aliases")):
            _name(tenant, course(tenant, key)["id"], str(asked.body.get("alias", "")))
            return Reply(200, {"alias": asked.body["alias"]})
        case ("GET", ("courses", key, "teachers" | "students" as role)):
            return _people(tenant, key, role, asked.params)
        case ("POST", ("courses", key, "teachers" | "students" as role)):
            return _add(tenant, key, role, asked.body)
        case ("GET", ("courses", key, "teachers" | "students" as role, user)):
            found = course(tenant, key)
            return Reply(200, _shown(found["id"], _there(tenant, found, role, user)))
        case ("DELETE", ("courses", key, "teachers" | "students" as role, user)):
            return _remove(tenant, key, role, user)
    raise refuse(404, "NOT_FOUND", "Method not found.")


def course(tenant: Tenant, key: str) -> dict[str, Any]:
    """A course by id or alias."""
    number = tenant.store["course_aliases"].get(key, key)
    found = tenant.store["courses"].get(number)
    if found is None:
        raise missing()
    return found  # type: ignore[no-any-return]


def in_course(tenant: Tenant, course_id: str, role: str) -> list[str]:
    """The ids of its teachers or students."""
    return list(tenant.store[f"course_{role}"].get(course_id, []))


def _user(tenant: Tenant, key: Any) -> dict[str, Any]:
    holder = tenant.holder(str(key)) if "@" in str(key) else ("user", str(key))
    found = tenant.store["users"].get(holder[1]) if holder and holder[0] == "user" else None
    if found is None:
        raise missing()
    return found  # type: ignore[no-any-return]


def _checked(body: Mapping[str, Any], known: set[str]) -> None:
    for name, value in body.items():
        if name not in known:
            message = (
                f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
                if name not in {"creationTime", "updateTime", "enrollmentCode", "alternateLink"}
                else f"{name}: field is read-only"
            )
            raise refuse(400, "INVALID_ARGUMENT", message)
        if not isinstance(value, str):
            raise refuse(400, "INVALID_ARGUMENT", f"Invalid value at '{name}' (TYPE_STRING)")
        if len(value) > WRITABLE.get(name, 1 << 16) or (name == "name" and not value):
            raise refuse(400, "INVALID_ARGUMENT", f"{name}: invalid length")
    if "courseState" in body and body["courseState"] not in STATES:
        raise refuse(400, "INVALID_ARGUMENT", "Invalid value at 'course_state'")
    if re.search(r"https?://", body.get("name", "")):
        raise precondition("CourseTitleCannotContainUrl", "The course title cannot contain a URL.")


def _create(tenant: Tenant, body: Mapping[str, Any]) -> Reply:
    _checked(body, {*CHANGEABLE, "id"})
    if not body.get("name") or not body.get("ownerId"):
        raise refuse(400, "INVALID_ARGUMENT", "name and ownerId are required")
    if body.get("courseState", "PROVISIONED") not in ("PROVISIONED", "ACTIVE"):
        raise refuse(400, "INVALID_ARGUMENT", "Invalid value at 'course_state'")
    owner = _user(tenant, body["ownerId"])
    if owner["suspended"]:
        raise refuse(400, "FAILED_PRECONDITION", "The course owner's account is disabled.")
    number = str(700_000_000_000 + tenant.store.number())
    if "id" in body:
        _name(tenant, number, body["id"])
    made = {
        "courseState": "PROVISIONED",
        **{name: body[name] for name in CHANGEABLE if name in body},
        "id": number,
        "ownerId": owner["id"],
        "creationTime": now(),
        "updateTime": now(),
    }
    tenant.store.put("courses", number, made)
    tenant.store.put("course_teachers", number, [owner["id"]])
    return Reply(200, made)


def _name(tenant: Tenant, number: str, alias: str) -> None:
    if not re.fullmatch(r"[dp]:.{1,254}", alias):
        raise refuse(400, "INVALID_ARGUMENT", "Invalid course alias")
    if alias in tenant.store["course_aliases"]:
        raise refuse(409, "ALREADY_EXISTS", "Requested entity already exists")
    tenant.store.put("course_aliases", alias, number)


def _patch(tenant: Tenant, key: str, params: Mapping[str, str], body: Mapping[str, Any]) -> Reply:
    found = course(tenant, key)
    mask = [one for one in params.get("updateMask", "").split(",") if one]
    if not mask or set(mask) - CHANGEABLE:
        raise refuse(400, "INVALID_ARGUMENT", "Invalid update mask")
    _checked(body, CHANGEABLE)
    if found["courseState"] in ("ARCHIVED", "DECLINED", "SUSPENDED") and mask != ["courseState"]:
        raise precondition("CourseNotModifiable", "The course is archived.")
    if "name" in mask and not body.get("name"):
        raise refuse(400, "INVALID_ARGUMENT", "name: invalid length")
    changed = {name: value for name, value in found.items() if name not in mask}
    changed |= {name: body[name] for name in mask if name in body} | {"updateTime": now()}
    if "ownerId" in mask:
        changed["ownerId"] = _new_owner(tenant, found, body.get("ownerId"))
    changed.setdefault("courseState", found["courseState"])
    tenant.store.put("courses", found["id"], changed)
    return Reply(200, changed)


def _new_owner(tenant: Tenant, found: Mapping[str, Any], wanted: Any) -> str:
    """Who is to own it; whoever owned it before stays one of its teachers."""
    owner = _user(tenant, wanted)
    teachers = in_course(tenant, found["id"], "teachers")
    if owner["suspended"] or (tenant.faults.owners_must_teach and owner["id"] not in teachers):
        raise precondition("IneligibleOwner", "The user is not eligible to own the course.")
    if owner["id"] in in_course(tenant, found["id"], "students"):
        raise precondition("IneligibleOwner", "The user is a student of the course.")
    if owner["id"] not in teachers:
        tenant.store.put("course_teachers", found["id"], [*teachers, owner["id"]])
    return str(owner["id"])


def _delete(tenant: Tenant, key: str) -> Reply:
    found = course(tenant, key)
    if found["courseState"] != "ARCHIVED":
        raise refuse(400, "FAILED_PRECONDITION", "Precondition check failed.")
    for alias in [a for a, of in tenant.store["course_aliases"].items() if of == found["id"]]:
        tenant.store.remove("course_aliases", alias)
    for table in ("courses", "course_teachers", "course_students"):
        tenant.store.remove(table, found["id"])
    return Reply(200, {})


def _size(params: Mapping[str, str]) -> int:
    text = params.get("pageSize", str(PAGE))
    if not text.isdigit():
        raise refuse(400, "INVALID_ARGUMENT", "Invalid value at 'page_size'")
    return min(int(text) or PAGE, MOST_IN_A_PAGE)


def _list(tenant: Tenant, params: Mapping[str, str]) -> Reply:
    courses = tenant.seen("courses")
    keys: list[str] = []
    if "pageToken" not in params:
        newest = sorted(courses, reverse=True)
        states = set(params.get("courseStates", "").split(",")) - {""}
        keys = [one for one in newest if not states or courses[one]["courseState"] in states]
    page, token = _page(tenant, params, keys)
    resource: dict[str, Any] = {}
    if page:
        resource["courses"] = [courses[key] for key in page if key in courses]
    return Reply(200, resource | ({"nextPageToken": token} if token else {}))


def _page(
    tenant: Tenant, params: Mapping[str, str], keys: list[str]
) -> tuple[list[str], str | None]:
    token, size = params.get("pageToken"), _size(params)
    wrong = refuse(400, "INVALID_ARGUMENT", "Invalid page token")
    return tenant.pages.follow(token, size, wrong) if token else tenant.pages.take(keys, size)


def _shown(course_id: str, user_id: str) -> dict[str, Any]:
    return {"courseId": course_id, "userId": user_id, "profile": {"id": user_id}}


def _people(tenant: Tenant, key: str, role: str, params: Mapping[str, str]) -> Reply:
    found = course(tenant, key)
    listed = list(tenant.seen(f"course_{role}").get(found["id"], []))
    page, token = _page(tenant, params, listed)
    resource: dict[str, Any] = {role: [_shown(found["id"], one) for one in page]} if page else {}
    return Reply(200, resource | ({"nextPageToken": token} if token else {}))


def _there(tenant: Tenant, found: Mapping[str, Any], role: str, key: str) -> str:
    user_id = str(_user(tenant, key)["id"])
    if user_id not in in_course(tenant, found["id"], role):
        raise missing()
    return user_id


def _add(tenant: Tenant, key: str, role: str, body: Mapping[str, Any]) -> Reply:
    found = course(tenant, key)
    if set(body) - {"userId"} or not body.get("userId"):
        raise refuse(400, "INVALID_ARGUMENT", "userId is required, and nothing else is taken")
    user = _user(tenant, body["userId"])
    if user["primaryEmail"].split("@")[1] not in DOMAINS:
        raise refuse(403, "PERMISSION_DENIED", "The user is outside of the domain.")
    if found["courseState"] in ("ARCHIVED", "DECLINED", "SUSPENDED"):
        raise precondition("CourseNotModifiable", "The course is archived.")
    if user["suspended"]:
        raise refuse(400, "FAILED_PRECONDITION", "The requested user's account is disabled.")
    teachers = in_course(tenant, found["id"], "teachers")
    students = in_course(tenant, found["id"], "students")
    if user["id"] in teachers or user["id"] in students:
        raise refuse(409, "ALREADY_EXISTS", "Requested entity already exists")
    _check_owner(tenant, found)
    if role == "teachers" and len(teachers) >= MOST_TEACHERS:
        raise precondition("CourseTeacherLimitReached", "The course has too many teachers.")
    if len(teachers) + len(students) >= MOST_MEMBERS:
        raise precondition("CourseMemberLimitReached", "The course has too many members.")
    there = teachers if role == "teachers" else students
    tenant.store.put(f"course_{role}", found["id"], [*there, user["id"]])
    return Reply(200, _shown(found["id"], user["id"]))


def _check_owner(tenant: Tenant, found: Mapping[str, Any]) -> None:
    owner = tenant.store["users"].get(found["ownerId"])
    if owner is None or owner["suspended"]:
        raise precondition("InactiveCourseOwner", "The course has no active owner.")


def _remove(tenant: Tenant, key: str, role: str, user: str) -> Reply:
    found = course(tenant, key)
    gone = _there(tenant, found, role, user)
    if gone == found["ownerId"]:
        raise refuse(400, "FAILED_PRECONDITION", "The user is the primary teacher of the course.")
    if found["courseState"] in ("ARCHIVED", "DECLINED", "SUSPENDED"):
        raise precondition("CourseNotModifiable", "The course is archived.")
    if role == "teachers":
        _check_owner(tenant, found)
    there = in_course(tenant, found["id"], role)
    tenant.store.put(f"course_{role}", found["id"], [one for one in there if one != gone])
    return Reply(200, {})
