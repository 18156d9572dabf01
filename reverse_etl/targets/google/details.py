"""What stands on an account beside names and place, in lists in which others write too.

In: what a change wants, the account as it is. Out: the body of a PUT, which replaces a list whole:
our entry as wanted, every other one as it was
(https://developers.google.com/workspace/admin/directory/reference/rest/v1/users).
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from reverse_etl.targets.fields import Table
from reverse_etl.targets.json_path import put, value_at

SELECTORS = {"type", "primary", "customType"}  # what alone says nothing


def merged(table: Table, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The body that makes an account as wanted. A value that is taken away takes its entry along
    where nothing else stands in it.
    """
    body: dict[str, Any] = {}
    for each in table:
        if each.column not in wanted or not each.path:
            continue
        value, (top, inside, *_) = wanted[each.column], each.path
        is_list = inside.startswith("[")
        if is_list and top not in body:
            body[top] = deepcopy(found.get(top) or [])
        if value is None and is_list:
            entry = value_at(body, each.path[:2])
            if isinstance(entry, dict):
                entry.pop(each.path[2], None)
                body[top] = [one for one in body[top] if one.keys() - SELECTORS]
        else:
            put(body, each.path, value)
    return body
