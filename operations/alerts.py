"""Alerts: tell whom it concerns, once a morning, and open and close incidents as conditions come
and go.

In: the run's summary and findings; `[alerts]` of the settings; `incidents.json` beside the runs
(the conditions open now). Out: one e-mail per address and one message per channel, incidents opened
and closed, the numbers for a collector; the run's `alerts.json` says what went to whom and what
could not be sent. The heartbeat is the night's own last act (`closing`).

A step of its own that needs neither warehouse nor report, so that it speaks when those are what
broke; and what cannot be followed of the settings keeps nobody else from being told.

Alone: `python -m operations alert`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from common import documents, findings, paths
from common.log import event
from common.runs import BY_NIGHT, PART, Run
from common.words import words
from operations import acknowledged, channels, coming, history, repeats, series
from operations import routes as routing
from operations.channels import CHANNELS, Message, Told, deliver
from operations.closing import place_of
from operations.page import five_lines
from operations.routes import LEVELS, Route

INCIDENTS = documents.every(documents.has(condition=str, sentence=str, since=str, run_id=str))
# what is new of the findings, and what the nights before said too
Apart = tuple[Sequence[Mapping[str, Any]], Sequence[repeats.Repeat]]
SHOWN = 8  # kinds of finding a message spells out


def send(run: Run, summary: dict[str, Any]) -> int:
    """Tell everyone; returns 0, or 3 when a message could not be delivered or some of the settings
    cannot be followed.
    """
    given = routing.read()
    _kept()
    seen = acknowledged.in_force()
    findings.notice(run)  # also of what was damaged among the incidents
    found = [
        finding
        for finding in findings.read(run)
        if not any(silence.covers(finding, run.as_of) for silence in given.silences)
        and not (finding["level"] != "critical" and any(o.which.covers(finding) for o in seen))
    ]
    standing, opened, over = _incidents(summary, found, run.part)
    closed = [one for one in over if not one.get("closing")]
    fresh = series.news(run, found) if run.part else found
    told = [
        hand_over(channel, address, message)
        for channel, address, message in _messages(
            given.routes, summary, fresh, closed, often=bool(run.part), run=run
        )
    ]
    # an incident that could not be opened or closed is told the next night; one nobody heard of
    # needs no closing
    untold = [one for one in standing if not _told(told, "open", one)]
    unclosed = [
        one for one in over if one.get("told") is not False and not _told(told, "close", one)
    ]
    _remember(
        [
            *(one | {"told": one not in untold} for one in standing),
            *(one | {"closing": True} for one in unclosed),
        ]
    )
    told += _numbers(summary)
    earlier = run.read("alerts.json", {}).get("sent", [])  # told again by hand
    run.write(
        "alerts.json",
        {
            "sent": [*earlier, *told],
            "opened": [one["condition"] for one in opened],
            "closed": [one["condition"] for one in closed],
        },
    )
    lost = [one for one in told if one["status"] != "sent"]
    for one in lost:
        event("alert_not_sent", channel=one["channel"], because=one["reason"])
        print(f"alert: {one['channel']} could not be told: {one['reason']}")
    for sentence in given.wrong:
        print(f"alert: {sentence}")
    return 3 if lost or given.wrong else 0


def try_out() -> int:
    """Send every place a message that says it is a test, and print what came of each; 3 when one
    could not be told.
    """
    given = routing.read()
    places = _places(given.routes)
    code = 3 if given.wrong or not places else 0
    for sentence in given.wrong:
        print(f"alert: {sentence}")
    if not places:
        print(
            "alert: no route leads anywhere; write one in .dlt/config.toml, as docs/alerts.md shows"
        )
    for (channel, address), some in places.items():
        names = ", ".join(route.name for route in some)
        text = (
            f"A test of the route {names}: nothing has happened and nothing is to be done. What"
            " needs you will be told here.\n"
        )
        told = hand_over(
            channel, address, Message("Homeroom: a test, nothing has happened", text, "info", names)
        )
        print(
            f"{names}: {channel}: {told['status']}"
            + (f": {told['reason']}" if told["reason"] else "")
        )
        code = code if told["status"] == "sent" else 3
    return code


def hand_over(channel: str, address: str, message: Message) -> Told:
    """Give a message to a place, and say what became of it."""
    return deliver(channel, lambda: CHANNELS[channel](address, message)) | {
        "routes": message.routes
    }


# --- what is said ---------------------------------------------------------------------------------


def _places(given: Iterable[Route]) -> dict[tuple[str, str], list[Route]]:
    """Each place, (channel, address), with the routes that lead there: one message, whatever their
    number.
    """
    places: dict[tuple[str, str], list[Route]] = {}
    for route in given:
        for place in route.channels:
            places.setdefault(place, []).append(route)
    return places


def _messages(
    given: Iterable[Route],
    summary: dict[str, Any],
    found: list[dict[str, Any]],
    closed: list[dict[str, Any]],
    *,
    often: bool = False,
    run: Run | None = None,
) -> Iterable[tuple[str, str, Message]]:
    for (channel, address), some in _places(given).items():
        names = ", ".join(route.name for route in some)
        concerned = [finding for finding in found if any(route.concerns(finding) for route in some)]
        night = any(route.hears_of_the_night for route in some)
        recovered = [one for one in closed if night]
        # a run every few minutes speaks when there is news
        always = (summary["exit_code"] != 0 and night) or any(route.always for route in some)
        if concerned or recovered or (always and not often):
            told = repeats.apart(run, concerned) if run and not often else None
            yield (
                channel,
                address,
                _composed(summary, concerned, recovered, night, names, told=told),
            )


def _composed(
    summary: dict[str, Any],
    concerned: list[dict[str, Any]],
    recovered: list[dict[str, Any]],
    night: bool,
    names: str,
    *,
    told: Apart | None,
) -> Message:
    """What `compose` says; what it cannot say for some surprise is said in two lines."""
    try:
        return compose(summary, concerned, recovered, night, names, told=told)
    except Exception as error:
        event("alert_not_composed", error=place_of(error))
        codes = ", ".join(sorted({finding["code"] for finding in concerned})) or "none"
        text = f"The exit code is {summary.get('exit_code')}; findings: {codes}.\n"
        return Message("Homeroom: a message that could not be composed", text, "critical", names)


def _numbers(summary: dict[str, Any]) -> list[Told]:
    try:
        return channels.numbers(summary)
    except Exception as error:
        return [{"channel": "metrics", "status": "failed", "reason": place_of(error), "at": _now()}]


def compose(
    summary: dict[str, Any],
    concerned: list[dict[str, Any]],
    recovered: list[dict[str, Any]],
    night: bool,
    names: str,
    *,
    told: Apart | None = None,
) -> Message:
    """The words: the night in five lines where the reader is told of nights, and what comes within
    a week; then each kind of finding with what to do, and in a line each what the nights before
    said too.
    """
    fresh, stand = told or (concerned, [])
    level = max((finding["level"] for finding in concerned), key=LEVELS.index, default="info")
    if night and summary["exit_code"] == 1:
        level = "critical"
    needs = len({finding["code"] for finding in concerned if finding["level"] != "info"})
    states = {0: "done", 1: "ERROR", 2: "held for a person", 3: "partly failed"}
    state = states.get(summary["exit_code"], "not finished") if night else words().records
    things = (
        "nothing needs you"
        if not needs
        else "1 thing needs you"
        if needs == 1
        else f"{needs} things need you"
    )
    lines: list[str] = []
    if night:
        past = history.nights(before=summary["run_id"])
        lines += [*five_lines(summary, concerned, history.unusual(summary, past)), ""]
        ahead = coming.lines(date.fromisoformat(summary["as_of"]))
        lines += [*(f"Coming: {line}" for line in ahead), *([""] if ahead else [])]
    lines += [
        f"Recovered: {one['sentence']} (open since the night of {one['since']})"
        for one in recovered
    ]
    if recovered:
        lines.append("")
    per_code = Counter(
        (finding["level"], finding["code"], finding["owner"], finding["action"])
        for finding in fresh
    )
    ordered = sorted(
        per_code.items(), key=lambda one: (-LEVELS.index(one[0][0]), -one[1], one[0][1])
    )
    for (worst, code, owner, action), number in ordered[:SHOWN]:
        some = [
            finding
            for finding in fresh
            if (finding["level"], finding["code"], finding["owner"], finding["action"])
            == (worst, code, owner, action)
        ]
        lines.append(
            f"{worst.upper()}: {some[0]['message']}"
            + (f" ({number:,} like it)" if number > 1 else "")
        )
        if not night or len(some) <= 3:
            lines += [
                f"   {where}" for where in sorted({_where(finding) for finding in some} - {""})[:20]
            ]
        if action:
            lines.append(f"   {owner + ': ' if owner else ''}{action}")
        lines.append("")
    if len(ordered) > SHOWN:
        lines += [f"... and {len(ordered) - SHOWN} more kinds on the page.", ""]
    lines += [f"{one.level.upper()}: {one.sentence}" for one in stand]
    lines += [""] if stand else []
    link = routing.alerts().page_url.rstrip("/")
    lines.append(
        f"The page: {link}/{summary['run_id']}.html" if link else f"Run {summary['run_id']}."
    )
    return Message(
        f"Homeroom {summary['as_of']}: {state}, {things}", "\n".join(lines) + "\n", level, names
    )


def _where(finding: Mapping[str, Any]) -> str:
    """Key and place of one finding: `key 1234567, Demographics.csv line 12, column Birth date`."""
    place = (
        f"{finding['file']}"
        + (f" line {finding['line']}" if finding["line"] else "")
        + (f", column {finding['column']}" if finding["column"] else "")
    )
    return ", ".join(
        part for part in (f"key {finding['key']}" if finding["key"] else "", place) if part
    )


# --- incidents ------------------------------------------------------------------------------------


def conditions(summary: dict[str, Any], found: list[dict[str, Any]]) -> dict[str, str]:
    """What is wrong now, each under a name that stays the same night after night: {condition:
    sentence}.
    """
    wrong = {}
    if summary["exit_code"] == 1:
        broken = next(
            (step["name"] for step in summary["steps"] if step["status"] == "failed"), "night"
        )
        part = summary.get("part")
        what = f"The run of {part}" if part else "The night"
        wrong[f"night_failed.{part}" if part else "night_failed"] = (
            f"{what} ended with an error at step {broken}."
        )
    for finding in found:
        if finding["level"] == "critical":
            about = [
                part
                for part in (
                    finding["source"],
                    finding["feed"],
                    finding["target"],
                    finding["entity"],
                    finding["file"],
                )
                if part
            ]
            wrong.setdefault(".".join([finding["code"], *about]), finding["message"])
    return wrong


def open_incidents() -> list[dict[str, Any]]:
    """The conditions open now, oldest first: condition, sentence, since (date), run_id."""
    return [one for one in _kept() if not one.get("closing")]


def _kept() -> list[dict[str, Any]]:
    """Those, and the ones whose end nobody could be told of yet."""
    return documents.read(paths.incidents(), [], INCIDENTS)


def _incidents(
    summary: dict[str, Any], found: list[dict[str, Any]], part: str = ""
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Compare what is wrong with what was: (all that is wrong now, the new ones, the ones that are
    over).

    Only a whole night closes anything, one verb sees too little; a part closes what it opened.
    """
    before = {one["condition"]: one for one in _kept()}
    wrong = conditions(summary, found) if summary["verb"] in BY_NIGHT else {}
    fresh = {
        name: {
            "condition": name,
            "sentence": sentence,
            "since": summary["as_of"],
            "run_id": summary["run_id"],
            **({"part": part} if part else {}),
        }
        for name, sentence in wrong.items()
    }
    new = [one for name, one in fresh.items() if name not in before]
    over = (
        [one for name, one in before.items() if name not in wrong and one.get("part", "") == part]
        if summary["verb"] in ("nightly", PART) and summary["exit_code"] != 1
        else []
    )
    # what is wrong again before anybody heard that it was over has never been over
    standing = [
        {key: value for key, value in one.items() if key != "closing"}
        for one in before.values()
        if one not in over
    ]
    return [*standing, *new], new, over


def _remember(incidents: list[dict[str, Any]]) -> None:
    """Written after the telling: whoever is killed in between tells twice rather than never."""
    text = json.dumps(incidents, ensure_ascii=False, indent=1)
    documents.write_text(paths.var() / "incidents.json", text)


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _told(told: list[Told], action: str, condition: dict[str, Any]) -> bool:
    """Tell of it unless that was done, note what came of it, and say whether it was heard."""
    if action == "open" and condition.get("told") is True:
        return True
    answers = channels.incident(action, condition)
    told += answers
    return all(one["status"] == "sent" for one in answers)
