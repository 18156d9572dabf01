"""Who has the name a new object is refused for, and whether that object may become ours.

In: what an entity's settings say (`Adopts`), the object that has the name (`Holder`). Out: why it
may not, in words with its id and a key of ours, never with what stands in it; None where it may.

A name alone says nothing of whose an account is, so nothing is adopted unless the settings say so,
and of accounts people sign in with only the sorts they say: a guest, a mailbox of several, a room,
a service, a role holder, a closed one is nobody's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from common.settings import Section
from reverse_etl.configured import TargetSettingsError
from reverse_etl.model import ADOPTS, LOGIN, PASSWORD, SWITCH, Column, Export

PLAIN = re.compile(r"[A-Za-z0-9._:/-]{0,80}[0-9][A-Za-z0-9._:/-]{0,80}|[0-9a-f-]{8,}")
UNLIKE = "_unlike"  # the raw column that says by what an object is nobody's own


class Adopts(Section):
    """Which objects that were there before may become ours."""

    adopts: bool = False
    """Whether an object that has the name (column of role `login`) a new one is refused for, and
    nobody's key, becomes ours."""
    adopts_only: dict[str, list[str]] = Field(default_factory=dict)
    """Of which sort it has to be: for each place the values that may stand there, in any letters;
    "" is none. What has another there is adopted by nobody."""

    def asks(self, export: Export) -> bool:
        """Whether the sort of what is nobody's is read: rows of the export name what they adopt."""
        return bool(self.adopts_only) and export.of_role(ADOPTS) is not None

    def check(self, where: str, export: Export) -> None:
        """Refuse an adoption nobody could judge."""
        if not self.adopts:
            return
        if export.of_role(LOGIN) is None:
            raise TargetSettingsError(
                f"{where} adopts: no column of {export.model} has role {LOGIN}; say by which name"
                " an object that is there is known"
            )
        signs_in = export.of_role(SWITCH) or export.of_role(PASSWORD)
        if signs_in and not self.adopts_only:
            raise TargetSettingsError(
                f"{where} adopts accounts of every sort; write which are a person's own, as"
                ' adopts_only = {type = ["", "member"]}'
            )


@dataclass(frozen=True)
class Holder:
    """The object that has a name: its id, the key it carries, if one, and what stands in it."""

    remote_id: str
    key: str | None
    at: Callable[[str], Any]
    switch: Column | None = None

    def why_not(self, said: Adopts) -> str | None:
        """Why it does not become ours, as the end of a sentence."""
        it = f"it is {_plain(self.remote_id) or 'another object'}"
        if self.key:
            return (
                f"{it}, which carries {f'the key {key}' if (key := _plain(self.key)) else 'a key'}"
            )
        if not said.adopts:
            return f"{it}, which carries no key of ours"
        if by := unlike(said.adopts_only, self.at, self.switch):
            own = "no person's own: adopts_only says which are"
            return f"{it}, and by {by} {own}"
        return None


def unlike(
    only: Mapping[str, Sequence[str]], at: Callable[[str], Any], switch: Column | None = None
) -> str | None:
    """At which place an object is of another sort than may be adopted; none where it is not. What
    is closed is opened by nobody.
    """
    for place, good in only.items():
        if not _words(at(place)) <= {one.lower() for one in good}:
            return place
    place = (switch.field or switch.name) if switch else ""
    closed = switch is not None and _words(at(place)) == _words(switch.off_value)
    return place if closed else None


def the_one(found: Iterable[Any], login: Column | None, wanted: Any, at: Callable[..., Any]) -> Any:
    """The one object of some whose name is the wanted one, in any letters; none of two."""
    if login is None or wanted in (None, ""):
        return None
    place, name = login.field or login.name, str(wanted).lower()
    same = [one for one in found if str(at(one, place) or "").lower() == name]
    return same[0] if len(same) == 1 else None


def _plain(text: str) -> str:
    """An id or a key as it may stand in a sentence: none that is an address, a name or no text."""
    return text if PLAIN.fullmatch(text) else ""


def _words(value: Any) -> set[str]:
    """What stands at a place, in small letters, of a list what each entry says; "" is nothing."""
    if isinstance(value, list | tuple):
        return set().union(*map(_words, value)) if value else {""}
    if isinstance(value, Mapping):
        return _words(value.get("value"))
    if isinstance(value, bytes):
        return {value.decode(errors="replace").lower()}
    return {str(value).lower() if value is not None else ""}
