"""The systems of this example: stand-ins of Alertmanager (its API v2: alerts, silences) and of
Request Tracker (its REST 2.0: tickets, comments), with what both do otherwise than most: a list
without pages, an answer of sentences, times that are 1970 where nobody set one.

What each holds is asked of it directly here, and of no run: that is what the demo compares.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from examples import kit

TOKEN = "monitoring-token-of-the-example"  # noqa: S105 - of systems that live for a demo
UNSET = "1970-01-01T00:00:00Z"


@dataclass
class Monitoring:
    """What fires now, and what is silenced."""

    alerts: dict[str, dict[str, Any]] = field(default_factory=dict)
    silences: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: int = 0

    def fire(self, name: str, service: str, cause: str, count: int = 1, hour: int = 9) -> None:
        for number in range(count):
            labels = {"alertname": name, "service": service, "cause": cause, "host": f"h{number}"}
            mark = f"{hash((name, service, cause, number)) & 0xFFFFFFFF:08x}"
            starts = f"2026-03-02T{hour:02d}:00:{number % 60:02d}.000Z"
            self.alerts[mark] = {"fingerprint": mark, "labels": labels, "startsAt": starts}

    def calm(self, service: str) -> None:
        still = {m: o for m, o in self.alerts.items() if o["labels"]["service"] != service}
        self.alerts = still

    def answer(self, method: str, path: str, _: Mapping[str, str], body: Any) -> kit.Answer:
        """One request."""
        match method, path.strip("/").split("/")[2:]:
            case "GET", ["alerts"]:
                return 200, list(self.alerts.values())
            case "GET", ["silences"]:
                return 200, list(self.silences.values())
            case "POST", ["silences"]:
                if not all({"name", "value", "isRegex"} <= one.keys() for one in body["matchers"]):
                    return 422, {"code": 602, "message": "isRegex in body is required"}
                self.writes += 1
                made = {**body, "id": f"s-{self.writes}", "status": {"state": "active"}}
                self.silences[made["id"]] = made
                # kept, and the first answer is lost
                return (500, {}) if self.writes == 1 else (200, {"silenceID": made["id"]})
            case "DELETE", ["silence", one] if one in self.silences:
                self.writes += 1
                self.silences[one]["status"] = {"state": "expired"}
                return 200, {}
        return 404, {"code": "not_found"}


@dataclass
class Tracker:
    """Tickets and their comments."""

    tickets: dict[int, dict[str, Any]] = field(default_factory=dict)
    comments: list[dict[str, Any]] = field(default_factory=list)
    writes: int = 0

    def answer(self, method: str, path: str, asked: Mapping[str, str], body: Any) -> kit.Answer:
        """One request."""
        query = asked.get("query", "")
        wanted = re.search(r"(?:Subject|EventKey)='((?:[^']|'')*)'", query)
        key = wanted[1].replace("''", "'") if wanted else None
        match method, path.strip("/").split("/")[2:]:
            case "GET", ["tickets"]:
                return self._page(
                    [t for t in self.tickets.values() if key in (None, t["Subject"])], asked
                )
            case "GET", ["transactions"]:
                some = [c for c in self.comments if key in (None, c["TxnCustomFields"]["EventKey"])]
                return self._page(some, asked)
            case "POST", ["ticket"]:
                self.writes += 1
                number = len(self.tickets) + 1
                made = {"id": str(number), "Status": "new", "Due": UNSET, **body}
                made.pop("Content", None)  # no list of tickets tells it
                self.tickets[number] = made
                if number % 3 == 0:
                    return 500, {}  # kept, and the answer is lost
                return 201, {"id": number, "type": "ticket"}
            case "PUT", ["ticket", number] if int(number) in self.tickets:
                self.writes += 1
                self.tickets[int(number)] |= body
                return 200, [f"Ticket {number}: {name} changed" for name in body]
            case "POST", ["ticket", number, "comment"] if int(number) in self.tickets:
                self.writes += 1
                self.comments.append({**body, "id": str(len(self.comments) + 1), "Ticket": number})
                return 201, ["Comments added"]
        return 404, {"message": "not found"}

    def _page(self, rows: list[Any], asked: Mapping[str, str]) -> kit.Answer:
        status, page = kit.page(rows, asked)
        items = {"items": page["results"], "total": page["count"], "pages": page["pages"]}
        return status, items


@dataclass
class Systems:
    """Both of them, while they are up."""

    monitoring: Monitoring
    tracker: Tracker
    environment: Mapping[str, str]
    open: set[str] = field(default_factory=set)  # causes with an open ticket
    told: dict[str, int] = field(default_factory=dict)  # cause -> comments
    runs: int = 1

    def change(self) -> None:
        """One cause is quiet and its time is over, one flaps, a storm begins, somebody acknowledges
        and somebody closes a ticket by hand though it fires on.
        """
        by = {t["Subject"].split("@")[0]: t for t in self.tracker.tickets.values()}
        self.monitoring.calm("shop")
        by["shop/db"]["Due"] = "2001-01-01T00:00:00Z"  # as if the minutes had gone by
        by["mail/queue"]["Due"] = "2001-01-01T00:00:00Z"  # it was quiet, and fires again
        by["web/cert"]["Status"] = "open"  # acknowledged
        by["lab/noise"]["Status"] = "resolved"  # by hand
        self.monitoring.fire("Unreachable", "network", "switch", 200, hour=10)
        self.open = {"mail/queue", "web/cert", "network/switch"}
        self.told["network/switch"] = 4

    def wrong(self) -> list[str]:
        """Where tickets, comments and silences are not what monitoring says."""
        tickets = list(self.tracker.tickets.values())
        causes = Counter(t["Subject"].split("@")[0] for t in tickets)
        opened = {t["Subject"].split("@")[0] for t in tickets if t["Status"] != "resolved"}
        told = [f"{cause} has {n} tickets" for cause, n in causes.items() if n > 1]
        told += [f"{cause} should be otherwise" for cause in opened ^ self.open]
        said = Counter(
            c["TxnCustomFields"]["EventKey"].split("@")[0] for c in self.tracker.comments
        )
        told += [] if dict(said) == self.told else [f"comments {dict(said)}, not {self.told}"]
        silenced = {
            tuple(m["value"] for m in one["matchers"])
            for one in self.monitoring.silences.values()
            if one["status"]["state"] == "active"
        }
        answered = {t["Subject"].split("@")[0] for t in tickets if t["Status"] == "open"}
        told += [] if silenced == {tuple(c.split("/")) for c in answered} else ["silences differ"]
        kept = Counter(one["comment"] for one in self.monitoring.silences.values())
        return told + [f"silence {key} is there {n} times" for key, n in kept.items() if n > 1]

    def written(self) -> int:
        """How many writes both have seen."""
        return self.monitoring.writes + self.tracker.writes


@contextmanager
def up(_: Path) -> Iterator[Systems]:
    """Start them; stopped when the context ends."""
    monitoring, tracker = Monitoring(), Tracker()
    monitoring.fire("Watchdog", "monitoring", "alive")
    monitoring.fire("Slow", "shop", "db", 12)
    monitoring.fire("Full", "mail", "queue", 2)
    monitoring.fire("Expires", "web", "cert")
    monitoring.fire("Noise", "lab", "noise")
    with (
        kit.service(TOKEN, monitoring.answer) as alerts,
        kit.service(TOKEN, tracker.answer, "token") as tickets,
    ):
        yield Systems(
            monitoring,
            tracker,
            {
                "SOURCES__MONITORING__BASE_URL": f"{alerts}/",
                "SOURCES__MONITORING__AUTH__TOKEN": TOKEN,
                "TARGETS__ALERTMANAGER__ADDRESS": alerts,
                "TARGETS__ALERTMANAGER__AUTH__TOKEN": TOKEN,
                "TARGETS__RT__ADDRESS": tickets,
                "TARGETS__RT__AUTH__TOKEN": TOKEN,
            },
            {"shop/db", "mail/queue", "web/cert", "lab/noise"},
            {"shop/db": 2, "mail/queue": 1},
        )
