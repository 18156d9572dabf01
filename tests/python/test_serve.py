"""The OneRoster service others read: what was delivered last, whole, read-only, as the standard
says; and read by our own source it is the district our own files are.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("starlette", reason="the service is an extra: make .venv/dev")
import trustme
from listed_kit import district
from shelf_kit import models_of
from test_oneroster import configure
from test_oneroster import raw as landed
from test_shelf import INTAKE, READ, VERSIONS, made

from common import settings, sql, store
from common.settings import SettingsError
from ingestion.__main__ import main
from ingestion.layout import load
from operations import check
from reverse_etl import applied, exports
from reverse_etl.serve import copy, query, server
from reverse_etl.serve import settings as serving
from reverse_etl.serve.app import TOKEN
from reverse_etl.serve.settings import NotServedError, Service
from reverse_etl.targets.files import Files

SECRET = "a-secret-of-the-tests"
CLIENTS = {
    "reader": {"secret": SECRET, "scopes": ["roster.readonly"]},
    "core": {"secret": SECRET, "scopes": ["roster-core.readonly"]},
}
FIRST, LATER = "2026-09-30 06:00:00.123456+00", "2026-10-01 06:00:00+00"
V11, V12 = copy.SERVED["oneroster11"], copy.SERVED["oneroster12"]
GONE = "ledger.audit.planned_changes (change_id, target, entity, key, action, old)"


def deliver(rows: dict[str, list[dict[str, Any]]], at: str = FIRST, **more: str) -> None:
    """Leave in the ledger what a delivery of these rows leaves there."""
    with store.connect() as connection:
        connection.execute("create schema if not exists exports")
        for target in VERSIONS:
            for entity, export in exports.declared(target).items():
                columns = ", ".join(f"{sql.name(c.name)} varchar" for c in export.columns)
                connection.execute(f"create or replace table {export.relation} ({columns})")
                applied.ensure(connection, export)
                changes = [
                    {
                        "key": "|".join(str(row[name]) for name in export.key),
                        "action": more.get("action", "create"),
                        "new": json.dumps({c.name: row[c.name] for c in export.sent}),
                        "subject": None,
                        "partition": None,
                        "source": None,
                        "run_id": "r",
                        "finished_at": at,
                    }
                    for row in rows.get(export.model, ())
                ]
                connection.execute(
                    "create or replace temp table said (key varchar, action varchar, new json,"
                    " subject varchar, partition varchar, source varchar, run_id varchar,"
                    " finished_at timestamptz, family varchar)"
                )
                if changes:
                    connection.executemany(
                        "insert into said values (?, ?, ?, ?, ?, ?, ?, ?, null)",
                        [[*one.values()] for one in changes],
                    )
                for one in changes:
                    if one["action"] == "remove":
                        name = f"{target} {entity} {one['key']}"
                        connection.execute(
                            f"insert into {GONE} values (?, ?, ?, ?, 'remove', ?)",
                            [name, target, entity, one["key"], one["new"]],
                        )
                        connection.execute(
                            "insert into ledger.audit.outcomes (change_id, status, finished_at)"
                            " values (?, 'applied', ?)",
                            [name, at],
                        )
                if changes:
                    applied.record(connection, target, entity, "said")


@pytest.fixture(scope="module")
def delivered() -> dict[str, list[dict[str, Any]]]:
    """What the models make of a drawn district: model -> rows."""
    names = {name for target in VERSIONS for name in models_of(target)}
    order = list(dict.fromkeys(n for t in VERSIONS for n in models_of(t)))
    assert names == {*order}
    return made(district(1), *order)


@pytest.fixture(scope="module")
def first_house(tmp_path_factory: pytest.TempPathFactory, delivered: Any) -> Iterator[Path]:
    """A house that delivered both packages once."""
    var = tmp_path_factory.mktemp("house") / "var"
    with pytest.MonkeyPatch.context() as set_here:
        configured_for(var, set_here)
        deliver(delivered)
        copy.renew()
    yield var


def configured_for(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(var))
    monkeypatch.setenv("SERVE__ONEROSTER__DELETED_DAYS", "3650")
    for target in VERSIONS:
        monkeypatch.setenv(f"TARGETS__{target.upper()}__ENABLED", "true")
    for name, client in CLIENTS.items():
        for key, value in client.items():
            text = json.dumps(value) if isinstance(value, list) else value
            monkeypatch.setenv(f"SERVE__ONEROSTER__CLIENTS__{name.upper()}__{key.upper()}", text)


@pytest.fixture
def house(first_house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it."""
    var = tmp_path / "var"
    shutil.copytree(first_house, var)
    configured_for(var, monkeypatch)
    return var


@contextmanager
def running(**said: Any) -> Iterator[str]:
    """The service, by uvicorn, on a free port of this machine -> its address."""
    given = Service.model_validate({"clients": CLIENTS, **said})
    one = server.made(given.model_copy(update={"port": 0}))
    thread = threading.Thread(target=one.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not one.started and time.monotonic() < until:
        time.sleep(0.02)
    port = one.servers[0].sockets[0].getsockname()[1]
    scheme = "https" if given.certificate else "http"
    try:
        yield f"{scheme}://127.0.0.1:{port}"
    finally:
        one.should_exit = True
        thread.join(20)


class Reader:
    """A client that signed in."""

    def __init__(self, address: str, name: str = "reader", **more: Any) -> None:
        self._http = httpx.Client(base_url=address, **more)
        answer = self._http.post(
            TOKEN, data={"grant_type": "client_credentials"}, auth=(name, SECRET)
        )
        self._token = answer.json()["access_token"]

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self._http.get(
            path, params=params or None, headers={"Authorization": f"Bearer {self._token}"}
        )

    def all(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Every record, by the links to the next page."""
        found: list[dict[str, Any]] = []
        answer = self.get(path, **params)
        while True:
            ((_, page),) = answer.json().items()
            found += page
            if not (further := answer.links.get("next")):
                assert len(found) == int(answer.headers["X-Total-Count"])
                return found
            answer = self.get(further["url"])


@pytest.fixture(scope="module")
def reader(first_house: Path) -> Iterator[Reader]:
    with pytest.MonkeyPatch.context() as set_here:
        configured_for(first_house, set_here)
        with running() as address:
            yield Reader(address)


# ---------------------------------------------------------------- read back by our own source


def write_files(rows: dict[str, list[dict[str, Any]]], target: str, folder: Path) -> None:
    folder.mkdir()
    for export in exports.declared(target).values():
        assert export.file
        with (folder / export.file.name).open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow([c.header for c in export.sent])
            writer.writerows([[row[c.name] for c in export.sent] for row in rows[export.model]])


def intake(var: Path) -> dict[str, Counter[str]]:
    """What the intake of OneRoster makes of the raw tables that were landed."""
    from sql_kit import seed
    from test_shelf import TONIGHT

    more: dict[str, Any] = {"grades": seed("grades"), "run_context": ("as_of", (TONIGHT,))}
    with store.connect() as connection:
        for (name,) in connection.execute(
            "select table_name from information_schema.tables where table_schema = 'raw_oneroster'"
        ).fetchall():
            shown = connection.execute(f"select * from raw_oneroster.{name}")
            columns = [column[0] for column in shown.description or ()]
            more[name] = (
                " ".join(f"{column}:varchar" for column in columns),
                *(
                    tuple(None if value is None else str(value) for value in row)
                    for row in shown.fetchall()
                ),
            )
    names = [*(f"stg_oneroster__{one}" for one in READ)]
    names += [f"intake_oneroster__{one}" for one in INTAKE]
    shown_rows = made(district(1), *names, more=more)
    return {
        name: Counter(
            repr(sorted((k, v) for k, v in row.items() if not k.startswith("source")))
            for row in shown_rows[f"intake_oneroster__{name}"]
        )
        for name in INTAKE
    }


@pytest.mark.slow
@pytest.mark.parametrize("target", VERSIONS)
def test_our_own_source_reads_of_the_service_what_it_reads_of_our_files(
    target: str, house: Path, delivered: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(delivered, target, tmp_path / "files")
    feeds = [feed.name for feed in load("oneroster").feeds if feed.name in exports_of(target)]
    with running() as address, monkeypatch.context() as by_files:
        configure(
            by_files,
            tmp_path / "csv",
            kind="files",
            layout="oneroster",
            location=str(tmp_path / "files"),
        )
        assert main(["--source", "oneroster"]) == 0
        expected, core = {name: landed(name) for name in feeds}, intake(tmp_path / "csv")
        auth = {
            "type": "oauth2_client_credentials",
            "client_id": "reader",
            "client_secret": SECRET,
            "access_token_url": f"{address}{TOKEN}",
        }
        configure(
            by_files,
            tmp_path / "api",
            kind="oneroster",
            base_url=address + copy.SERVED[target],
            auth=auth,
            page_size=7,
        )
        assert main(["--source", "oneroster"]) == 0
        assert {name: landed(name) for name in feeds} == expected
        assert all(expected.values())
        found = intake(tmp_path / "api")
        assert found == core
        assert found["students"] and found["section_students"] and found["staff"]
        # the next night asks for what changed, and nothing did
        assert main(["--source", "oneroster"]) == 0
        assert {name: landed(name) for name in feeds} == expected


def exports_of(target: str) -> set[str]:
    """The feeds of our source a package has."""
    there = {"enrollments" if e == "enrolments" else e for e in exports.declared(target)}
    return there - {copy.MANIFEST}


# ---------------------------------------------------------------- lists


def test_a_list_is_read_page_by_page_and_says_how_many_there_are(reader: Reader) -> None:
    every = reader.get(f"{V12}/users", limit=10_000).json()["users"]
    assert len(every) > 10
    answer = reader.get(f"{V12}/users", limit=4, offset=4)
    assert answer.headers["X-Total-Count"] == str(len(every))
    assert answer.json()["users"] == every[4:8]
    links = {rel: str(link["url"]) for rel, link in answer.links.items()}
    assert set(links) == {"first", "prev", "next", "last"}
    assert "limit=4&offset=8" in links["next"] and links["next"].startswith("http://127.0.0.1:")
    assert reader.all(f"{V12}/users", limit=3) == every
    assert [u["sourcedId"] for u in every] == sorted({u["sourcedId"] for u in every})
    beyond = reader.get(f"{V12}/users", limit=4, offset=10_000)
    assert (beyond.status_code, beyond.json()["users"]) == (200, [])
    assert "next" not in beyond.links


@pytest.mark.parametrize("base", (V11, V12))
@pytest.mark.parametrize(
    ("name", "of", "keeps"),
    (
        ("schools", "orgs", lambda r: r["type"] == "school"),
        ("students", "users", lambda r: "student" in roles(r)),
        ("teachers", "users", lambda r: "teacher" in roles(r)),
        ("terms", "academicSessions", lambda r: r["type"] in {"term", "semester"}),
        ("gradingPeriods", "academicSessions", lambda r: r["type"] == "gradingPeriod"),
    ),
)
def test_a_part_of_a_list_has_the_records_it_is_named_for(
    reader: Reader, base: str, name: str, of: str, keeps: Any
) -> None:
    found = reader.all(f"{base}/{name}", limit=500)
    assert found == [one for one in reader.all(f"{base}/{of}", limit=500) if keeps(one)]
    assert found or name == "gradingPeriods"
    if found:
        (record,) = reader.get(f"{base}/{name}/{found[0]['sourcedId']}").json().values()
        assert record == found[0]


def roles(user: dict[str, Any]) -> set[str]:
    return {user["role"]} if "role" in user else {one["role"] for one in user["roles"]}


@pytest.mark.parametrize("base", (V11, V12))
def test_what_belongs_to_a_record_is_what_the_enrolments_say(reader: Reader, base: str) -> None:
    def ids(path: str) -> list[str]:
        return [one["sourcedId"] for one in reader.all(f"{base}/{path}", limit=500)]

    every = reader.all(f"{base}/enrollments", limit=5_000)
    of_class: dict[tuple[str, str], set[str]] = {}
    for one in every:
        of_class.setdefault((one["class"]["sourcedId"], one["role"]), set()).add(
            one["user"]["sourcedId"]
        )
    for (key, role), people in list(of_class.items())[:6]:
        assert ids(f"classes/{key}/{role}s") == sorted(people)
        member = min(people)
        assert key in ids(f"users/{member}/classes")
        if member in ids(f"{role}s"):  # an administrator may teach
            assert key in ids(f"{role}s/{member}/classes")
    classes = reader.all(f"{base}/classes", limit=500)
    one = classes[0]
    school, course = one["school"]["sourcedId"], one["course"]["sourcedId"]
    assert ids(f"schools/{school}/classes") == [
        c["sourcedId"] for c in classes if c["school"]["sourcedId"] == school
    ]
    assert one["sourcedId"] in ids(f"courses/{course}/classes")
    for term in ids("terms"):
        assert ids(f"terms/{term}/classes") == [
            c["sourcedId"] for c in classes if term in {t["sourcedId"] for t in c["terms"]}
        ]
    assert course in ids(f"schools/{school}/courses")
    assert ids(f"schools/{school}/enrollments") == sorted(
        e["sourcedId"] for e in every if e["school"]["sourcedId"] == school
    )
    inside = ids(f"schools/{school}/classes/{one['sourcedId']}/enrollments")
    assert inside == sorted(
        e["sourcedId"] for e in every if e["class"]["sourcedId"] == one["sourcedId"]
    )
    other = next(c for c in classes if c["school"]["sourcedId"] != school)
    answer = reader.get(f"{base}/schools/{school}/classes/{other['sourcedId']}/students")
    assert answer.status_code == 404

    def schools(user: dict[str, Any]) -> set[str]:
        orgs = user.get("orgs") or [role["org"] for role in user["roles"]]
        return {org["sourcedId"] for org in orgs}

    assert ids(f"schools/{school}/students") == [
        user["sourcedId"]
        for user in reader.all(f"{base}/students", limit=500)
        if school in schools(user)
    ]


def test_every_reference_of_a_record_leads_to_the_record_it_names(reader: Reader) -> None:
    def references(value: Any) -> Iterator[dict[str, str]]:
        if isinstance(value, dict):
            if "href" in value:
                yield value
            for one in value.values():
                yield from references(one)
        elif isinstance(value, list):
            for one in value:
                yield from references(one)

    for base in (V11, V12):
        for name in ("orgs", "academicSessions", "courses", "classes", "users", "enrollments"):
            for record in reader.get(f"{base}/{name}", limit=3).json()[name]:
                for one in references(record):
                    answer = reader.get(one["href"])
                    assert answer.status_code == 200, one
                    ((kind, found),) = answer.json().items()
                    assert (kind, found["sourcedId"]) == (one["type"], one["sourcedId"])


# ---------------------------------------------------------------- filters, sort, fields

FILTERS = {
    "role='student'": lambda u: u["role"] == "student",
    "role!='student'": lambda u: u["role"] != "student",
    "familyName>='m'": lambda u: u["familyName"].casefold() >= "m",
    "familyName<'m'": lambda u: u["familyName"].casefold() < "m",
    "givenName~'A'": lambda u: "a" in u["givenName"].casefold(),
    "role='student' AND familyName>'m'": (
        lambda u: u["role"] == "student" and u["familyName"].casefold() > "m"
    ),
    "role='teacher' OR role='administrator'": lambda u: u["role"] in {"teacher", "administrator"},
    "role='teacher' OR role='student' AND givenName~'a'": (
        lambda u: (
            u["role"] == "teacher" or (u["role"] == "student" and "a" in u["givenName"].lower())
        )
    ),
    "orgs.sourcedId~'07474001'": (lambda u: "07474001" in {org["sourcedId"] for org in u["orgs"]}),
    "status='active'": lambda u: True,
    "dateLastModified>'2026-09-30'": lambda u: True,
    "dateLastModified>'2026-09-30T06:00:00.123Z'": lambda u: False,
    "dateLastModified>='2026-09-30T06:00:00.123Z'": lambda u: True,
    "dateLastModified<'2026-09-30T00:00:00-08:00'": lambda u: True,
}


@pytest.mark.parametrize("text", FILTERS)
def test_a_filter_keeps_what_it_says(reader: Reader, text: str) -> None:
    every = reader.all(f"{V11}/users", limit=5_000)
    kept = reader.all(f"{V11}/users", limit=5, filter=text)
    assert kept == [one for one in every if FILTERS[text](one)]


def test_a_plus_that_travelled_as_a_space_is_one() -> None:
    assert query.moment("2026-09-30T06:00:00 00:00") == query.moment("2026-09-30T06:00:00Z")


def test_records_are_sorted_as_asked_and_those_without_the_field_come_last(reader: Reader) -> None:
    every = reader.all(f"{V12}/users", limit=5_000)
    for order in ("asc", "desc"):
        found = reader.all(f"{V12}/users", limit=6, sort="grades", orderBy=order)
        assert sorted(map(repr, found)) == sorted(map(repr, every))
        named = [one["grades"] for one in found if "grades" in one]
        assert named == sorted(named, reverse=order == "desc")
        assert all("grades" in one for one in found[: len(named)])


def test_only_the_fields_asked_for_are_given(reader: Reader) -> None:
    for one in reader.get(f"{V12}/users", fields="sourcedId,familyName").json()["users"]:
        assert set(one) == {"sourcedId", "familyName"}


@pytest.mark.parametrize(
    ("params", "code"),
    (
        ({"filter": "shoe='9'"}, "invalid_filter_field"),
        ({"filter": "role=student"}, "invalid_filter_field"),
        ({"filter": "role='student' XOR role='teacher'"}, "invalid_filter_field"),
        ({"filter": "dateLastModified>'yesterday'"}, "invalid_filter_field"),
        ({"fields": "sourcedId,,role"}, "invalid_selection_field"),
        ({"limit": "0"}, "invaliddata"),
        ({"limit": "10001"}, "invaliddata"),
        ({"offset": "-1"}, "invaliddata"),
        ({"orderBy": "up"}, "invaliddata"),
    ),
)
def test_what_nobody_can_follow_is_refused_in_the_standards_words(
    reader: Reader, params: dict[str, str], code: str
) -> None:
    answer = reader.get(f"{V12}/users", **params)
    assert answer.status_code == 400
    assert minor(answer) == code
    assert answer.json()["imsx_codeMajor"] == "failure"
    old = reader.get(f"{V11}/users", **params)
    (info,) = old.json()["statusInfoSet"]
    assert (old.status_code, info["imsx_severity"]) == (400, "error")
    assert info["imsx_codeMinor"].replace(" ", "") == code


def minor(answer: httpx.Response) -> str:
    (one,) = answer.json()["imsx_CodeMinor"]["imsx_codeMinorField"]
    return one["imsx_codeMinorFieldValue"]


def test_a_sort_or_selection_nobody_knows_is_answered_whole_with_a_warning(reader: Reader) -> None:
    every = reader.get(f"{V11}/users").json()["users"]
    for params, code in (({"sort": "shoe"}, "sort"), ({"fields": "shoe"}, "selection")):
        answer = reader.get(f"{V11}/users", **params)
        assert (answer.status_code, answer.json()["users"]) == (200, every)
        (info,) = answer.json()["statusInfoSet"]
        assert info["imsx_codeMinor"] == f"invalid_{code}_field"
        assert reader.get(f"{V12}/users", **params).status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "code"),
    (
        (f"{V12}/shoes", 404, "unknownobject"),
        (f"{V12}/users/nobody", 404, "unknownobject"),
        (f"{V12}/demographics", 404, "unknownobject"),
        (f"{V12}/users/nobody/classes", 404, "unknownobject"),
        ("/ims/oneroster/v9", 404, "unknownobject"),
    ),
)
def test_what_is_not_there_is_said_so(reader: Reader, path: str, status: int, code: str) -> None:
    answer = reader.get(path)
    assert (answer.status_code, minor(answer)) == (status, code)


# ---------------------------------------------------------------- who may read


def test_nobody_reads_without_a_token_and_none_is_given_for_a_wrong_secret(house: Path) -> None:
    with running() as address, httpx.Client(base_url=address) as http:
        for headers in ({}, {"Authorization": "Bearer made-up"}, {"Authorization": "Basic eA=="}):
            answer = http.get(f"{V12}/users", headers=headers)
            assert (answer.status_code, minor(answer)) == (401, "unauthorisedrequest")
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        asked = {"grant_type": "client_credentials"}
        for name, secret in (("reader", "wrong"), ("nobody", SECRET), ("reader", ""), ("", "")):
            answer = http.post(TOKEN, data=asked, auth=(name, secret))
            assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})
        assert http.post(TOKEN, data=asked, auth=("reader", SECRET)).status_code == 200
        body = {**asked, "client_id": "reader", "client_secret": SECRET}
        given = http.post(TOKEN, data=body).json()
        assert (given["token_type"], given["expires_in"]) == ("Bearer", 3600)
        wrong = http.post(TOKEN, data={"grant_type": "password"}, auth=("reader", SECRET))
        assert wrong.json() == {"error": "unsupported_grant_type"}
        wrong = http.post(TOKEN, data={**asked, "scope": "all"}, auth=("reader", SECRET))
        assert wrong.json() == {"error": "invalid_scope"}
        for verb in ("POST", "PUT", "DELETE", "PATCH"):
            answer = http.request(verb, f"{V12}/users/x")
            assert (answer.status_code, minor(answer)) == (405, "unsupported")
        for _ in range(20):
            http.post(TOKEN, data=asked, auth=("reader", "wrong"))
        assert http.post(TOKEN, data=asked, auth=("reader", SECRET)).status_code == 429


def test_a_scope_lets_read_what_it_says_and_no_more(house: Path) -> None:
    with running() as address:
        core = Reader(address, "core")
        (school, *_) = core.all(f"{V12}/schools")
        answer = core.get(f"{V12}/schools/{school['sourcedId']}/students")
        assert (answer.status_code, minor(answer)) == (403, "forbidden")
        http = httpx.Client(base_url=address)
        one = "https://purl.imsglobal.org/spec/or/v1p1/scope/roster-core.readonly"
        given = http.post(
            TOKEN, data={"grant_type": "client_credentials", "scope": one}, auth=("reader", SECRET)
        ).json()
        assert given["scope"] == one
        mine = {"Authorization": f"Bearer {given['access_token']}"}
        assert http.get(f"{V11}/users", headers=mine).status_code == 200
        assert http.get(f"{V12}/users", headers=mine).status_code == 403


def test_a_token_that_is_over_reads_nothing(house: Path) -> None:
    with running(token_seconds=1) as address:
        one = Reader(address)
        assert one.get(f"{V12}/orgs").status_code == 200
        time.sleep(1.1)
        assert one.get(f"{V12}/orgs").status_code == 401


@pytest.mark.parametrize(
    ("said", "why"),
    (
        ({"host": '"0.0.0.0"'}, "certificate"),
        ({"host": '"::"'}, "certificate"),
        ({"host": '"roster.example"'}, "certificate"),
        ({"certificate": "own.pem"}, "go together"),
        ({"clients__reader__secret": "short"}, "16 characters"),
        ({"clients__other__scopes": '["roster.readonly"]'}, "other] has no secret"),
        ({"clients__reader__scopes": '["everything"]'}, "roster-core.readonly"),
        ({"public_address": "http://x.example"}, "https://"),
    ),
)
def test_what_would_let_others_listen_or_guess_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: dict[str, str], why: str
) -> None:
    configured_for(tmp_path, monkeypatch)
    assert serving.read().clients
    for key, value in said.items():
        monkeypatch.setenv(f"SERVE__ONEROSTER__{key.upper()}", value)
    with pytest.raises(SettingsError, match=re.escape(why)):
        serving.read()
    with pytest.raises(SettingsError):
        check._serve()


def test_nobody_is_served_who_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SERVE__")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SERVE__ONEROSTER__PORT", "1")
    with pytest.raises(NotServedError, match="names nobody"):
        serving.read()


def test_others_reach_it_by_tls_only(house: Path, tmp_path: Path) -> None:
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    pem, key = tmp_path / "own.pem", tmp_path / "own.key"
    pem.write_bytes(b"".join(one.bytes() for one in own.cert_chain_pems))
    own.private_key_pem.write_to_path(key)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with running(certificate=str(pem), key_file=str(key), host="127.0.0.1") as address:
        assert Reader(address, verify=trusting).all(f"{V12}/orgs")
        with pytest.raises(httpx.HTTPError):
            httpx.get(address.replace("https", "http") + V12)
    with pytest.raises(NotServedError, match="as PEM"):
        server.made(Service(certificate=str(key), key_file=str(pem)))


# ---------------------------------------------------------------- which night


def test_a_row_keeps_its_date_until_it_changes_and_one_that_went_is_told(
    house: Path, delivered: Any
) -> None:
    model = "exp_oneroster12__users"
    changed, gone, *_ = delivered[model]
    with running() as address:
        before = {one["sourcedId"]: one for one in Reader(address).all(f"{V12}/users")}
        assert {one["dateLastModified"] for one in before.values()} == {"2026-09-30T06:00:00.123Z"}
        copy.renew()  # a quiet night
        assert {o["sourcedId"]: o for o in Reader(address).all(f"{V12}/users")} == before
        deliver({model: [{**changed, "family_name": "New"}]}, LATER, action="update")
        deliver({model: [gone]}, LATER, action="remove")
        copy.renew()
        reader = Reader(address)
        after = {one["sourcedId"]: one for one in reader.all(f"{V12}/users")}
        assert set(after) == set(before)
        news = {key for key in after if after[key] != before[key]}
        assert news == {changed["sourced_id"], gone["sourced_id"]}
        assert {after[key]["dateLastModified"] for key in news} == {"2026-10-01T06:00:00.000Z"}
        assert after[gone["sourced_id"]]["status"] == "tobedeleted"
        assert after[changed["sourced_id"]]["familyName"] == "New"
        since = "dateLastModified>'2026-09-30T06:00:00.123Z'"
        assert {o["sourcedId"] for o in reader.all(f"{V12}/users", filter=since)} == news
        active = {o["sourcedId"] for o in reader.all(f"{V12}/users", filter="status='active'")}
        assert active == set(before) - {gone["sourced_id"]}


def test_who_went_and_came_back_is_listed_once_and_is_here(house: Path, delivered: Any) -> None:
    model = "exp_oneroster12__users"
    back = delivered[model][0]
    deliver({model: [back]}, LATER, action="remove")
    deliver({model: [back]}, "2026-10-02 06:00:00+00")
    copy.renew()
    with running() as address:
        found = [
            (one["status"], one["dateLastModified"])
            for one in Reader(address).all(f"{V12}/users")
            if one["sourcedId"] == back["sourced_id"]
        ]
    assert found == [("active", "2026-10-02T06:00:00.000Z")]


def test_who_reads_while_a_night_ends_reads_one_night_to_the_end(
    house: Path, delivered: Any
) -> None:
    gone = delivered["exp_oneroster12__users"][0]
    with running() as address:
        reader = Reader(address)
        first = reader.get(f"{V12}/users", limit=2).json()["users"]
        deliver({"exp_oneroster12__users": [gone]}, LATER, action="remove")
        copy.renew()
        every = reader.all(f"{V12}/users", limit=2)
        assert every[:2] == first and {one["status"] for one in every} == {"active"}
        assert "tobedeleted" in {o["status"] for o in Reader(address).all(f"{V12}/users")}


def test_who_went_is_told_for_so_many_days_only(
    house: Path, delivered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = delivered["exp_oneroster12__users"][0]
    deliver({"exp_oneroster12__users": [gone]}, "2012-01-01 00:00:00+00", action="remove")
    copy.renew()
    with running() as address:
        found = {one["sourcedId"] for one in Reader(address).all(f"{V12}/users")}
        assert gone["sourced_id"] not in found


def test_a_user_whose_role_changed_is_news_and_has_the_roles_that_stand(
    house: Path, delivered: Any
) -> None:
    role = delivered["exp_oneroster12__roles"][0]
    deliver({"exp_oneroster12__roles": [role]}, LATER, action="remove")
    copy.renew()
    with running() as address:
        reader = Reader(address)
        since = "dateLastModified>'2026-09-30T06:00:00.123Z'"
        (user,) = reader.all(f"{V12}/users", filter=since)
        assert user["sourcedId"] == role["user_sourced_id"]
        assert role["org_sourced_id"] not in {one["org"]["sourcedId"] for one in user["roles"]}


def test_before_anything_was_delivered_it_is_busy_and_nothing_is_served(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy.path().unlink()
    with running() as address:
        answer = Reader(address).get(f"{V12}/users")
        assert (answer.status_code, minor(answer)) == (503, "server_busy")


def test_the_copy_has_what_is_served_and_goes_when_nobody_serves(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert copy.path().stat().st_mode & 0o777 == 0o400
    assert copy.path().parent.stat().st_mode & 0o077 == 0
    for name in list(os.environ):
        if name.startswith("SERVE__"):
            monkeypatch.delenv(name)
    assert not settings.is_on("serve", "oneroster")
    assert copy.renew() == 0
    assert not copy.path().exists()


def test_a_package_nobody_is_sent_is_kept_for_who_fetches(house: Path, tmp_path: Path) -> None:
    from test_target_files_sent import deliver as delivery
    from test_target_files_sent import only

    target = Files("oneroster12", {"kind": "files", "via": "served"})
    outcome = only(target, delivery(tmp_path, b"zip", "oneroster.zip"))
    assert outcome.status == "applied"
    assert (house / "served" / "oneroster12" / "oneroster.zip").read_bytes() == b"zip"
    assert "lets us in" in target.check_connection()


def test_nothing_of_anybody_is_logged(
    house: Path, delivered: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    user = delivered["exp_oneroster12__users"][0]
    with running() as address:
        reader = Reader(address)
        reader.get(f"{V12}/users", filter=f"familyName='{user['family_name']}'")
        reader.get(f"{V12}/users/{user['sourced_id']}")
        reader.get(f"{V12}/users/{user['sourced_id']}/shoes")
        reader.get(f"{V12}/users", filter="givenName='Canary' AND")
    said = "".join(capfd.readouterr())
    assert "served version=oneroster12 list=users client=reader" in said
    for word in (user["family_name"], user["sourced_id"], user["username"], "Canary", SECRET):
        assert word not in said
