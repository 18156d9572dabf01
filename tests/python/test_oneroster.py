"""One district, two student information systems: OneRoster files give the accounts and memberships
the extracts give.

The same synthetic district is written as MyEducation BC extracts and as OneRoster 1.2 and 1.1, read
by the real ingestion and built by the real models, each into a folder of its own; the export tables
are compared. Where they may differ, the reason stands beside it: OneRoster has no place for the
fact.
"""

from __future__ import annotations

import csv
import json
import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import duckdb
import pytest
import rest_server
from conftest import District

from common import paths, settings, store
from demo import extracts, hr, oneroster
from ingestion.__main__ import main
from ingestion.layout import LayoutError, load
from ingestion.model import Fetched, Problem
from ingestion.source import source_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
DAY = {"students": 200, "seed": 22, "day": 1}
AS_OF = "2026-10-06"

# The tables of the specification, version by version (1EdTech, OneRoster CSV Tables 1.1 and 1.2).
SPECIFIED = {
    "orgs": "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId",
    "academicSessions": (
        "sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear"
    ),
    "courses": (
        "sourcedId,status,dateLastModified,schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes"
    ),
    "classes": (
        "sourcedId,status,dateLastModified,title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,termSourcedIds,subjects,"
        "subjectCodes,periods"
    ),
    "enrollments": (
        "sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate"
    ),
    "demographics": (
        "sourcedId,status,dateLastModified,birthDate,sex,americanIndianOrAlaskaNative,asian,blackOrAfricanAmerican,"
        "nativeHawaiianOrOtherPacificIslander,white,demographicRaceTwoOrMoreRaces,hispanicOrLatinoEthnicity,countryOfBirthCode,stateOfBirthAbbreviation,"
        "cityOfBirth,publicSchoolResidenceStatus"
    ),
}
USERS = {
    "1.1": (
        "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,"
        "agentSourcedIds,grades,password"
    ),
    "1.2": (
        "sourcedId,status,dateLastModified,enabledUser,username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,"
        "password,userMasterIdentifier,preferredGivenName,preferredMiddleName,preferredFamilyName,primaryOrgSourcedId,pronouns"
    ),
}
ROLES = "sourcedId,status,dateLastModified,userSourcedId,roleType,role,beginDate,endDate,orgSourcedId,userProfileSourcedId"  # noqa: E501

# Exports that are empty without a fact OneRoster does not have.
EMPTY = {
    "exp_callout__absences": "there are no absences",
    "exp_callout__contacts": "nothing says whether a family may be called, so nobody is",
    "exp_portfolio__family": "nothing says that a parent may be told, and no row of guardian_rules",
    "exp_transport__students": "there are no addresses",
}
# nobody is renamed, no tenant has been read for its subscriptions, and nobody asked for the classes
# or the licences of Google, or the settings of its groups
LATER = (
    "exp_google__aliases",
    "exp_google__licences",
    "exp_google__courses",
    "exp_google__group_settings",
    "exp_google__schema_fields",
    "exp_google__user_details",
    "exp_google__course_students",
    "exp_google__course_teachers",
    "exp_microsoft__licences",
    "exp_microsoft__classes",
    "exp_microsoft__class_members",
    "exp_microsoft__class_teachers",
    "exp_microsoft__class_teams",
    "exp_microsoft__user_details",
    "exp_microsoft__managers",
)
# Columns that differ, whatever the row.
LOST = {"exp_portfolio__students": {"pre_reg_school_code": "next year's school is not carried"}}
SAME = (
    "exp_google__schemas",
    "exp_google__org_units",
    "exp_google__users",
    "exp_google__groups",
    "exp_google__members",
    "exp_microsoft__users",
    "exp_microsoft__groups",
    "exp_microsoft__members",
    "exp_portfolio__classes",
    "exp_portfolio__enrolments",
    "exp_portfolio__staff",
)

Row = dict[str, object]


@dataclass(frozen=True)
class Built:
    """A state folder after ingestion and build."""

    var: Path
    said: str

    def rows(self, sql: str) -> list[Row]:
        with duckdb.connect(str(self.var / "warehouse.duckdb"), read_only=True) as connection:
            connection.execute(f"attach '{self.var / 'ledger.duckdb'}' as ledger (read_only)")
            cursor = connection.execute(sql)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def export(self, name: str, without: tuple[str, ...] = ()) -> Counter[tuple]:
        """The rows of an export; `source` names a file, and files differ."""
        return Counter(
            tuple(value for column, value in row.items() if column not in {"source", *without})
            for row in self.rows(f"from exports.{name}")
        )

    def feeds(self) -> dict[tuple[str, str], str]:
        """What the first run, the one of the ingestion, says of its feeds."""
        documents = sorted((self.var / "runs").glob("2*/feeds.json"))
        return {
            (feed["source"], feed["feed"]): feed["status"]
            for feed in json.loads(documents[0].read_text(encoding="utf-8"))
        }

    def findings(self, source: str) -> list[Row]:
        lines = [
            line
            for path in (self.var / "runs").glob("2*/findings.jsonl")
            for line in path.read_text(encoding="utf-8").splitlines()
        ]
        return [finding for finding in map(json.loads, lines) if finding["source"] == source]


def run(var: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return District(var).run(*command, check=False, **{"HOMEROOM_AS_OF": AS_OF} | environment)


def connected(source: str, folder: Path) -> dict[str, str]:
    """The settings of a source, as the environment says them."""
    name = f"SOURCES__{source.upper()}__"
    return {f"{name}KIND": "files", f"{name}LAYOUT": source, f"{name}LOCATION": str(folder)}


def built(var: Path, source: str, write) -> Built:
    """Write the district's files, ingest them with the HR system, build."""
    folder = var / "files"
    write(folder)
    hr.write_day(var / "hr.sqlite", **DAY)
    settings = connected(source, folder) | {"SOURCES__HR__URL": f"sqlite:///{var / 'hr.sqlite'}"}
    ingested = run(var, "ingestion", "--source", source, "--source", "hr", **settings)
    assert ingested.returncode == 0, ingested.stderr
    ended = run(var, "operations", "build", **settings)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return Built(var, ingested.stderr)


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(
        tmp_path_factory.mktemp("myedbc"),
        "myedbc",
        lambda folder: extracts.write_day(folder, **DAY),
    )


@pytest.fixture(scope="module")
def rostered(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(
        tmp_path_factory.mktemp("oneroster"),
        "oneroster",
        lambda folder: oneroster.write_day(folder, **DAY),
    )


@pytest.fixture(scope="module")
def rostered_11(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(
        tmp_path_factory.mktemp("oneroster11"),
        "oneroster",
        lambda folder: oneroster.write_day(folder, **DAY, version="1.1"),
    )


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("version", oneroster.VERSIONS)
def test_the_demo_writes_the_columns_of_the_specification_in_its_order(
    version: str, tmp_path: Path
) -> None:
    oneroster.write_day(tmp_path, **DAY, version=version)
    headings = {
        path.stem: path.read_text(encoding="utf-8").splitlines()[0]
        for path in tmp_path.glob("*.csv")
    }
    assert headings.pop("manifest") == "propertyName,value"
    assert headings == SPECIFIED | {"users": USERS[version]} | (
        {"roles": ROLES} if version == "1.2" else {}
    )
    manifest = {line["propertyName"]: line["value"] for line in table(tmp_path, "manifest")}
    assert (manifest["manifest.version"], manifest["oneroster.version"]) == ("1.0", version)
    assert {
        name[5:] for name, value in manifest.items() if name.startswith("file.") and value == "bulk"
    } == set(headings)


@pytest.mark.parametrize("version", oneroster.VERSIONS)
def test_the_written_files_are_a_whole_bulk_set(version: str, tmp_path: Path) -> None:
    """References resolve, ids are unique, bulk rows have no status, a class has one primary teacher
    at most.
    """
    oneroster.write_day(tmp_path, **DAY, version=version)
    tables = {
        path.stem: table(tmp_path, path.stem)
        for path in tmp_path.glob("*.csv")
        if path.stem != "manifest"
    }
    ids = {name: {row["sourcedId"] for row in rows} for name, rows in tables.items()}
    assert {name: len(rows) for name, rows in tables.items()} == {
        name: len(found) for name, found in ids.items()
    }
    assert {
        row[column]
        for rows in tables.values()
        for row in rows
        for column in ("status", "dateLastModified")
    } == {""}
    owners = {
        "orgSourcedId": "orgs",
        "schoolSourcedId": "orgs",
        "primaryOrgSourcedId": "orgs",
        "orgSourcedIds": "orgs",
        "courseSourcedId": "courses",
        "classSourcedId": "classes",
        "termSourcedIds": "academicSessions",
        "userSourcedId": "users",
        "agentSourcedIds": "users",
    }
    for rows in tables.values():
        for column, owner in owners.items():
            named = {part for row in rows for part in row.get(column, "").split(",") if part}
            assert named <= ids[owner], (column, sorted(named - ids[owner])[:3])
    primary = Counter(
        row["classSourcedId"] for row in tables["enrollments"] if row["primary"] == "true"
    )
    assert set(primary.values()) == {1}
    assert {row["sourcedId"] for row in tables["demographics"]} <= ids["users"]
    assert {row["givenName"] for row in tables["users"]} & {""} == set()


@pytest.mark.parametrize("export", [*SAME, *LATER])
def test_accounts_groups_and_memberships_are_the_same_as_from_the_extracts(
    export: str, extracted: Built, rostered: Built
) -> None:
    expected, found = extracted.export(export), rostered.export(export)
    assert bool(expected) == (export not in LATER)
    assert found == expected


def test_no_export_is_left_out_of_the_comparison(extracted: Built) -> None:
    exports = {
        row["table_name"]
        for row in extracted.rows(
            "select table_name from information_schema.tables where table_schema = 'exports'"
            " and starts_with(table_name, 'exp_')"
        )
    }
    assert exports == {*SAME, *LATER, *EMPTY, *LOST}


@pytest.mark.parametrize("export", LOST)
def test_only_what_oneroster_cannot_carry_differs(
    export: str, extracted: Built, rostered: Built
) -> None:
    without = tuple(LOST[export])
    expected = extracted.export(export, without)
    assert sum(expected.values()) > 0
    assert rostered.export(export, without) == expected


def test_parents_names_differ_only_by_the_letters_the_extract_lost(
    extracted: Built, rostered: Built
) -> None:
    def names(built: Built) -> set[tuple[str, ...]]:
        return {
            tuple(str(value or "") for value in row.values())
            for row in built.rows(
                "select student_number, lower(email) as email, first_name, last_name"
                " from core.student_guardians join core.guardians using (guardian_id)"
                " where email is not null and not is_barred"
            )
        }

    whole, cut = names(rostered), names(extracted)
    assert whole != cut
    assert {
        tuple(value.encode("cp1252", "replace").decode("cp1252") for value in row) for row in whole
    } == cut


def test_a_link_of_the_roster_alone_lets_nobody_be_told(rostered: Built) -> None:
    doubts = rostered.rows("select distinct is_guardian, doubt from core.student_guardians")
    assert doubts == [{"is_guardian": False, "doubt": "unsaid"}]
    said = rostered.rows(
        "select school_number, values from audit.findings_of_families"
        " where code = 'contacts_unsaid'"
    )
    asked = rostered.rows(
        "select school_number, count(*) as contacts from core.student_guardians"
        " join core.students using (student_number) where enrolment_status = 'active' group by all"
    )
    assert {row["school_number"]: json.loads(str(row["values"]))["contacts"] for row in said} == {
        row["school_number"]: row["contacts"] for row in asked
    }


@pytest.mark.parametrize("export", EMPTY)
def test_exports_that_need_a_fact_oneroster_lacks_stay_empty(
    export: str, extracted: Built, rostered: Built
) -> None:
    assert extracted.export(export)
    assert not rostered.export(export)


def test_nothing_is_known_that_nobody_said(rostered: Built) -> None:
    asked = (
        "count(may_call) as calls, count(street_name) as addresses, count(home_phone) as telephones"
    )
    assert rostered.rows(f"select count(*) > 0 as students, {asked} from core.students") == [
        {"students": True, "calls": 0, "addresses": 0, "telephones": 0}
    ]
    assert rostered.rows("select distinct source_system from intake.intake_students") == [
        {"source_system": "oneroster"}
    ]
    assert rostered.rows("from audit.feed_problems") == []


def test_columns_nobody_may_read_are_not_landed(rostered: Built) -> None:
    columns = {
        row["column_name"]
        for row in rostered.rows(
            "select column_name from information_schema.columns where table_schema ="
            " 'raw_oneroster'"
        )
    }
    assert {"sourced_id", "given_name", "birth_date"} <= columns
    assert not columns & {
        "password",
        "user_ids",
        "user_master_identifier",
        "pronouns",
        "asian",
        "white",
        "city_of_birth",
        "country_of_birth_code",
    }


@pytest.mark.long  # a third build
def test_in_one_one_memberships_are_the_same_and_only_usual_names_and_the_preregistered_are_lost(
    extracted: Built, rostered_11: Built
) -> None:
    for export in (
        "exp_google__groups",
        "exp_google__members",
        "exp_microsoft__groups",
        "exp_microsoft__members",
        "exp_portfolio__enrolments",
    ):
        assert rostered_11.export(export) == extracted.export(export), export
    key = "'p' || left(sha256('student:' || student_number), 15)"
    known = {
        row["person_id"]: row
        for row in extracted.rows(f"select {key} as person_id, * from core.students")
    }
    early = {
        person
        for person, student in known.items()
        if student["enrolment_status"] == "preregistered"
    }
    usual = {
        person
        for person, student in known.items()
        if (student["usual_first_name"], student["usual_last_name"])
        != (student["legal_first_name"], student["legal_last_name"])
    }
    assert early and usual
    for export, address in (
        ("exp_google__users", "primary_email"),
        ("exp_microsoft__users", "user_principal_name"),
    ):
        expected, found = (
            {row["person_id"]: row for row in built.rows(f"from exports.{export}")}
            for built in (extracted, rostered_11)
        )
        assert set(expected) - set(found) == early  # 1.1 has no date on which somebody begins
        assert not set(found) - set(expected)
        for person in (
            set(found) - usual
        ):  # 1.1 has no usual names; another's legal name may have taken a number of the same base
            same = [
                re.sub(r"\d+@", "@", str(built[person][address])) for built in (expected, found)
            ]
            assert same[0] == same[1]


def test_a_district_without_oneroster_has_its_tables_empty_and_misses_nothing(
    extracted: Built,
) -> None:
    tables = {
        row["table_name"]
        for row in extracted.rows(
            "select table_name from information_schema.tables where table_schema = 'raw_oneroster'"
        )
    }
    assert {
        "orgs",
        "users",
        "roles",
        "classes",
        "enrollments",
        "demographics",
        "manifest",
    } <= tables
    assert extracted.rows("select count(*) as users from raw_oneroster.users") == [{"users": 0}]
    assert {source for source, _ in extracted.feeds()} == {"myedbc", "hr"}
    assert extracted.findings("oneroster") == []


@pytest.mark.long
def test_a_file_of_one_two_is_absent_in_one_one_without_a_word(rostered_11: Built) -> None:
    assert rostered_11.feeds()["oneroster", "roles"] == "absent"
    assert rostered_11.findings("oneroster") == []


def test_a_file_that_was_sent_once_is_missed_when_it_stops_coming(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    oneroster.write_day(folder, **DAY)
    settings = connected("oneroster", folder)
    assert run(tmp_path, "ingestion", "--source", "oneroster", **settings).returncode == 0
    (folder / "demographics.csv").unlink()
    ended = run(tmp_path, "ingestion", "--source", "oneroster", **settings)
    assert ended.returncode == 3
    assert "oneroster demographics missing" in ended.stderr


def test_an_optional_file_with_nothing_but_its_headings_is_absent_and_a_needed_one_is_refused(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "files"
    oneroster.write_day(folder, **DAY)
    for name in ("demographics", "enrollments"):
        path = folder / f"{name}.csv"
        path.write_text(path.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    ended = run(tmp_path, "ingestion", "--source", "oneroster", **connected("oneroster", folder))
    assert ended.returncode == 3
    document = next((tmp_path / "runs").glob("2*/feeds.json"))
    status = {
        feed["feed"]: feed["status"] for feed in json.loads(document.read_text(encoding="utf-8"))
    }
    assert (status["demographics"], status["enrollments"]) == ("absent", "refused")


def test_the_demo_writes_its_district_as_oneroster(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "district.json").write_text(json.dumps(DAY), encoding="utf-8")
    for version in ("oneroster", "oneroster-1.1"):
        assert run(tmp_path, "demo", "extracts", "--day", "1", "--as", version).returncode == 0
        # 1.1 leaves nothing of 1.2 behind
        assert (tmp_path / "demo" / "oneroster" / "roles.csv").is_file() == (version == "oneroster")
    refused = run(tmp_path, "demo", "extracts", "--day", "1", "--as", "clever")
    assert refused.returncode == 2
    assert "does not write 'clever'" in refused.stderr


# --- the same over REST ---------------------------------------------------------------------------

LISTS = ("orgs", "academicSessions", "courses", "classes", "users", "enrollments", "demographics")
LONG_AGO, TODAY = "2026-09-01T08:00:00.000Z", "2099-01-01T08:00:00.000Z"


def served(folder: Path) -> dict[str, list[dict]]:
    """The CSV files as the service's lists: references by id, lists as lists, roles in
    their users.
    """
    lists = {name: [_object(name, row) for row in table(folder, name)] for name in LISTS}
    roles = [_object("roles", row) for row in table(folder, "roles")]
    for user in lists["users"]:
        user["roles"] = [
            {name: role[name] for name in ("roleType", "role", "org", "beginDate", "endDate")}
            for role in roles
            if role["user"]["sourcedId"] == user["sourcedId"]
        ]
    return lists


def _object(name: str, row: dict[str, str]) -> dict:
    made: dict = {}
    for column, text in row.items():
        if column.endswith("SourcedIds"):
            made[column.removesuffix("SourcedIds") + "s"] = [
                {"href": f"https://x/{one}", "sourcedId": one, "type": "x"}
                for one in text.split(",")
                if one
            ]
        elif column.endswith("SourcedId"):
            made[column.removesuffix("SourcedId")] = (
                {"href": "https://x", "sourcedId": text, "type": "x"} if text else None
            )
        elif column in {"grades", "subjects", "subjectCodes", "periods"}:
            made[column] = text.split(",") if text else []
        elif column in {"enabledUser", "primary"} and text:
            made[column] = text == "true"
        else:
            made[column] = text or None
    renamed = {
        "preferredGivenName": "preferredFirstName",
        "preferredFamilyName": "preferredLastName",
    }
    made = {renamed.get(key, key): value for key, value in made.items()}
    return made | {"status": "active", "dateLastModified": LONG_AGO}


def raw(table_name: str) -> Counter[tuple]:
    """What staging reads of a raw table: not where a row came from, nor what a bulk file leaves
    empty.
    """
    left_out = [
        "_file",
        "_line",
        "_loaded_at",
        "_run_id",
        "_dlt_load_id",
        "status",
        "date_last_modified",
        *(["sourced_id"] if table_name == "roles" else []),
    ]
    with store.connect() as connection:
        columns = [
            row[0]
            for row in connection.execute(
                f"select column_name from (describe raw_oneroster.{table_name})"
            ).fetchall()
        ]
        kept = ", ".join(f'"{name}"' for name in columns if name not in left_out)
        return Counter(
            connection.execute(f"select {kept} from raw_oneroster.{table_name}").fetchall()
        )


def configure(monkeypatch: pytest.MonkeyPatch, var: Path, **facts: object) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(var))
    monkeypatch.delenv("HOMEROOM_RUN", raising=False)
    real = settings.section
    monkeypatch.setattr(
        "common.settings.section",
        lambda *names: {"oneroster": facts} if names == ("sources",) else real(*names),
    )


def test_the_rostering_service_fills_the_raw_tables_the_files_fill_and_so_the_same_accounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through throttling, failures, a broken connection and a token that runs out; then only what
    changed is asked for.
    """
    oneroster.write_day(tmp_path / "files", students=60, seed=22, day=1)
    configure(
        monkeypatch,
        tmp_path / "csv",
        kind="files",
        layout="oneroster",
        location=str(tmp_path / "files"),
    )
    assert main(["--source", "oneroster"]) == 0
    names = [feed.name for feed in load("oneroster").feeds if feed.name != "manifest"]
    expected = {name: raw(name) for name in names}

    with rest_server.running([], page=200) as api:
        api.lists = served(tmp_path / "files")
        auth = {
            "type": "oauth2_client_credentials",
            "client_id": rest_server.CLIENT,
            "client_secret": rest_server.SECRET,
            "access_token_url": f"{api.url}/token",
        }
        base = f"{api.url}/oauth/ims/oneroster/rostering/v1p2"
        configure(
            monkeypatch,
            tmp_path / "api",
            kind="oneroster",
            base_url=base,
            auth=auth,
            page_size=200,
            wait_seconds=0.05,
        )
        api.faults = [None, 429, None, "expire", 503, "drop"]
        assert main(["--source", "oneroster"]) == 0
        assert api.early == 0, "Retry-After was respected"
        assert len(api.tokens) >= 2, "the token was renewed"
        for name in names:
            assert raw(name) == expected[name], name

        # nothing changed: what was asked for is a filter, and nothing is loaded
        asked = len(api.asked)
        assert main(["--source", "oneroster"]) == 0
        assert all("filter=dateLastModified" in path for path in api.asked[asked:])
        assert {
            feed["status"]
            for feed in json.loads((paths.runs() / "latest" / "feeds.json").read_text())
        } == {"unchanged"}

        # one user moves to another school, one is deleted, one loses every role
        users = {
            user["sourcedId"]: user
            for user in api.lists["users"]
            if any(role["role"] == "student" for role in user["roles"])
        }
        mover, leaver, loser = sorted(users)[:3]
        schools = [org["sourcedId"] for org in api.lists["orgs"] if org["type"] == "school"]
        here = users[mover]["roles"][0]["org"]["sourcedId"]
        there = next(school for school in schools if school != here)
        users[mover].update(
            roles=[{**users[mover]["roles"][0], "org": {"sourcedId": there}}],
            dateLastModified=TODAY,
        )
        users[leaver].update(status="tobedeleted", dateLastModified=TODAY)
        users[loser].update(roles=[], dateLastModified=TODAY)
        assert main(["--source", "oneroster"]) == 0
        with store.connect() as connection:
            asked_roles = (
                "select org_sourced_id, status from raw_oneroster.roles where user_sourced_id = ?"
                " order by 1"
            )
            assert connection.execute(asked_roles, [mover]).fetchall() == [(there, "active")]
            assert {
                status for _, status in connection.execute(asked_roles, [leaver]).fetchall()
            } == {"tobedeleted"}
            assert connection.execute(asked_roles, [loser]).fetchall() == [("none", "tobedeleted")]
            assert connection.execute("select count(*) from raw_oneroster.users").fetchone() == (
                sum(expected["users"].values()),
            )


def test_a_service_that_lacks_an_optional_list_or_sends_half_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oneroster.write_day(tmp_path / "files", students=60, seed=22, day=1)
    with rest_server.running([], page=500) as api:
        api.lists = served(tmp_path / "files")
        del api.lists["demographics"]
        configure(
            monkeypatch,
            tmp_path / "api",
            kind="oneroster",
            base_url=f"{api.url}/one",
            page_size=2000,
            attempts=2,
            wait_seconds=0.05,
        )
        assert main(["--source", "oneroster"]) == 0
        statuses = {
            feed["feed"]: feed["status"]
            for feed in json.loads((paths.runs() / "latest" / "feeds.json").read_text())
        }
        assert (statuses["demographics"], statuses["users"]) == ("absent", "loaded")
        assert main(["check"]) == 3  # the list that is not there is named
        before = raw("users")
        for user in api.lists["users"]:
            del user["familyName"]
            user["dateLastModified"] = TODAY
        api.faults = [None, 500, 500]
        assert main(["--source", "oneroster"]) == 3
        told = {
            feed["feed"]: feed["message"]
            for feed in json.loads((paths.runs() / "latest" / "feeds.json").read_text())
            if feed["status"] == "refused"
        }
        assert set(told) == {"users", "orgs"}
        assert "lacks the required column family_name" in told["users"]
        assert raw("users") == before


@pytest.mark.parametrize("silent", [True, False])
@pytest.mark.parametrize("page_size", [1, 7, 100, 1000])
def test_a_rostering_service_that_caps_its_pages_gives_all_and_one_that_ignores_the_offset_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page_size: int, silent: bool
) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    orgs = [
        {"sourcedId": f"{at:03}", "name": f"School {at}", "dateLastModified": TODAY}
        for at in range(28)
    ]
    with rest_server.running([], page=10) as api:
        api.lists, api.silent = {"orgs": orgs}, silent
        said = {"kind": "oneroster", "base_url": f"{api.url}/one", "page_size": page_size}
        read_from = source_of("oneroster", {**said, "feeds": ["orgs"]})
        reader = import_module("ingestion.oneroster")
        found = reader.fetch("oneroster", read_from.settings, read_from.layout).feeds["orgs"]
        assert isinstance(found, Fetched) and found.path.read_text().count("School ") == 28
        api.ignores, api.served = frozenset({"offset"}), 0
        found = reader.fetch("oneroster", read_from.settings, read_from.layout).feeds["orgs"]
        assert isinstance(found, Problem) and api.served == 2
        assert "begins with the row an earlier page began with" in str(found.values["error"])


def test_a_setting_the_rostering_service_has_no_use_for_is_told() -> None:
    with pytest.raises(LayoutError, match="location: no such key; the nearest is"):
        source_of(
            "oneroster", {"kind": "oneroster", "base_url": "https://x/v1p2", "location": "here"}
        )
