"""The pages of calls say what is called; each answer a platform is known to give leads to what its
table says.
"""

from __future__ import annotations

import re
from types import ModuleType

import pytest

from reverse_etl.targets.entity import Route
from reverse_etl.targets.google import client as google
from reverse_etl.targets.microsoft import client as microsoft
from reverse_etl.targets.microsoft import quota
from reverse_etl.targets.replies import Call
from scripts import calls

KINDS = {
    "create": Call(repeatable=False),
    "change": Call(repeatable=True),
    "remove": Call(repeatable=True, removing=True),
    "new": Call(repeatable=True, young=True),
}
ANSWERS = [
    pytest.param(client, row, id=f"{name}-{row['call']}-{row['status']}-{row['code']}-{number}")
    for name, client in (("google", google), ("microsoft", microsoft))
    for number, row in enumerate(calls.answers(name))
]


def body(client: ModuleType, code: str, text: str) -> object:
    """An error as the platform writes it."""
    import json

    error = {"code": code, "message": text}
    if client is google:
        new = code.isupper()
        error = {"message": text} | ({"status": code} if new else {"errors": [{"reason": code}]})
        return json.dumps({"error": error})
    return {"error": error}


@pytest.mark.parametrize(("client", "row"), ANSWERS)
def test_an_answer_leads_to_what_the_table_says(client: ModuleType, row: dict[str, str]) -> None:
    reply = client.reply_of(int(row["status"]), body(client, row["code"], row["text"]), {})
    verdict = client.verdict(KINDS[row["call"]], reply)
    assert (verdict.status, verdict.reason) == (row["verdict"], row["reason"])
    assert row["source"].startswith("https://") and row["meaning"]


def test_the_pages_of_calls_say_what_is_called() -> None:
    for name, text in calls.pages().items():
        assert (calls.PAGES / name).read_text("utf-8") == text, "run: python -m scripts.calls"


def test_every_call_has_its_permission_and_its_cost() -> None:
    for platform in calls.PLATFORMS:
        for route, _, permission, _ in calls.used(platform):
            assert permission, (platform.kind, route.call)
            assert re.search(r"\d|own quota", platform.cost(route, permission)), route.call


# computed by hand from https://learn.microsoft.com/graph/throttling-limits
@pytest.mark.parametrize(
    ("call", "query", "cost"),
    [
        ("GET /users", {}, "2 units"),
        ("GET /users", {"$select": "id"}, "1 unit"),
        ("GET /users", {"$select": "id", "$top": "1"}, "1 unit"),
        ("GET /users", {"$select": "id", "$expand": "manager"}, "2 units"),
        ("GET /groups/{owner}/members", {"$select": "id", "$top": "999"}, "2 units"),
        ("GET /groups/{owner}/members", {"$top": "19"}, "2 units"),
        ("GET /subscribedSkus", {}, "3 units"),
        ("GET /groups", {}, "1 unit"),
        ("PATCH /users/{id}", {}, "1 unit and 1 write"),
    ],
)
def test_a_call_of_graph_costs_what_microsoft_says(call: str, query: dict, cost: str) -> None:
    assert quota.cost(Route(call, query), "") == cost
