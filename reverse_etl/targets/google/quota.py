"""What a call costs of Google's quota, for the page of calls."""

from __future__ import annotations

from reverse_etl.targets.entity import Route
from reverse_etl.targets.google.permissions import NEEDS

NAME = "Google Workspace"
LIMITS = (
    "Google counts each call once, for the administrator Homeroom acts as (`subject`, `subjects`)"
    " and the project of its key; each call of a batch counts too."
)


def cost(route: Route, permission: str) -> str:  # noqa: ARG001 - as of any platform
    """Google counts calls, each as one, in the quota of the API."""
    return f"1 of {NEEDS[permission].quota}"
