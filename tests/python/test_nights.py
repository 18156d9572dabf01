"""Whole nights against emulated platforms: what they hold afterwards, what a quiet night writes,
what a rule moves.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from conftest import District, checkout, equal_to_exports

ENDS_SESSIONS = re.compile("(signOut|revokeSignInSessions)$")


def writes(requests: list[dict]) -> list[dict]:
    """Calls that change a platform: everything but reads and tokens; a batch counts its items."""
    found = []
    for request in requests:
        if request["url"].endswith("/$batch"):
            found += [item for item in request["body"]["requests"] if item["method"] != "GET"]
        elif request["method"] != "GET" and "/token" not in request["url"]:
            found.append(request)
    return found


def test_after_two_nights_every_target_holds_what_its_exports_say(two_nights):
    """That the pushes did their work; whether the exports are right is asked by
    test_demo_expected.
    """
    equal_to_exports(two_nights)
    for summary in two_nights.summaries():
        assert {
            (row["target"], row["entity"]): row["converged"]
            for row in summary["targets"]
            if row["converged"] not in (1, 1.0)
        } == {}
        assert summary["exit_code"] == 0, summary["findings"]


def test_the_second_night_writes_exactly_the_changed_records(two_nights):
    first, second = two_nights.summaries()
    applied = {row["target"]: 0 for row in second["targets"]}
    for row in second["targets"]:
        applied[row["target"]] += row["applied"]
    # that sessions end belongs to the closing, which is one change
    made = [
        [call for call in writes([request]) if not ENDS_SESSIONS.search(call["url"])]
        for request in two_nights.requests()
    ]
    total = sum(len(calls) for calls in made)
    expected = sum(
        row["applied"]
        for summary in (first, second)
        for row in summary["targets"]
        if row["target"] in ("google", "microsoft")
    )
    assert total == expected
    assert (
        0
        < applied["google"]
        < sum(row["desired"] for row in second["targets"] if row["target"] == "google") / 4
    )


# a night after a loss writes nothing either (test_backup), and that one runs on every push
@pytest.mark.long
def test_a_third_night_on_the_same_extracts_writes_nothing(district):
    before, received = (
        len(district.requests()),
        {
            path: path.stat().st_mtime_ns
            for path in (district.var / "demo" / "received").rglob("*")
            if path.is_file()
        },
    )
    ended = district.run("demo", "again")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert writes(district.requests()[before:]) == []
    assert {
        path: path.stat().st_mtime_ns
        for path in (district.var / "demo" / "received").rglob("*")
        if path.is_file()
    } == received
    assert all(sum(row["planned"].values()) == 0 for row in district.summaries()[-1]["targets"])
    assert {
        feed["status"] for feed in district.summaries()[-1]["feeds"] if feed["source"] == "myedbc"
    } == {"unchanged"}


@pytest.mark.slow
def test_one_changed_row_plans_exactly_the_accounts_that_would_move(district, tmp_path):
    edited = checkout(tmp_path / "checkout", district.root)
    rule = edited / "seeds" / "org_unit_rules.csv"
    text = rule.read_text(encoding="utf-8")
    assert text.count("/Students/") == 1
    rule.write_text(text.replace("/Students/", "/Learners/"), encoding="utf-8")
    analyst = District(district.var, edited)
    students = {
        row[0]
        for row in district.ask(
            "select person_id from exports.exp_google__users join identity.lifecycle using"
            " (person_id)"
            # of people under a hold nothing moves
            " where org_unit_path like '/Students/%' and lifecycle.hold is null"
        )
    }
    sent = len(district.requests())
    analyst.run("operations", "build")
    analyst.run(
        "reverse_etl",
        "plan",
        "--allow",
        "google.users.update,google.org_units.create",
        "--why",
        "test",
    )
    run = (district.var / "runs" / "latest").resolve()
    plan = {
        (row["target"], row["entity"]): row["planned"]
        for row in json.loads((run / "plan.json").read_text(encoding="utf-8"))["exports"]
    }
    assert plan["google", "users"] == {"update": len(students)}
    assert {
        key: counts
        for key, counts in plan.items()
        if counts and key not in {("google", "users"), ("google", "org_units")}
    } == {}
    assert set(plan["google", "org_units"]) == {"create"}
    shown = analyst.run("reverse_etl", "show", "--target", "google").stdout
    assert all(person in shown for person in sorted(students)[:20])
    assert len(district.requests()) == sent


def test_the_files_the_vendors_received_have_the_form_the_vendors_read(two_nights):
    """What stands in them is asked by test_demo_expected."""
    received = two_nights.var / "demo" / "received"
    archives = sorted((received / "portfolio").glob("districtsync_*_*.zip"))
    assert [archive.name[-14:-4] for archive in archives][-1] == "2026-10-06" or len(archives) == 1
    with zipfile.ZipFile(archives[-1]) as archive:
        assert archive.namelist() == [
            "Classes.csv",
            "Enrollments.csv",
            "Family.csv",
            "Staff.csv",
            "Students.csv",
        ]
        files = {name: archive.read(name) for name in archive.namelist()}
    files |= {
        name: (received / "callout" / name).read_bytes()
        for name in ("contacts.csv", "absences.csv")
    }
    for name, content in files.items():
        assert content.startswith(b"\xef\xbb\xbf") and content.endswith(b"\r\n"), name
        assert content.count(b"\n") == content.count(b"\r\n"), name
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
        assert {len(row) for row in rows} == {len(rows[0])}, name
        assert len(rows) > 3, name
    bus = (received / "transport" / "homeroom_students.txt").read_bytes()
    assert not bus.startswith(b"\xef\xbb\xbf") and bus.endswith(b"\r\n") and b'"' not in bus
    assert {line.count(b"\t") for line in bus.splitlines()} == {22}


def test_everything_ever_done_to_one_student_is_one_select(two_nights):
    moved = two_nights.ask(
        "select person_id from audit.changes where target = 'google' and status = 'applied' and"
        " person_id is not null group by 1 having count(distinct run_id) > 1 and bool_or(entity ="
        " 'users' and action = 'create') order by count(*) desc, 1 limit 1"
    )
    assert moved, "nobody changed on the second night"
    history = two_nights.rows(
        "select * from audit.person_history where person_id = ? order by finished_at", moved[0][0]
    )
    assert {"google", "microsoft"} <= {row["target"] for row in history}
    assert (
        Counter(
            row["action"]
            for row in history
            if row["target"] == "google" and row["entity"] == "users"
        )["create"]
        == 1
    )
    assert all(
        row["finished_at"] is not None and (row["old"] or row["new"])
        for row in history
        if row["status"] == "applied"
    )
    assert len({row["run_id"] for row in history}) == 2


def test_every_applied_value_names_the_source_row_it_came_from(two_nights):
    without = two_nights.ask(
        "select count(*) from audit.changes where entity = 'users' and status = 'applied'"
        " and (source is null or source not similar to '.+#[0-9a-f]{12}:[0-9]+')"
    )
    assert without == [(0,)]


def damage(path: Path, how: str) -> None:
    """Spoil an extract as the field does."""
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    match how:
        case "empty":
            path.write_bytes(b"")
        case "cut in the middle of a line":
            path.write_bytes(content[:-7])
        case "a key twice":
            path.write_bytes(content + lines[-1])
        case "an unknown column":
            path.write_bytes(
                b"".join(
                    [
                        lines[0].rstrip(b"\r\n") + b",Shoe size\r\n",
                        *(line.rstrip(b"\r\n") + b",42\r\n" for line in lines[1:]),
                    ]
                )
            )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damages", "held", "flows", "days"),
    [
        (
            {
                "StudentDailyAbsences.csv": "cut in the middle of a line",
                "SchoolDetails.csv": "an unknown column",
            },
            {"callout"},
            {"google", "microsoft", "portfolio", "transport"},
            "5",
        ),
        # everyone's key comes from the same table, so without good staff nobody's account, and no
        # file that rests on staff, is touched; the bus file does not
        (
            {"StaffInformation.csv": "a key twice", "StudentPeriodAbsences.csv": "empty"},
            {"google", "microsoft", "portfolio", "callout"},
            {"transport"},
            "0",
        ),
    ],
    ids=lambda value: (
        " and ".join(f"{how} in {file}" for file, how in value.items())
        if isinstance(value, dict)
        else ""
    ),
)
def test_a_bad_feed_holds_the_targets_its_last_good_load_will_not_do_for_and_no_other(
    district, damages, held, flows, days
):
    for file, how in damages.items():
        damage(district.var / "demo" / "extracts" / file, how)
    before = {
        table: district.ask(f"select * from core.{table} order by all")
        for table in ("absences", "guardians", "staff", "schools")
    }
    assert district.planned(TRUST__LAST_GOOD_DAYS=days) == 2
    assert {
        table: district.ask(f"select * from core.{table} order by all") for table in before
    } == before
    summary = district.summaries()[-1]
    refused = {feed_name(file) for file, how in damages.items() if how != "an unknown column"}
    assert {
        row["feed"] for row in summary["feeds"] if row["status"] in ("refused", "missing")
    } == refused
    stopped = {row["target"] for row in summary["targets"] if row["holds"]}
    assert held <= stopped
    assert stopped & flows == set()
    for file, how in damages.items():
        level = "warning" if how == "an unknown column" else "critical"
        told = district.ask(
            "select message from audit.findings where run_id = ? and feed = ? and level = ?",
            summary["run_id"],
            feed_name(file),
            level,
        )
        assert len(told) == 1, (file, told)
        assert file.partition(".")[0] in told[0][0]


def feed_name(file: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", file.partition(".")[0]).lower()


def canaries(district: District) -> set[str]:
    """What tells who somebody is, as the source systems wrote it: full names, addresses,
    telephones, birthdays.
    """
    found = set()
    for path in (district.var / "demo" / "extracts").iterdir():
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig", errors="replace")))
        for row in rows:
            said = {name.lower(): (value or "").strip() for name, value in row.items() if name}
            found |= {
                value
                for name, value in said.items()
                if len(value) > 6 and re.search("mail|phone|birth|street|mobile", name)
            }
            first = [v for n, v in said.items() if re.search("first name|given", n) and v]
            last = [v for n, v in said.items() if re.search("surname|last name", n) and v]
            if first and last:
                found |= {f"{first[0]} {last[0]}", f"{last[0]}, {first[0]}"}
    return found


def test_who_somebody_is_stands_on_no_page_in_no_log_and_not_on_the_terminal(two_nights):
    known = canaries(two_nights)
    assert len(known) > 1000
    telling = re.compile("|".join(map(re.escape, sorted(known, key=len, reverse=True))))
    received = (two_nights.var / "demo" / "received").rglob("*.csv")
    assert any(telling.search(path.read_text("utf-8", "replace")) for path in received)
    places = [
        two_nights.var / "printed.txt",
        two_nights.var / "metrics.prom",
        *(two_nights.var / "pages").rglob("*"),
        *(two_nights.var / "logs").rglob("*"),
        *(two_nights.var / "runs").rglob("*.json*"),
    ]
    looked = [
        path for path in places if path.is_file() and path.parent.name not in ("dbt", "journal")
    ]
    assert {"printed.txt", "latest.html", "findings.jsonl", "summary.json", "plan.json"} <= {
        path.name for path in looked
    }
    leaks = {
        f"{path.relative_to(two_nights.var)}: {len(set(hits))}"
        for path in looked
        if (hits := telling.findall(path.read_text("utf-8", "replace")))
    }
    assert leaks == set()
