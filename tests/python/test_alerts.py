"""Alerts as their receivers have them: mail by a real SMTP server with STARTTLS and sign-in,
messages by a real HTTP server.
"""

from __future__ import annotations

import json
import re

import pytest
from inbox import open_inbox
from night_kit import feed, finding, night

from common import findings, lock, paths, settings
from common.findings import Finding
from common.runs import Run
from operations import alerts, channels, closing, interventions, metrics, routes, status
from operations.check import check


@pytest.fixture
def inbox(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    with open_inbox(tmp_path) as received:
        alerting, metering = {"smtp": received.smtp, "wait_seconds": 0.01}, {}
        district = {"number": "074", "name": "School District No. 74 (Gold Trail)"}
        targets = {"google": {"kind": "google"}, "microsoft": {"kind": "microsoft"}}
        monkeypatch.setattr(
            settings,
            "everything",
            lambda: {
                "alerts": alerting,
                "metrics": metering,
                "district": district,
                "targets": targets,
                "words": {"records": "school data"},
            },
        )
        received.settings, received.metrics = alerting, metering
        yield received


def refused() -> Finding:
    return finding(
        "critical",
        "feed_refused",
        "Feed myedbc.student_schedule was refused: it has no rows; the last good load is of"
        " 2026-09-30.",
        source="myedbc",
        feed="student_schedule",
        owner="operator",
        action="Ask for the extract again.",
    )


HELD_NIGHT = """\
Held: some changes wait for a person. Feed myedbc.student_schedule was refused: it has no rows.
40 changes applied in 40 write calls; 300 changes held for a person, nothing failed. \
Read back: 4,600 rows equal their export, 300 wait (300 over a limit), 100 differ.
2 feeds expected: 1 loaded, 0 unchanged, 1 refused or missing.
For a person to look at: 1 critical finding, 3 warnings.
It took 1 min 50 s.

CRITICAL: Feed myedbc.student_schedule was refused: it has no rows; the last good load is of \
2026-09-30.
   operator: Ask for the extract again.

WARNING: A student has no address. (3 like it)
   key 1234560, StudentDemographics.csv line 12
   key 1234561, StudentDemographics.csv line 13
   key 1234562, StudentDemographics.csv line 14
   school office: Enter it in MyEdBC.

The page: https://homeroom.sd74.example/20261001T090000Z-0000.html
"""


def no_address(number: int, school: str = "07474001"):
    return finding(
        key=str(1234560 + number),
        school_number=school,
        file="StudentDemographics.csv",
        line=12 + number,
    )


def test_the_operator_gets_one_mail_with_the_night_and_what_to_do(inbox):
    inbox.settings["page_url"] = "https://homeroom.sd74.example/"
    inbox.settings["routes"] = {
        "operator": {"email": "operator@sd74.example"},
        "again": {"email": ["operator@sd74.example"], "level": "critical"},
    }
    run, summary = night(
        0,
        exit_code=2,
        held=300,
        feeds=[feed(), feed("student_schedule", "refused", 0)],
        found=(refused(), *map(no_address, range(3))),
    )
    assert alerts.send(run, summary) == 0
    [(address, mail)] = inbox.mails
    assert address == "operator@sd74.example"
    assert mail["Subject"] == "Homeroom 2026-10-01: held for a person, 2 things need you"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content() == HELD_NIGHT
    assert [one["status"] for one in run.read("alerts.json")["sent"]] == ["sent"]


def test_a_school_hears_only_of_its_own_records(inbox):
    inbox.settings["routes"] = {
        "school_one": {
            "email": "office-001@sd74.example",
            "partitions": ["07474001"],
            "owners": ["school office"],
        }
    }
    run, summary = night(
        0, exit_code=2, held=300, found=(refused(), no_address(0), no_address(1, "07474002"))
    )
    alerts.send(run, summary)
    [(_, mail)] = inbox.mails
    assert mail["Subject"] == "Homeroom 2026-10-01: school data, 1 thing needs you"
    assert (
        mail.get_content()
        == "WARNING: A student has no address.\n   key 1234560, StudentDemographics.csv line 12\n  "
        " school office: Enter it in MyEdBC.\n\nRun 20261001T090000Z-0000.\n"
    )


def test_what_three_nights_said_before_is_one_line_of_a_mail_and_what_comes_stands_above(
    inbox, monkeypatch
):
    monkeypatch.setattr("operations.coming.lines", lambda today: [f"rollover after {today}"])
    inbox.settings["routes"] = {
        "operator": {"email": "operator@sd74.example"},
        "school_one": {"email": "office-001@sd74.example", "partitions": ["07474001"]},
    }
    for number in range(4):
        of_tonight = () if number < 3 else (no_address(7),)
        run, summary = night(number, found=(refused(), no_address(0), no_address(1), *of_tonight))
    alerts.send(run, summary)
    (_, to_operator), (_, to_school) = inbox.mails
    said = to_operator.get_content()
    assert "\n\nComing: rollover after 2026-10-04\n\nCRITICAL: Feed" in said
    folded = (
        "WARNING: student_without_address: 2 findings as before, since the night of 2026-10-01;"
        " the first: A student has no address.\n"
    )
    new = "WARNING: A student has no address.\n   key 1234567, StudentDemographics.csv line 19\n"
    assert to_operator["Subject"].endswith("2 things need you")
    for mail in (said, to_school.get_content()):
        assert mail.count("A student has no address.") == 2
        assert new in mail
        assert folded in mail
    assert "Coming" not in to_school.get_content()


def test_a_quiet_night_is_told_to_nobody_who_did_not_ask(inbox):
    inbox.settings["routes"] = {
        "operator": {"email": "a@sd74.example"},
        "asked": {"email": "b@sd74.example", "always": True},
    }
    run, summary = night(0, found=(finding("info", "a_note"),))
    alerts.send(run, summary)
    assert [(address, mail["Subject"]) for address, mail in inbox.mails] == [
        ("b@sd74.example", "Homeroom 2026-10-01: done, nothing needs you")
    ]


def test_teams_slack_and_any_webhook_get_their_own_shapes(inbox):
    inbox.settings["routes"] = {
        "chat": {
            "teams": f"{inbox.web}/teams",
            "slack": f"{inbox.web}/slack",
            "webhook": f"{inbox.web}/hook",
        }
    }
    run, summary = night(0, found=(finding(message="Column <Grade> & more."),))
    assert alerts.send(run, summary) == 0
    [card] = inbox.to("/teams")
    assert (
        card["type"] == "message"
        and card["attachments"][0]["contentType"] == "application/vnd.microsoft.card.adaptive"
    )
    assert (
        card["attachments"][0]["content"]["body"][0]["text"]
        == "Homeroom 2026-10-01: done, 1 thing needs you"
    )
    assert "Column &lt;Grade&gt; &amp; more." in inbox.to("/slack")[0]["text"]
    assert inbox.to("/hook")[0]["level"] == "warning"


@pytest.mark.parametrize("kind", ["pagerduty", "opsgenie", "generic"])
def test_an_incident_is_opened_once_and_closed_once(inbox, kind):
    inbox.settings["incidents"] = {
        "kind": kind,
        "url": f"{inbox.web}/incidents",
        "key": "key-for-tests",
    }
    inbox.settings["routes"] = {"operator": {"email": "a@sd74.example"}}
    for number, found in enumerate([(refused(),), (refused(),), (), ()]):
        alerts.send(*night(number, exit_code=2 if found else 0, found=found))
    name = "homeroom.feed_refused.myedbc.student_schedule"
    seen = [(path, body, token) for _, path, body, token in inbox.requests]
    assert len(seen) == 2
    if kind == "pagerduty":
        assert [body["event_action"] for _, body, _ in seen] == ["trigger", "resolve"]
        assert {body["dedup_key"] for _, body, _ in seen} == {name} and {
            body["routing_key"] for _, body, _ in seen
        } == {"key-for-tests"}
        assert seen[0][1]["payload"]["severity"] == "critical"
    elif kind == "opsgenie":
        assert [path for path, _, _ in seen] == [
            "/incidents",
            f"/incidents/{name}/close?identifierType=alias",
        ]
        assert seen[0][1]["alias"] == name and {token for _, _, token in seen} == {
            "GenieKey key-for-tests"
        }
    else:
        assert [body["action"] for _, body, _ in seen] == ["open", "close"] and {
            token for _, _, token in seen
        } == {"Bearer key-for-tests"}
    recovered = inbox.mails[-1][1]
    assert (
        len(inbox.mails) == 3
        and "Recovered: Feed myedbc.student_schedule was refused" in recovered.get_content()
    )
    assert "(open since the night of 2026-10-01)" in recovered.get_content()
    assert alerts.open_incidents() == []


def test_an_incident_that_could_not_be_told_is_told_the_next_night_and_no_third_time(inbox):
    inbox.settings["incidents"] = {
        "kind": "generic",
        "url": f"{inbox.web}/incidents",
        "key": "key-for-tests",
    }
    inbox.settings["routes"] = {"operator": {"email": "a@sd74.example"}}
    heard = []
    for number, (found, answer) in enumerate(
        [
            (refused(), 400),
            (refused(), 200),
            (refused(), 200),
            ((), 400),
            ((), 200),
            ((), 200),
            (refused(), 400),
            ((), 200),
        ]
    ):
        inbox.answer, before = answer, len(inbox.requests)
        alerts.send(*night(number, exit_code=2 if found else 0, found=(found,) if found else ()))
        heard.append([body["action"] for _, _, body, _ in inbox.requests[before:]])
    assert heard == [["open"], ["open"], [], ["close"], ["close"], [], ["open"], []]
    recovered = ["Recovered:" in message.get_content() for _, message in inbox.mails]
    assert recovered == [False, False, False, True, False, True], (
        "told once by mail, whatever the incidents' server says"
    )
    assert alerts.open_incidents() == []


def test_a_night_that_broke_or_a_single_verb_closes_no_incident(inbox):
    alerts.send(*night(0, exit_code=2, found=(refused(),)))
    alerts.send(*night(1, exit_code=1))
    alerts.send(*night(2, verb="push"))
    assert [one["condition"] for one in alerts.open_incidents()] == [
        "feed_refused.myedbc.student_schedule",
        "night_failed",
    ]


def test_the_heartbeat_beats_after_every_night_and_says_when_it_failed(inbox):
    inbox.settings["heartbeat"] = {"url": f"{inbox.web}/alive", "failed_url": f"{inbox.web}/failed"}
    for code in (0, 2, 3, 1):
        assert closing.last_act("nightly", "r", code, [], lived=True) == code
    closing.last_act("plan", "r", 0, [], lived=True)
    assert [path for _, path, _, _ in inbox.requests] == ["/alive", "/alive", "/alive", "/failed"]


@pytest.mark.parametrize("broken", [["report"], ["alert"], ["report", "alert"], ["night"]])
def test_a_night_of_which_something_crashed_has_not_ended_well(inbox, broken):
    inbox.settings["heartbeat"] = {"url": f"{inbox.web}/alive", "failed_url": f"{inbox.web}/failed"}
    assert closing.last_act("nightly", "r", 0, broken, lived=True) == 1
    assert [path for _, path, _, _ in inbox.requests] == ["/failed"]


def test_a_night_that_could_not_begin_its_steps_has_not_ended_well(inbox):
    inbox.settings["heartbeat"] = {"url": f"{inbox.web}/alive", "failed_url": f"{inbox.web}/failed"}
    assert closing.last_act("nightly", "r", 2, [], lived=False) == 2
    assert [path for _, path, _, _ in inbox.requests] == ["/failed"]


def test_where_the_alerts_broke_those_who_hear_of_nights_are_told_all_the_same(inbox):
    inbox.settings["routes"] = {
        "operator": {"email": "operator@sd74.example"},
        "school": {"email": "office@sd74.example", "partitions": ["07474001"]},
    }
    closing.last_act("nightly", "20261001T090000Z-0000", 0, ["alert"], lived=True)
    [(address, mail)] = inbox.mails
    assert address == "operator@sd74.example"
    assert mail["Subject"] == "Homeroom: ERROR, the night broke"
    assert "alert of run 20261001T090000Z-0000 broke" in mail.get_content()


def test_incidents_that_cannot_be_read_are_set_aside_named_and_opened_anew(inbox):
    inbox.settings |= {
        "routes": {"operator": {"email": "operator@sd74.example"}},
        "incidents": {"kind": "generic", "url": f"{inbox.web}/incidents", "key": "k"},
    }
    for number, damage in enumerate((b"", b'[{"condi', b"null", b"{}", b'[{"condition": 1}]')):
        (paths.var() / "incidents.json").write_bytes(damage)
        run, summary = night(number, exit_code=3, found=(refused(),))
        assert alerts.send(run, summary) == 0
        assert "document_damaged" in {one["code"] for one in findings.read(run)}
        assert "incidents.json could not be read" in inbox.mails[-1][1].get_content()
        assert [one["condition"] for one in alerts.open_incidents()] == [
            "feed_refused.myedbc.student_schedule"
        ]


def test_a_message_that_cannot_be_composed_is_sent_in_two_lines(inbox, monkeypatch):
    inbox.settings["routes"] = {"operator": {"email": "operator@sd74.example"}}
    monkeypatch.setattr(alerts, "compose", lambda *_: 1 / 0)
    assert alerts.send(*night(0, exit_code=2, found=(refused(),))) == 0
    assert "findings: feed_refused" in inbox.mails[0][1].get_content()


def test_what_cannot_be_sent_is_said_and_kept_without_address_or_secret(inbox, capsys):
    inbox.settings |= {
        "routes": {"operator": {"email": "a@sd74.example"}},
        "smtp": inbox.settings["smtp"] | {"password": "wrong-password"},
    }
    run, summary = night(0, exit_code=2, found=(refused(),))
    assert alerts.send(run, summary) == 3
    text = json.dumps(run.read("alerts.json")) + capsys.readouterr().out
    assert "SMTPAuthenticationError" in text
    assert "wrong-password" not in text and "a@sd74.example" not in text


def test_a_server_that_is_down_for_a_moment_is_asked_again(inbox, monkeypatch):
    inbox.settings["routes"] = {"chat": {"slack": f"{inbox.web}/slack"}}
    inbox.answer = 503
    run, summary = night(0, found=(no_address(0),))
    assert alerts.send(run, summary) == 3
    assert len(inbox.requests) == channels.ATTEMPTS
    inbox.answer = 403
    assert alerts.send(run, summary) == 3
    assert len(inbox.requests) == channels.ATTEMPTS + 1  # told no: not asked again


def test_a_password_is_never_sent_in_the_clear(inbox):
    inbox.settings |= {
        "routes": {"operator": {"email": "a@sd74.example"}},
        "smtp": inbox.settings["smtp"] | {"security": "none"},
    }
    run, summary = night(0, found=(no_address(0),))
    assert alerts.send(run, summary) == 3
    assert "would send the password in the clear" in run.read("alerts.json")["sent"][0]["reason"]


def test_a_silence_holds_back_warnings_inside_its_dates_and_never_what_is_critical(inbox):
    summer = {
        "from": "2026-10-01",
        "until": "2026-10-02",
        "codes": ["student_without_address", "feed_refused"],
        "why": "offices are closed",
    }
    inbox.settings |= {
        "routes": {"operator": {"email": "a@sd74.example"}},
        "silences": {"summer": summer},
    }
    alerts.send(*night(0, found=(no_address(0),)))
    assert inbox.mails == []
    alerts.send(*night(1, found=(no_address(0), refused())))
    assert (
        "A student has no address" not in inbox.mails[0][1].get_content()
        and "CRITICAL" in inbox.mails[0][1].get_content()
    )
    alerts.send(*night(2, found=(no_address(0),)))
    assert len(inbox.mails) == 2


WRONG = {
    "an unknown key": (
        {"routes": {"operator": {"mail": "a@sd74.example"}}},
        "[alerts.routes.operator] mail: no such key; the nearest is email; known are always,",
    ),
    "an unknown level": (
        {"routes": {"operator": {"email": "a@sd74.example", "level": "loud"}}},
        "level is 'loud'; it must be one of info, warning, critical",
    ),
    "no channel": (
        {"routes": {"operator": {"level": "info"}}},
        "[alerts.routes.operator] leads nowhere: give it email, teams, slack or webhook",
    ),
    "no address": (
        {"routes": {"operator": {"email": "operator"}}},
        "[alerts.routes.operator] email is 'operator'; one of them is no address",
    ),
    "a number for a list": (
        {"routes": {"office": {"email": "a@sd74.example", "partitions": 7474001}}},
        "partitions is 7474001; it must be a text, or a list of texts",
    ),
    "a target nobody has": (
        {"routes": {"bus": {"email": "a@sd74.example", "targets": ["bus"]}}},
        "targets names 'bus', which is none; there are google",
    ),
    "no table": (
        {"routes": {"operator": "a@sd74.example"}},
        "[alerts.routes] operator is 'a@sd74.example'; it must be a table",
    ),
    "a silence of everything by mistake": (
        {"silences": {"summer": {"kind": ["feed_stale"]}}},
        "[alerts.silences.summer] kind: no such key; the nearest is partitions; known are codes,",
    ),
    "a silence without an end": (
        {"silences": {"summer": {"until": "soon"}}},
        "[alerts.silences.summer] until is 'soon', which is no day; write it as 2027-07-01",
    ),
    "a table spelled wrong": (
        {"smpt": {}},
        "[alerts] smpt: no such key; the nearest is smtp; known are heartbeat, incidents,",
    ),
    "a word nobody knows": (
        {"incidents": {"url": "x", "kind": "pager"}},
        "[alerts.incidents] kind is 'pager'; it must be one of pagerduty, opsgenie, generic",
    ),
    "no port": (
        {"smtp": {"port": "mail"}},
        "[alerts.smtp] port is 'mail'; it must be a whole number, 1 or more",
    ),
    "mail without a server": (
        {"smtp": {}, "routes": {"a": {"email": "a@sd74.example"}}},
        "[alerts.smtp] wants host and from: there are routes with e-mail",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_setting_that_cannot_be_followed_is_left_out_with_a_sentence_and_everybody_else_is_told(
    inbox, capsys, name
):
    settings_of_it, sentence = WRONG[name]
    inbox.settings |= settings_of_it
    inbox.settings["routes"] = {
        **inbox.settings.get("routes", {}),
        "chat": {"slack": f"{inbox.web}/slack"},
    }
    inbox.settings["heartbeat"] = {"url": f"{inbox.web}/alive"}
    [said] = [one.message for one in routes.trouble()]
    assert sentence in said
    assert alerts.send(*night(0, found=(no_address(0),))) == 3
    assert sentence in capsys.readouterr().out
    assert "A student has no address" in inbox.to("/slack")[0]["text"]
    closing.last_act("nightly", "r", 3, [], lived=True)
    assert "/alive" in [path for _, path, _, _ in inbox.requests]


def test_every_place_can_be_sent_a_test(inbox, capsys):
    inbox.settings["routes"] = {
        "operator": {"email": "a@sd74.example"},
        "deputy": {"email": "a@sd74.example"},
        "chat": {"slack": f"{inbox.web}/slack"},
    }
    assert alerts.try_out() == 0
    [(address, mail)] = inbox.mails
    assert (address, mail["Subject"]) == (
        "a@sd74.example",
        "Homeroom: a test, nothing has happened",
    )
    assert mail.get_content().startswith(
        "A test of the route operator, deputy: nothing has happened"
    )
    assert capsys.readouterr().out == "operator, deputy: email: sent\nchat: slack: sent\n"
    inbox.answer = 403
    assert alerts.try_out() == 3
    assert "chat: slack: failed: answered 403" in capsys.readouterr().out


def test_check_signs_in_to_the_mail_server_and_sends_nothing(inbox):
    inbox.settings["routes"] = {"operator": {"email": "a@sd74.example"}}
    said: list[str] = []
    assert check(said.append) == 0
    assert (
        next(line for line in said if line.startswith("alerts:"))
        == 'alerts: routes operator; the mail server lets us in; "make alert TEST=1" sends each a'
        " message"
    )
    inbox.settings["smtp"] = inbox.settings["smtp"] | {"password": "wrong-password"}
    assert check(said.append) == 3
    assert [line for line in said if line.startswith("alerts:")][-1].startswith(
        "alerts: not usable: the mail server does not let us in (SMTPAuthenticationError)"
    )
    assert "wrong-password" not in " ".join(said)
    assert inbox.mails == []


def test_status_says_how_things_stand_in_eighty_columns(inbox, capsys):
    from rich.console import Console

    for number in range(9):
        night(number)
    alerts.send(
        *night(
            9,
            exit_code=2,
            held=300,
            feeds=[feed(), feed("student_schedule", "refused", 0)],
            found=(refused(),),
        )
    )
    assert status.show(Console(width=80, no_color=True)) == 1
    said = capsys.readouterr().out
    assert "Latest:    night of 2026-10-10, refused, ended" in said
    assert "Overdue:" in said
    assert "Changes:   40 applied, 300 held\n" in said
    assert (
        "Read back: 4,600 rows equal their export, 300 wait (300 over a limit), 100 differ" in said
    )
    assert "Held:      google users: Over the limit of 10 %." in said
    assert '"make show STATUS=held" lists them' in said
    assert "Paused:" not in said
    assert "Feeds:     2 expected, 1 not taken: myedbc.student_schedule refused" in said
    assert "Open:      feed_refused.myedbc.student_schedule since the night of 2026-10-10" in said
    assert "Unusual:   changes held: 300 tonight, usually about 0" in said
    assert ".........h" in said


def test_status_says_that_nights_are_paused_and_which_step_a_running_one_is_at(inbox, capsys):
    from rich.console import Console

    night(0, build_seconds=600)
    interventions.pause("2099-09-07", "summer")
    with lock.lock(paths.var() / "night.lock", "the night"):
        run = Run.open("nightly")
        with run.step("ingest"):
            pass
        with run.step("build"):
            status.show(Console(width=120, no_color=True))
    said = capsys.readouterr().out
    assert "Paused:    paused until 2099-09-07 00:00: summer (by " in said
    assert re.search(r"Now: +a night is running .*: build, 1 step done, about 11 min", said)


def test_metrics_are_in_the_format_prometheus_reads(inbox):
    _, summary = night(0, exit_code=3, applied=1_234_567)
    text = metrics.write(summary).read_text(encoding="utf-8")
    assert "homeroom_night_exit_code 3\n" in text
    assert "homeroom_night_finished_seconds 1790845380\n" in text, "to the second"
    assert 'homeroom_step_seconds{step="build"} 42\n' in text
    assert 'homeroom_target_applied{target="google",entity="users"} 1234567\n' in text
    assert 'homeroom_target_converged{target="google",entity="users"} 0.98\n' in text
    sample = re.compile(r'^homeroom_\w+(\{(\w+="[^"]*",?)+\})? -?[0-9.e+]+$')
    assert all(line.startswith("# ") or sample.match(line) for line in text.splitlines())


def test_a_collector_is_sent_the_same_numbers_in_the_form_of_the_protocol(inbox):
    from google.protobuf import json_format
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
    )

    inbox.metrics |= {
        "otlp": f"{inbox.web}/v1/metrics",
        "headers": {"Authorization": "Bearer for-tests"},
    }
    run, summary = night(0, exit_code=3)
    assert alerts.send(run, summary) == 0
    [(method, path, body, shown)] = inbox.requests
    assert (method, path, shown) == ("POST", "/v1/metrics", "Bearer for-tests")
    [about] = json_format.ParseDict(
        body, ExportMetricsServiceRequest()
    ).resource_metrics  # refuses what the protocol does not know
    assert {one.key: one.value.string_value for one in about.resource.attributes} == {
        "service.name": "homeroom",
        "service.version": "0123456789abcdef",
        "district": "074",
    }
    [scope] = about.scope_metrics
    numbers = {
        one.name: {
            tuple(a.value.string_value for a in p.attributes): p.as_double
            for p in one.gauge.data_points
        }
        for one in scope.metrics
    }
    assert numbers["homeroom_night_exit_code"] == {(): 3}
    assert numbers["homeroom_target_converged"] == {("google", "users"): 0.98}
    assert numbers["homeroom_step_seconds"] == {("ingest",): 8, ("build",): 42, ("push",): 60}
    assert {p.time_unix_nano for one in scope.metrics for p in one.gauge.data_points} == {
        1790845380 * 10**9
    }

    inbox.reply = {"partialSuccess": {"rejectedDataPoints": "2", "errorMessage": "too old"}}
    assert alerts.send(run, summary) == 3
    assert "the collector refused 2 of the numbers" in json.dumps(run.read("alerts.json"))
