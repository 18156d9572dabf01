"""Write `docs/targets/google.md` and `microsoft.md`: every call Homeroom sends, what it needs, what
it costs and what becomes of each answer.

In: the rows of the targets' `entities.py`, their tables of answers (`answers.csv`) and of refusals
(`refusals.csv`). Out: a page each. Run it after a change of one of them:

    python -m scripts.calls

`tests/python/test_calls.py` fails when the pages and the rows disagree, and holds each answer to
what the code makes of it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from common import problems
from reverse_etl.targets.entity import CREATING, Entity, Route
from reverse_etl.targets.google import Google
from reverse_etl.targets.google.entities import BESIDE as GOOGLE_BESIDE
from reverse_etl.targets.google.permissions import NEEDS
from reverse_etl.targets.microsoft import Microsoft
from reverse_etl.targets.microsoft.entities import BESIDE as MICROSOFT_BESIDE

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "targets"
READS = ("list", "of", "deleted", "find", "held", "check")
# resource units of reads, https://learn.microsoft.com/graph/throttling-limits (identity and access)
UNITS = {
    "GET /users": 2,
    "GET /groups/{owner}/members": 3,
    "GET /subscribedSkus": 3,
    "GET /users/{owner}/memberOf": 2,
}
FEW = 20  # a page of fewer costs one less


@dataclass(frozen=True)
class Platform:
    """What the page of a platform is made of."""

    kind: str
    name: str
    rows: dict[str, Entity]
    beside: tuple[Route, ...]  # calls no row has: what an answer leads to
    cost: Callable[[Route, str], str]
    limits: str


def graph_cost(route: Route, permission: str) -> str:  # noqa: ARG001 - as of any platform
    """What a call takes of an application's quota in one tenant."""
    method, _, path = route.call.partition(" ")
    if path.startswith("/education"):
        return "1 of 35,000 in 10 s (education)"
    if path.startswith("/teams"):
        return "of Teams' own quota"
    if "mailboxSettings" in path:
        return "of Outlook's own quota"
    if method != "GET":
        return "1 unit and 1 write"
    units = UNITS.get(route.call, 1)
    units += ("$expand" in route.query) - ("$select" in route.query)
    top = route.query.get("$top", "")
    units -= top.isdigit() and int(top) < FEW
    return f"{max(units, 1)} unit{'s' * (units > 1)}"


def google_cost(route: Route, permission: str) -> str:  # noqa: ARG001 - as of any platform
    """Google counts calls, each as one, in the quota of the API."""
    return f"1 of {NEEDS[permission].quota}"


PLATFORMS = (
    Platform(
        "google",
        "Google Workspace",
        dict(Google.rows),
        GOOGLE_BESIDE,
        google_cost,
        "Google counts each call once, for the administrator Homeroom acts as (`subject`) and the"
        " project of its key; each call of a batch counts too.",
    ),
    Platform(
        "microsoft",
        "Microsoft 365",
        dict(Microsoft.rows),
        MICROSOFT_BESIDE,
        graph_cost,
        "Graph counts resource units, 8,000 in 10 s for an application in a tenant of more than 500"
        " users (5,000 from 50, else 3,500), and writes, 3,000 in 150 s; each call of a batch of"
        " twenty counts for itself.",
    ),
)


def used(platform: Platform) -> Iterator[tuple[Route, str, str, str]]:
    """Each call with what it is for, its permission, and what becomes of one nobody answered."""
    for row in platform.rows.values():
        for action, route in row.routes.items():
            again = action not in CREATING or row.links or row.upserts
            unanswered = "sent again" if again else "looked up by its key, then sent again"
            yield route, f"{row.name}: {action}", row.needs(route), unanswered
        for permission, probe in row.probes.items():
            yield probe, f"{row.name}: make check", permission, "sent again"
    for route in platform.beside:
        yield (
            route,
            "looked at where an answer or an account asks for it",
            route.permission,
            "sent again",
        )


def calls(platform: Platform) -> Iterator[str]:
    """The table of calls, each once."""
    yield "| call | for | permission | quota | where no answer comes |\n|---|---|---|---|---|"
    found: dict[tuple[str, str, str, str], list[str]] = {}
    for route, why, permission, unanswered in used(platform):
        cost = platform.cost(route, permission)
        found.setdefault((route.call, permission, cost, unanswered), []).append(why)
    for (call, permission, cost, unanswered), why in sorted(found.items()):
        said = "<br>".join(dict.fromkeys(why))
        yield f"| `{call}` | {said} | `{permission}` | {cost} | {unanswered} |"


def answers(kind: str) -> list[dict[str, str]]:
    """The rows of a platform's table of answers."""
    path = ROOT / "reverse_etl" / "targets" / kind / "answers.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def refused(kind: str) -> Iterator[str]:
    """What is known of refusals, by the platform's codes and words, and what to do."""
    path = ROOT / "reverse_etl" / "targets" / kind / "refusals.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    yield "| asked | status | code | words | what it means | what to do |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        code = f"refused_{row['word']}"
        known = problems.catalogue()[code]
        cells = (
            row["asked"],
            row["status"],
            row["code"],
            row["text"],
            known.sentence,
            known.action,
        )
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def page(platform: Platform) -> str:
    """The page of one platform."""
    lines = [
        f"# Calls of {platform.name}\n",
        "Written by `python -m scripts.calls`; do not edit. What to permit stands in"
        " [permissions.md](../permissions.md); `make check` says what is missing.\n",
        f"## Every call\n\n{platform.limits}\n",
        *calls(platform),
        "\n## What becomes of an answer\n",
        "A `create` sent twice would make two, a `change` or a `remove` may be sent again, what is"
        " `new` was made in the same push. What is refused is told, and planned anew the next"
        " night.\n",
        "| call | status | code | words | what becomes of it | |\n|---|---|---|---|---|---|",
        *(
            f"| {row['call']} | {row['status']} | {row['code']} | {row['text']} | {row['verdict']}"
            f" | {row['meaning']} |"
            for row in answers(platform.kind)
        ),
        "\n## What is known of refusals\n",
        "The first row that fits; a code or words are patterns.\n",
        *refused(platform.kind),
    ]
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """File name -> what stands in it."""
    return {f"{platform.kind}.md": page(platform) for platform in PLATFORMS}


if __name__ == "__main__":
    for name, text in pages().items():
        (PAGES / name).write_text(text, encoding="utf-8")
