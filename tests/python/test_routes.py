"""Who hears of what, when an incident begins and ends, what a message spells out, what is unusual:
rule by rule, without any server.
"""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from night_kit import night

from common import paths, settings
from operations import alerts, history, page, routes, status
from operations.history import unusual
from operations.routes import Route, Silence


@pytest.fixture(autouse=True)
def var(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setattr(settings, "everything", dict)
    return paths.var()


def finding(level: str = "warning", code: str = "feed_stale", **more: Any) -> dict[str, Any]:
    given = {
        "level": level,
        "code": code,
        "message": "It is old.",
        "target": "google",
        "school_number": "07474001",
        "owner": "operator",
    }
    columns = ("source", "feed", "entity", "key", "file", "column", "action")
    return dict.fromkeys(columns, "") | {"line": None} | given | more


def a_route(name: str = "r", **said: Any) -> Route:
    """A route, also one that leads nowhere."""
    made = Route.model_construct(**said)
    made._name = name
    return made


def a_silence(name: str = "s", **said: Any) -> Silence:
    made = Silence.model_validate(
        {
            "from" if key == "begins" else "until" if key == "ends" else key: value
            for key, value in said.items()
        }
    )
    made._name = name
    return made


# ---------------------------------------------------------------- who


@pytest.mark.parametrize(
    ("least", "told"),
    [
        ("info", ["info", "warning", "critical"]),
        ("warning", ["warning", "critical"]),
        ("critical", ["critical"]),
    ],
)
def test_a_route_hears_of_its_level_and_of_what_is_worse(least, told):
    assert [
        level
        for level in ("info", "warning", "critical")
        if a_route("r", level=least).concerns(finding(level))
    ] == told
    assert a_route("r").level == "warning"


@pytest.mark.parametrize(
    ("asked", "fits", "does_not"),
    [
        ({"targets": ("google", "microsoft")}, {"target": "microsoft"}, {"target": "callout"}),
        (
            {"partitions": ("07474001",)},
            {"school_number": "07474001"},
            {"school_number": "07474002"},
        ),
        ({"codes": ("feed_stale",)}, {"code": "feed_stale"}, {"code": "feed_refused"}),
        ({"owners": ("school office",)}, {"owner": "school office"}, {"owner": "operator"}),
        ({"targets": ("google",)}, {"target": "google"}, {"target": ""}),
    ],
)
def test_a_route_and_a_silence_are_for_what_they_name_and_for_all_where_they_name_nothing(
    asked, fits, does_not
):
    day = date(2026, 10, 5)
    for given in (
        a_route("r", **asked).concerns,
        lambda one: a_silence("s", **asked).covers(one, day),
    ):
        assert given(finding() | fits)
        assert not given(finding() | does_not)
    both = asked | {"codes": ("feed_stale",), "partitions": ("07474001",)}
    assert a_route("r", **both).concerns(finding() | fits)
    assert not a_route("r", **both).concerns(
        finding() | fits | {"code": "feed_refused", "school_number": "07474002"}
    ), "every filter must fit"
    assert a_route("r").concerns(finding() | does_not)


@pytest.mark.parametrize(
    ("day", "covered"),
    [
        (date(2026, 9, 30), False),
        (date(2026, 10, 1), True),
        (date(2026, 10, 3), True),
        (date(2026, 10, 4), False),
    ],
)
def test_a_silence_has_a_first_and_a_last_day_and_keeps_nothing_critical_from_anybody(day, covered):
    quiet = a_silence("s", begins=date(2026, 10, 1), ends=date(2026, 10, 3))
    assert [quiet.covers(finding(level), day) for level in ("info", "warning", "critical")] == [
        covered,
        covered,
        False,
    ]
    assert a_silence("s").covers(finding(), day), "without days it is always"


def test_a_schools_own_route_does_not_hear_of_the_night_and_a_targets_does():
    heard = {
        name: a_route("r", **{name: ("x",)}).hears_of_the_night
        for name in ("targets", "partitions", "codes", "owners")
    }
    assert heard == {"targets": True, "partitions": False, "codes": False, "owners": False}
    assert a_route("r").hears_of_the_night


def test_a_route_leads_to_each_of_its_places():
    leads = a_route(
        "r", email=("a@sd74.example", "b@sd74.example"), teams="https://t", webhook="https://w"
    )
    assert leads.channels == [
        ("email", "a@sd74.example"),
        ("email", "b@sd74.example"),
        ("teams", "https://t"),
        ("webhook", "https://w"),
    ]
    assert a_route("r", slack="https://s").channels == [("slack", "https://s")]


SUMMARY = {
    "run_id": "r1",
    "as_of": "2026-10-05",
    "exit_code": 0,
    "verb": "nightly",
    "steps": [{"name": "ingest", "status": "failed"}],
}


@pytest.mark.parametrize(
    ("route", "code", "found", "closed", "told"),
    [
        ({}, 0, [], [], False),
        ({"always": True}, 0, [], [], True),
        ({}, 2, [], [], True),
        ({}, 0, [finding("info")], [], False),
        ({}, 0, [finding()], [], True),
        ({}, 0, [], [{"sentence": "It is back.", "since": "2026-10-04"}], True),
        ({"partitions": ("07474001",)}, 1, [], [], False),  # not of the night
        (
            {"partitions": ("07474001",)},
            0,
            [],
            [{"sentence": "It is back.", "since": "2026-10-04"}],
            False,
        ),
        ({"partitions": ("07474001",)}, 0, [finding()], [], True),
        ({"partitions": ("07474002",)}, 0, [finding()], [], False),
    ],
)
def test_somebody_is_told_when_there_is_something_for_them(
    monkeypatch, route, code, found, closed, told
):
    monkeypatch.setattr(alerts, "compose", lambda *given, told: given)
    messages = list(
        alerts._messages(
            [a_route("r", email=("a@sd74.example",), **route)],
            SUMMARY | {"exit_code": code},
            found,
            closed,
        )
    )
    assert [(channel, address) for channel, address, _ in messages] == (
        [("email", "a@sd74.example")] if told else []
    )


def test_two_routes_to_one_place_are_one_message_with_what_either_asked_for(monkeypatch):
    monkeypatch.setattr(alerts, "compose", lambda *given, told: given)
    google, other = finding("critical", target="google"), finding("info", target="callout")
    ways = [
        a_route("school", email=("a@x.example",), targets=("google",), codes=("feed_stale",)),
        a_route("all", email=("a@x.example",), level="info"),
    ]
    [(_, _, (_, concerned, recovered, of_the_night, names))] = alerts._messages(
        ways, SUMMARY, [google, other], [{"sentence": "x"}]
    )
    assert (concerned, recovered, of_the_night, names) == (
        [google, other],
        [{"sentence": "x"}],
        True,
        "school, all",
    )


# ---------------------------------------------------------------- as the settings say

ALL_RIGHT = {
    "alerts": {
        "page_url": "https://x",
        "wait_seconds": 1,
        "smtp": {
            "host": "h",
            "from": "f@x.example",
            "port": 25,
            "user": "u",
            "password": "p",
            "ca_file": "c",
            "security": "none",
        },
        "incidents": {"url": "u", "key": "k", "kind": "opsgenie"},
        "heartbeat": {"url": "u", "failed_url": "f"},
        "routes": {
            "every": {
                "level": "info",
                "always": True,
                "email": ["a@x.example", "b@x.example"],
                "teams": "t",
                "slack": "s",
                "webhook": "w",
                "targets": ["google"],
                "partitions": ["07474001"],
                "codes": ["feed_stale"],
                "owners": ["operator"],
            },
            "one": {"email": "a@x.example", "targets": "google", "partitions": "07474001"},
        },
        "silences": {
            "every": {
                "from": "2026-07-01",
                "until": date(2026, 8, 31),
                "why": "summer",
                "targets": "google",
                "partitions": ["1"],
                "codes": "k",
                "owners": "o",
            },
            "always": {"why": "known"},
        },
    },
    "metrics": {"otlp": "o", "headers": {"a": "b"}},
    "targets": {"google": {}, "callout": {}},
}


def given(monkeypatch: pytest.MonkeyPatch, **alerting: Any) -> routes.Alerting:
    monkeypatch.setattr(
        settings, "everything", lambda: ALL_RIGHT | {"alerts": ALL_RIGHT["alerts"] | alerting}
    )
    return routes.read()


def test_everything_a_route_and_a_silence_may_say_is_taken(monkeypatch):
    found = given(monkeypatch)
    assert found.wrong == [] and routes.trouble() == []
    assert found.routes == [
        a_route(
            "every",
            level="info",
            email=("a@x.example", "b@x.example"),
            teams="t",
            slack="s",
            webhook="w",
            targets=("google",),
            partitions=("07474001",),
            codes=("feed_stale",),
            owners=("operator",),
            always=True,
        ),
        a_route("one", email=("a@x.example",), targets=("google",), partitions=("07474001",)),
    ]
    assert found.silences == [
        a_silence(
            "every",
            begins=date(2026, 7, 1),
            ends=date(2026, 8, 31),
            why="summer",
            targets=("google",),
            partitions=("1",),
            codes=("k",),
            owners=("o",),
        ),
        a_silence("always", why="known"),
    ]


MAIL = {"email": "a@x.example"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            {"smpt": 1},
            [
                "[alerts] smpt: no such key; the nearest is smtp; known are heartbeat, incidents,"
                " page_url, routes, silences, smtp, wait_seconds"
            ],
        ),
        (
            {"smtp": {"host": "h", "from": "f", "port": "25"}},
            ["[alerts.smtp] port is '25'; it must be a whole number, 1 or more"],
        ),
        (
            {"smtp": {"host": "h", "from": "f", "security": "ssl"}},
            ["[alerts.smtp] security is 'ssl'; it must be one of starttls, tls, none"],
        ),
        (
            {"smtp": {"host": "h"}},
            ["[alerts.smtp] wants host and from: there are routes with e-mail"],
        ),
        (
            {"smtp": {"from": "f"}},
            ["[alerts.smtp] wants host and from: there are routes with e-mail"],
        ),
        ({"smtp": {}, "routes": {"chat": {"slack": "s"}}}, []),
        (
            {"incidents": {"kind": "pager"}},
            ["[alerts.incidents] kind is 'pager'; it must be one of pagerduty, opsgenie, generic"],
        ),
        (
            {"heartbeat": {"b": 1, "a": 1}},
            [
                f"[alerts.heartbeat] {key}: no such key; the nearest is {near}; known are"
                " failed_url, url"
                for key, near in (("b", "url"), ("a", "failed_url"))
            ],
        ),
        ({"routes": {"r": []}}, ["[alerts.routes] r is []; it must be a table"]),
        (
            {"routes": {"r": MAIL | {"level": "loud"}}},
            ["[alerts.routes.r] level is 'loud'; it must be one of info, warning, critical"],
        ),
        (
            {"routes": {"r": {"email": ["a@x.example", "b"]}}},
            ["[alerts.routes.r] email is ['a@x.example', 'b']; one of them is no address"],
        ),
        (
            {"routes": {"r": {"level": "info"}}},
            ["[alerts.routes.r] leads nowhere: give it email, teams, slack or webhook"],
        ),
        (
            {"routes": {"r": {"email": []}}},
            ["[alerts.routes.r] leads nowhere: give it email, teams, slack or webhook"],
        ),
        (
            {"routes": {"r": MAIL | {"zz": 1, "why": 1}}},
            [
                f"[alerts.routes.r] {key}: no such key; the nearest is {near}; known are always,"
                " codes, email, level, owners, partitions, slack, targets, teams, webhook"
                for key, near in (("zz", "webhook"), ("why", "always"))
            ],
        ),
        (
            {"routes": {"r": MAIL | {"partitions": 7}}},
            ["[alerts.routes.r] partitions is 7; it must be a text, or a list of texts"],
        ),
        (
            {"routes": {"r": MAIL | {"targets": ["google", "bus"]}}},
            ["[alerts.routes.r] targets names 'bus', which is none; there are callout, google"],
        ),
        (
            {"silences": {"s": {"email": "x"}}},
            [
                "[alerts.silences.s] email: no such key; the nearest is until; known are"
                " codes, from, owners, partitions, targets, until, why"
            ],
        ),
        (
            {"silences": {"s": {"until": "2026-13-01"}}},
            ["[alerts.silences.s] until is '2026-13-01', which is no day; write it as 2027-07-01"],
        ),
        (
            {"silences": {"s": {"from": "soon"}}},
            ["[alerts.silences.s] from is 'soon', which is no day; write it as 2027-07-01"],
        ),
    ],
)
def test_what_cannot_be_followed_is_left_out_with_its_sentence(monkeypatch, wrong, says):
    found = given(monkeypatch, **wrong)
    assert found.wrong == says
    assert "r" not in [route.name for route in found.routes] and "s" not in [
        silence.name for silence in found.silences
    ]
    assert [
        (one.level, one.code, one.owner, one.message.partition("; this setting is left out")[0])
        for one in routes.trouble()
    ] == [("critical", "alerts_wrong", "technician", sentence) for sentence in says]


def test_mail_is_asked_for_a_server_also_when_only_some_routes_lead_by_mail(monkeypatch):
    found = given(monkeypatch, smtp={}, routes={"chat": {"slack": "s"}, "mail": MAIL})
    assert found.wrong == ["[alerts.smtp] wants host and from: there are routes with e-mail"]
    assert [route.name for route in found.routes] == ["chat", "mail"]


# ---------------------------------------------------------------- what


def composed(
    found: list[dict[str, Any]],
    at_night: bool = False,
    recovered: list | None = None,
    code: int = 0,
) -> Any:
    shutil.rmtree(paths.runs(), ignore_errors=True)
    return alerts.compose(
        night(0, code)[1] | {"exit_code": code}, found, recovered or [], at_night, "r"
    )


@pytest.mark.parametrize(
    ("code", "at_night", "subject", "level"),
    [
        (0, True, "done, 1 thing needs you", "warning"),
        (1, True, "ERROR, 1 thing needs you", "critical"),
        (2, True, "held for a person, 1 thing needs you", "warning"),
        (3, True, "partly failed, 1 thing needs you", "warning"),
        (1, False, "data, 1 thing needs you", "warning"),
    ],
)
def test_the_subject_says_how_the_night_ended_to_those_who_hear_of_nights(
    code, at_night, subject, level
):
    message = composed([finding(), finding("info", "a_note"), finding()], at_night, code=code)
    assert message.subject == f"Homeroom 2026-10-01: {subject}"
    assert message.level == level


def test_the_worst_stands_first_then_the_most_then_the_alphabet_and_eight_kinds_are_spelled_out():
    many = [
        finding("warning", f"kind_{letter}", message=letter, owner="", action="")
        for letter in "hgfedcba"
    ]
    message = composed(
        [
            *many,
            finding("warning", "kind_h", message="h", owner="", action=""),
            finding("critical", "worst", message="W", owner="", action=""),
        ]
    )
    told = [
        line
        for line in message.text.splitlines()
        if line.isupper() or line.startswith(("WARNING", "CRITICAL", "..."))
    ]
    assert told == [
        "CRITICAL: W",
        "WARNING: h (2 like it)",
        *(f"WARNING: {letter}" for letter in "abcdef"),
        "... and 1 more kinds on the page.",
    ]
    assert message.subject.endswith("9 things need you")
    assert message.level == "critical"
    eight = composed(many)
    assert "more kinds" not in eight.text
    assert composed([]).subject.endswith("nothing needs you") and composed([]).level == "info"


@pytest.mark.parametrize(
    ("number", "at_night", "listed"),
    [(3, True, 3), (4, True, 0), (4, False, 4), (20, False, 20), (21, False, 20)],
)
def test_a_few_places_are_listed_at_night_and_twenty_to_a_school(number, at_night, listed):
    message = composed(
        [
            finding(key=f"{at:03}", file="a.csv", line=at + 1, column="Grade")
            for at in range(number)
        ],
        at_night,
    )
    places = [line for line in message.text.splitlines() if line.startswith("   key ")]
    assert places == [f"   key {at:03}, a.csv line {at + 1}, column Grade" for at in range(listed)]


def test_what_recovered_and_the_page_are_told(monkeypatch):
    message = composed([], recovered=[{"sentence": "The feed is back.", "since": "2026-09-30"}])
    assert message.text.splitlines()[:2] == [
        "Recovered: The feed is back. (open since the night of 2026-09-30)",
        "",
    ]
    assert message.text.endswith("Run 20261001T090000Z-0000.\n")
    assert alerts._where(finding(key="", file="", column="")) == ""
    assert alerts._where(finding(key="7", file="")) == "key 7"


# ---------------------------------------------------------------- incidents


def incident(condition: str) -> dict[str, Any]:
    return {
        "condition": condition,
        "sentence": "It was old already.",
        "since": "2026-10-01",
        "run_id": "r0",
    }


def test_what_is_critical_is_a_condition_under_a_name_that_stays():
    found = [
        finding("critical", "feed_refused", source="sis", feed="people", message="first"),
        finding("critical", "feed_refused", source="sis", feed="people", message="second"),
        finding("critical", "model_failed", target="", file="m.sql", message="a model"),
        finding("warning", "odd"),
    ]
    assert alerts.conditions(SUMMARY, found) == {
        "feed_refused.sis.people.google": "first",
        "model_failed.m.sql": "a model",
    }
    assert alerts.conditions(SUMMARY | {"exit_code": 1}, []) == {
        "night_failed": "The night ended with an error at step ingest."
    }
    assert alerts.conditions(SUMMARY | {"exit_code": 1, "steps": []}, []) == {
        "night_failed": "The night ended with an error at step night."
    }
    assert alerts.conditions(SUMMARY | {"exit_code": 3}, []) == {}


@pytest.mark.parametrize(
    ("verb", "code", "over"),
    [
        ("nightly", 0, True),
        ("nightly", 2, True),
        ("nightly", 3, True),
        ("nightly", 1, False),
        ("intraday", 0, False),
        ("ingest", 0, False),
    ],
)
def test_only_a_whole_night_that_did_not_fail_closes_an_incident(verb, code, over):
    alerts._remember([incident("old")])
    standing, new, ended = alerts._incidents(SUMMARY | {"verb": verb, "exit_code": code}, [])
    assert [one["condition"] for one in ended] == (["old"] if over else [])
    assert "old" in [one["condition"] for one in standing] or over
    assert [one["condition"] for one in new] == (["night_failed"] if code == 1 else [])


def test_an_incident_keeps_the_night_it_began_and_one_that_is_back_before_its_end_was_heard_has_never_been_over():  # noqa: E501
    begun = incident("feed_stale.google") | {"told": True}
    alerts._remember([begun | {"closing": True}])
    assert alerts.open_incidents() == []
    standing, new, over = alerts._incidents(
        SUMMARY, [finding("critical"), finding("critical", "another")]
    )
    assert standing[0] == begun
    assert [(one["condition"], one["since"], one["run_id"]) for one in new] == [
        ("another.google", "2026-10-05", "r1")
    ]
    assert [one["condition"] for one in standing] == ["feed_stale.google", "another.google"]
    assert over == []


# ---------------------------------------------------------------- unusual


def past(number: int, **more: Any) -> list[dict[str, Any]]:
    return [summary_of(**more) for _ in range(number)]


def summary_of(
    applied: int = 40,
    rows: int = 1000,
    rejected: int = 0,
    seconds: float = 60.0,
    new: tuple[dict[str, Any], ...] = (),
) -> dict[str, Any]:
    return {
        "targets": [
            {
                "applied": applied,
                "held": 2,
                "failed": 3,
                "skipped": 4,
                "converged": 1.0,
                "desired": 10,
            }
        ],
        "findings": {"critical": 1, "warning": 8},
        "feeds": [{"landed": rows, "rejected": rejected}, {"landed": None, "rejected": None}],
        "calls": {"google": {"write_calls": 5}, "x": {"write_calls": 6}},
        "steps": [*new, {"name": "build", "seconds": seconds}, {"name": "push", "seconds": 30.0}],
    }


def test_a_nights_numbers_are_what_they_say():
    assert history.measures(summary_of(rejected=7)) == {
        "seconds": 90.0,
        "rows": 1000,
        "rejected": 7,
        "applied": 40,
        "held": 2,
        "failed": 7,
        "write_calls": 11,
        "critical": 1,
        "warning": 8,
        "seconds of build": 60.0,
        "seconds of push": 30.0,
    }
    quiet = history.measures(summary_of() | {"findings": {}})
    assert (quiet["critical"], quiet["warning"]) == (0, 0)


@pytest.mark.parametrize(
    ("nights", "tonight", "odd"),
    [
        (7, {"applied": 51}, ["applied"]),
        (6, {"applied": 51}, []),  # six nights are no custom
        (7, {"applied": 49}, []),  # ten more than usual is the least that counts
        (7, {"rejected": 10}, ["rejected"]),
        (7, {"rejected": 9}, []),
        (
            7,
            {"rows": 1260},
            ["rows"],
        ),  # a spread of 5 % is taken for granted: 3.5 robust deviations are 26 %
        (7, {"rows": 1259}, []),
        (7, {"rows": 740}, ["rows"]),
        (7, {"seconds": 80}, ["seconds of build"]),  # of the step, and of the whole night not yet
        (7, {"seconds": 75}, []),
    ],
)
def test_a_number_is_unusual_when_it_is_far_from_what_the_nights_before_had(nights, tonight, odd):
    assert [one.measure for one in unusual(summary_of(**tonight), past(nights))] == odd


@pytest.mark.parametrize(
    ("usual", "tonight", "odd"),
    [
        ({"applied": 10}, {"applied": 19}, []),  # nine more changes come and go
        ({"applied": 10}, {"applied": 20}, ["applied"]),
        ({"seconds": 1.0}, {"seconds": 10.0}, []),  # nine seconds too
        ({"seconds": 1.0}, {"seconds": 11.0}, ["seconds", "seconds of build"]),
        ({"rows": 0}, {"rows": 6}, ["rows"]),  # six rows where there were none
        ({"rows": 0}, {"rows": 5}, []),
        (
            {},
            {"seconds": 80, "new": ({"name": "new", "seconds": 1.0},)},
            ["seconds of build"],
        ),  # a step no night has had is not compared
    ],
)
def test_small_numbers_come_and_go(usual, tonight, odd):
    assert [one.measure for one in unusual(summary_of(**tonight), past(7, **usual))] == odd


def test_what_is_unusual_is_said_beside_what_is_usual():
    (one,) = unusual(summary_of(applied=1300), past(7))
    assert one.sentence == "changes applied: 1,300 tonight, usually about 40"
    assert (
        history.Unusual("seconds of build", 310, 42).sentence
        == "seconds of build: 310 tonight, usually about 42"
    )


def read(equal: int | None, waiting: int = 0, different: int = 0, **why: int) -> dict[str, Any]:
    """One target's rows as they were read back."""
    return {"equal": equal, "waiting": waiting, "different": different, "waiting_for": why}


@pytest.mark.parametrize(
    ("targets", "three", "share", "said"),
    [
        ([], None, None, "nothing was read back"),
        ([{"target": "of an older night"}], None, None, "nothing was read back"),
        ([read(None)], None, None, "nothing was read back"),
        ([read(0)], (0, 0, 0), 1.0, "0 rows equal their export, 0 wait, 0 differ"),
        (
            [read(0, 8, limit=8), read(30, 2, 4, closed=1, limit=1), read(None)],
            (30, 10, 4),
            30 / 44,
            "30 rows equal their export, 10 wait (9 over a limit, 1 closed by somebody else),"
            " 4 differ",
        ),
        (
            [read(1, 3, waits=1, waits_held=1, of_a_later_house=1)],
            (1, 3, 0),
            0.25,
            "1 rows equal their export, 3 wait (2 wait for another target, 1 held), 0 differ",
        ),
    ],
)
def test_what_was_read_back_is_three_numbers_and_what_waits_is_not_equal(
    targets: list, three: tuple | None, share: float | None, said: str
) -> None:
    summary = {"targets": targets}
    found = history.read_back(summary)
    assert (tuple(found.values()) if found else None) == three
    assert history.equal_share(summary) == share
    assert history.said_back(summary) == said


@pytest.mark.parametrize(
    ("code", "three", "said"),
    [
        (0, (9, 0, 0), "Done: every target equals its export tables."),
        (0, (8, 1, 0), "Done: what could be written is written."),
        (0, (8, 0, 1), "Done: what could be written is written."),
        (0, (None, 0, 0), "Done: what could be written is written."),
        (2, (9, 0, 0), "Held: some changes wait for a person."),
    ],
)
def test_a_night_says_all_is_equal_only_where_all_was_read_back_equal(
    code: int, three: tuple, said: str
) -> None:
    assert page.headline({"exit_code": code, "targets": [read(*three)]}) == said


def of(target: str, entity: str, *, accounts: bool = True, **subjects: dict[str, int]) -> dict:
    """One target's entity, and of how many subjects what is left is."""
    return read(1) | {
        "target": target,
        "entity": entity,
        "accounts": accounts,
        "subjects": subjects,
    }


def test_whom_a_night_left_out_is_counted_in_subjects_and_the_worst_harm_comes_first():
    targets = [
        of("google", "members", accounts=False, create={"": 9000}, remove={"limit": 17}),
        of("google", "users", create={"limit": 21, "": 50}, update={"limit": 5017}),
        of("crm", "users", restore={"": 2}, suspend={"": 1}),
        of("crm", "cards", update={}),
        read(3) | {"target": "of an older night"},
    ]
    assert history.harm({"targets": targets}) == [
        "1 subject can still sign in to crm and should not",
        "71 subjects cannot sign in to google (21 over a limit)",
        "2 subjects cannot sign in to crm",
        "9,017 subjects are not yet as the record says in google members (17 over a limit)",
        "5,017 subjects are not yet as the record says in google users (5,017 over a limit)",
    ]
    none = dict.fromkeys(("applied", "held", "failed", "skipped"), 0)
    summary = summary_of() | {
        "exit_code": 2,
        "feeds": [],
        "targets": [none | one for one in targets],
    }
    first = page.five_lines(summary, [], [])[0]
    assert first.startswith("Held: some changes wait for a person. 1 subject can still sign in")
    assert "9,017" not in first, "three are told, the rest stands below"


def test_nights_behind_are_whole_nights_before_this_one_oldest_first():
    for number in range(4):
        night(number, verb="plan" if number == 1 else "nightly")
    every = [summary["run_id"][-1] for summary in history.nights()]
    assert every == ["0", "2", "3"]
    assert [summary["run_id"][-1] for summary in history.nights(limit=2)] == ["2", "3"]
    assert [
        summary["run_id"][-1] for summary in history.nights(before=history.nights()[2]["run_id"])
    ] == ["0", "2"]


# ---------------------------------------------------------------- health


@pytest.mark.parametrize(("hours", "well"), [(25.9, True), (26.1, False)])
def test_a_night_is_overdue_after_twenty_six_hours(hours, well):
    run, _ = night(0)
    ended = datetime.now(UTC) - timedelta(hours=hours)
    run.write("run.json", run.read("run.json") | {"finished_at": ended.isoformat()})
    assert status.health()[0] is well
