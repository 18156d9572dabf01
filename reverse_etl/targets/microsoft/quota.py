"""What a call costs of Graph's quota, for the page of calls
(https://learn.microsoft.com/graph/throttling-limits, identity and access).
"""

from __future__ import annotations

from reverse_etl.targets.entity import Route

NAME = "Microsoft 365"
LIMITS = (
    "Graph counts resource units, 8,000 in 10 s for an application in a tenant of more than 500"
    " users (5,000 from 50, else 3,500), and writes, 3,000 in 150 s; each call of a batch of"
    " twenty counts for itself."
)
UNITS = {
    "GET /users": 2,
    "GET /groups/{owner}/members": 3,
    "GET /subscribedSkus": 3,
    "GET /users/{owner}/memberOf": 2,
}
FEW = 20  # a page of fewer costs one less


def cost(route: Route, permission: str) -> str:  # noqa: ARG001 - as of any platform
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
