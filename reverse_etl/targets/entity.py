"""What a kind of target writes down: an `Entity` per kind of object, with its calls and its traits.

The words of a call stand in its address, its query and its body:
    {id} {key} {password} {<column>} {<constant>}
    {key!q} {key!j}    'quoted' for a filter, "quoted" as JSON
`{<column>}` of a column that refers to another object is the remote id of that object. In the path
of a call signs are escaped. Where a value stands in the target's objects is said by the exports
(`field:`): `table_of`.
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from common import sql
from reverse_etl.model import CREATE, DELETED, PASSWORD, REMOVALS, UNDELETE, Export
from reverse_etl.targets.fields import Field, Table
from reverse_etl.targets.json_path import steps

CREATING = frozenset({CREATE, UNDELETE})  # an object comes to be, or comes back


@dataclass(frozen=True)
class Route:
    """One call: `POST /users`, or what the vendor's own library calls it (`users.insert`)."""

    call: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None  # sent beside the columns, over them
    columns: bool | tuple[str, ...] = False  # which of the change are sent: all, some, none
    headers: Mapping[str, str] = field(default_factory=dict)
    permission: str = ""  # what it needs of the platform, where that is not its entity's


@dataclass(frozen=True)
class Entity:
    """One kind of object of a target: the calls that reach it, and what is particular about it.

    Routes: list, of (what one owner has), deleted, find, create, update, remove, undelete; an
    action's own name where it differs (rename, restore), check on one entity of a target,
    end_sessions (who uses an object that was just closed is signed out).
    """

    name: str
    routes: Mapping[str, Route] = field(default_factory=dict)
    remote_id: str = "id"  # the field that carries the platform's own id
    items: str = "value"  # the field of a page that holds its objects
    page: int = 0  # how many objects a page is asked for
    observed: Table = ()  # read beside the columns of the export
    asked: tuple[str, ...] = ()  # fields asked for beside those of any column
    derived: tuple[str, ...] = ()  # fields the adapter adds itself, never asked for
    read_only: tuple[str, ...] = ()  # fields that go in no body: the platform makes them
    named_by: str = ""  # the column an object is looked up by
    inside: str = ""  # the column that names what an object lives in
    permission: str = ""  # what its calls need of the platform, in the platform's own word
    # permission -> a call that only reads and is refused without it
    probes: Mapping[str, Route] = field(default_factory=dict)
    # traits
    links: tuple[str, ...] = ()  # the references it ties: it is no object of its own
    listed_per: str = ""  # the entity whose objects of ours are asked for theirs, one by one
    upserts: bool = False  # creating it twice makes one
    parents_first: bool = False  # its key is a path, and what is above must be there before
    unique_names: str = ""  # whose addresses nobody else may have: `user` or `group`
    keeps_deleted_days: int = 0  # for how long a deleted one can be had back by `undelete`
    never_deleted: str = ""  # why
    append_only: str = ""  # why: made once, never changed and never deleted
    opt_in: str = ""  # the setting of the target without which it is neither read nor written

    def needs(self, route: Route) -> str:
        """What a call needs of the platform."""
        return route.permission or self.permission

    def route(self, action: str) -> Route:
        """The call of an action. Raises KeyError with a reason where there is none."""
        general = "remove" if action in REMOVALS else action if action in CREATING else "update"
        if found := self.routes.get(action) or self.routes.get(general):
            return found
        if action in REMOVALS and self.never_deleted:
            raise KeyError(f"{self.never_deleted} and is never deleted")
        raise KeyError("the target has no such call")


class Words(dict[str, Any]):
    """The words of a call; `made` are made when a call asks for them, `why` says of a missing one
    what that means.
    """

    def __init__(self, words: Mapping[str, Any]) -> None:
        super().__init__(words)
        self.made: dict[str, Callable[[], str]] = {}
        self.why: dict[str, str] = {}

    def __missing__(self, name: str) -> Any:
        if name in self.made:
            return self.made[name]()
        raise KeyError(self.why.get(name, f"the change does not say {name}"))


class _Escaped(str):
    """A text whose signs are escaped."""


class _Formatter(string.Formatter):
    """`{word}`, `{word!q}` in single quotes, `{word!j}` as JSON; in a path signs are escaped."""

    def __init__(self, path: bool = False) -> None:
        self._path = path

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        match conversion:
            case "q":
                doubled = sql.text(value)[1:-1]
                return _Escaped(f"'{quote(doubled, safe='@')}'") if self._path else f"'{doubled}'"
            case "j":
                return json.dumps(value, ensure_ascii=False)
        return super().convert_field(value, conversion)  # type: ignore[arg-type]

    def format_field(self, value: Any, format_spec: str) -> Any:
        text = super().format_field(value, format_spec)
        escape = self._path and not isinstance(value, _Escaped)
        if self._path and text in {".", ".."}:  # a slash is escaped, dots cannot be
            raise KeyError("a name that is `..` leads elsewhere in an address and is not sent")
        return quote(text, safe="@") if escape else text


_PLAIN, _IN_PATH = _Formatter(), _Formatter(path=True)


def fill(template: Any, words: Words, *, path: bool = False) -> Any:
    """A text, or the texts of a table or list, with its words filled in. Raises KeyError with a
    reason when one is missing.
    """
    if isinstance(template, str):
        return (_IN_PATH if path else _PLAIN).vformat(template, (), words)
    if isinstance(template, Mapping):
        return {name: fill(value, words) for name, value in template.items()}
    return [fill(value, words) for value in template] if isinstance(template, list) else template


def table_of(row: Entity, export: Export) -> Table:
    """The field table an export declares. A column without a field is not in the target's objects
    (it is a reference, or stands in the address of a call), nor is a password, which is made when
    it is sent; deleting and restoring are calls of their own.
    """
    columns = [column for column in export.columns if column.name not in export.context]
    paths = {c.name: steps(c.field) if c.role != PASSWORD else () for c in columns}
    read = {c.name for c in columns if c.role == DELETED or c.field in row.read_only}
    forms = {c.name: c.form for c in columns}
    return tuple(
        Field(name, path, bool(path) and name not in read, forms[name])
        for name, path in paths.items()
    )
