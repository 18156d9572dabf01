"""How names, keys and JSON are written in the warehouse's SQL; the one place that quotes.

In: names from the manifest, which dbt has already accepted as identifiers. Out: text for DuckDB.
"""

from __future__ import annotations

import json
from collections.abc import Iterable


def name(*parts: str) -> str:
    """A column or table name, quoted; a relation by its parts: `name("core", "people")`."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def names(columns: Iterable[str]) -> str:
    """Several columns, with commas."""
    return ", ".join(map(name, columns))


def text(value: object) -> str:
    """A text literal, of a path too."""
    return "'" + str(value).replace("'", "''") + "'"


def value(given: object) -> str:
    """A literal of a value as YAML or JSON gives it: text, number, true or false."""
    return text(given) if isinstance(given, str) else json.dumps(given)


def key(columns: Iterable[str], alias: str = "") -> str:
    """The expression of `model.key_text` over these columns; of one written `~column` a stand-in
    for its value, which does not tell it; one written `^column` ignores letter case.
    """
    prefix = f"{alias}." if alias else ""

    def part(column: str) -> str:
        text = f"cast({prefix}{name(column.lstrip('~^'))} as varchar)"
        if column.startswith("~"):
            return f"'~' || substr(sha256({text}), 1, 16)"
        escaped = rf"replace(replace({text}, '\', '\\'), '|', '\|')"
        return f"lower({escaped})" if column.startswith("^") else escaped

    return " || '|' || ".join(map(part, columns))


def key_like(columns: Iterable[str], key_columns: Iterable[str]) -> list[str]:
    """Columns that name an object of another table, written as that one's key is: a name that
    ignores letter case there is compared so here.
    """
    folds = any(column.startswith("^") for column in key_columns)
    return [f"^{column}" if folds else column for column in columns]


def key_part(expression: str, number: int) -> str:
    r"""The value of the key's column number `number` (from 0) inside a key text: the inverse of
    `key`.
    """
    parts = rf"regexp_extract_all({expression}, '((?:[^\\|]|\\.)*)(\||$)', 1)"
    return rf"regexp_replace({parts}[{number + 1}], '\\(.)', '\1', 'g')"


def json_field(field: str, expression: str) -> str:
    """`"field":value` as text; a NULL value is written as null, not left out."""
    return f"""{text(f'"{field}":')} || coalesce(cast(to_json({expression}) as varchar), 'null')"""


def json_fields(source: str, names: str) -> str:
    """A JSON object, as text, of those fields of the JSON `source` that the list `names` names."""
    parts = f"""list_transform({names}, lambda name: cast(to_json(name) as varchar) || ':'
        || coalesce(cast(json_extract({source}, '$."' || name || '"') as varchar), 'null'))"""
    return f"'{{' || array_to_string({parts}, ',') || '}}'"


def reason(code: str, **values: str) -> str:
    """A stored reason of the catalogue, as text: place -> the expression of its value."""
    listed = ", ".join(f"'{place}', {expression}" for place, expression in values.items())
    return f"cast(json_object('code', '{code}', 'values', json_object({listed})) as varchar)"


def json_object(fields: Iterable[str]) -> str:
    """A JSON object out of `json_field` expressions; those that are NULL are left out."""
    listed = ", ".join(fields)
    if not listed:
        return "'{}'"
    return (
        f"'{{' || array_to_string(list_filter([{listed}], lambda field: field is not null), ',') ||"
        " '}'"
    )
