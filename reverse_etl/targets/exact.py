"""JSON whose decimals stay what they are: `10.50` is read and written digit by digit, and is never
a float on the way.

In: a document, or the text of one. Out: the other. A decimal is `decimal.Decimal` in a document; a
number without a point is an int.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def loads(text: str | bytes) -> Any:
    """The document of a text. Raises ValueError where it is no JSON."""
    return json.loads(text, parse_float=Decimal)


def dumps(value: Any, *, sort_keys: bool = False) -> str:
    """A document as text, without spaces."""
    try:
        return _plain(value, sort_keys)
    except TypeError:  # a decimal in it: json itself knows floats only
        return _written(value, sort_keys)


def _written(value: Any, sort_keys: bool) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, Mapping):
        names = sorted(value) if sort_keys else value
        inside = (f"{_plain(str(n), False)}:{_written(value[n], sort_keys)}" for n in names)
        return f"{{{','.join(inside)}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(_written(one, sort_keys) for one in value)}]"
    return _plain(value, sort_keys)


def _plain(value: Any, sort_keys: bool) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=sort_keys, separators=(",", ":"))


def is_decimal(contract: str) -> bool:
    """Whether a type of an export's contract is a decimal one."""
    return contract.strip().lower().startswith(("decimal", "numeric"))


def is_float(contract: str) -> bool:
    """Whether it is one that only comes near what it should say."""
    return contract.strip().lower().startswith(("double", "float", "real"))
