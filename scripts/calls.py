"""Write a page of calls under `docs/targets/` for each platform that has a table of answers: every
call Homeroom sends, what it needs, what it costs and what becomes of each answer.

In: the rows of `entities.py` and `quota.py` of a kind, its tables of answers (`answers.csv`) and
of refusals (`refusals.csv`). Out: a page each. Run it after a change of one of them:

    python -m scripts.calls

`tests/python/test_calls.py` fails when the pages and the rows disagree, and holds each answer to
what the code makes of it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from common import problems
from reverse_etl.targets import ADAPTERS
from reverse_etl.targets.entity import CREATING, Entity, Route

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "targets"
TARGETS = ROOT / "reverse_etl" / "targets"


@dataclass(frozen=True)
class Platform:
    """What the page of a platform is made of."""

    kind: str
    name: str
    rows: dict[str, Entity]
    beside: tuple[Route, ...]  # calls no row has: what an answer leads to
    cost: Callable[[Route, str], str]
    limits: str


def platform_of(kind: str) -> Platform:
    """A platform as the modules of its kind have it."""
    beside = import_module(f"reverse_etl.targets.{kind}.entities").BESIDE
    quota = import_module(f"reverse_etl.targets.{kind}.quota")
    return Platform(kind, quota.NAME, dict(ADAPTERS[kind].rows), beside, quota.cost, quota.LIMITS)


KINDS = sorted(path.parent.name for path in TARGETS.glob("*/answers.csv"))
PLATFORMS = tuple(platform_of(kind) for kind in KINDS)


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
    path = TARGETS / kind / "answers.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def refused(kind: str) -> Iterator[str]:
    """What is known of refusals, by the platform's codes and words, and what to do."""
    path = TARGETS / kind / "refusals.csv"
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
