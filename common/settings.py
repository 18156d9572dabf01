"""Settings: `.dlt/config.toml`, overlaid by `.dlt/secrets.toml`, overlaid by the environment, as
dlt itself reads them.

`TARGETS__GOOGLE__ADDRESS=…` in the environment means `[targets.google] address`. Values from the
environment are read as TOML where they parse (`8`, `true`, `["a"]`) and as text where they do not.

What a table may say is declared once, as a `Section` beside whoever reads it:

    class Archive(Section):
        keep_days: KeepDays | None = None
        \"\"\"Files not in force for so long are past their days; unset: for ever.\"\"\"

`read(Archive, "archive")` gives it with its defaults, or raises a SettingsError that names
everything in that table nobody can follow: unknown keys with the nearest known one, and wrong
values with what would be right. A setting that is a secret is declared with `Field(repr=False)`:
its value is never told.
"""

from __future__ import annotations

import difflib
import inspect
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import pydantic
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.fields import FieldInfo

from common.paths import home, mine

# dlt reads these itself; the rest of the first level is ours.
OF_DLT = ("runtime", "extract", "normalize", "load", "schema", "data_writer", "destination")
TABLES = (
    *("district", "trust", "archive", "sources", "targets", "passwords", "alerts", "metrics"),
    *("night", "build", "schedule", "backup", "retention", "words", "access", "serve", "schedules"),
    "calls",
)
PLAIN = re.compile(r"[\w-]+|\"[^\"]*\"|'[^']*'")
HEADING = re.compile(r"\s*\[+\s*([\w\-.\"' ]+?)\s*\]+\s*(#.*)?")
SETTING = re.compile(r"\s*([\w\-.\"' ]+?)\s*=")


class SettingsError(Exception):
    """Settings that cannot be followed; `wrong` has a sentence for each, which says where it
    stands and what it should look like.
    """

    def __init__(self, *wrong: str) -> None:
        super().__init__("; ".join(wrong))
        self.wrong = wrong


class Section(pydantic.BaseModel):
    """One table of the settings: its keys, their types and defaults. Any other key is refused."""

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False
    )
    _name: str = pydantic.PrivateAttr("")  # the last word of the table it was read from


S = TypeVar("S", bound=Section)


class Words(NamedTuple):
    """What a value must be, where its type does not say it."""

    right: str


def _as_text(value: Any) -> Any:
    """A number stands for the text it is written as: the environment knows no other."""
    return str(value) if type(value) in (int, float) else value


def _no_way_up(value: str) -> str:
    """A path, or an address, never leads out of where it begins."""
    if ".." in re.split(r"[/\\]", unquote(value)):
        raise ValueError("`..` in a path is refused: write where it leads to")
    return value


def _false_itself(value: Any) -> Any:
    if value is not False:  # which 0 equals, and a number it may be
        raise ValueError("it must be false")
    return value


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else _listed(value)


Text = Annotated[str, BeforeValidator(_as_text), AfterValidator(_no_way_up)]
Secret = Annotated[str, BeforeValidator(_as_text), Field(repr=False)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_listed)]
OneOrMore = Annotated[
    tuple[Text, ...], BeforeValidator(_one_or_more), Words("a text, or a list of texts")
]
Number = Annotated[float, Field(ge=0)]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=0)]
Some = Annotated[int, BeforeValidator(_whole), Field(ge=1)]
KeepDays = Annotated[int, Field(ge=1)]  # what goes by it is gone: no other spelling is taken for it
Share = Annotated[float, Field(ge=0, le=1)]
Never = Annotated[Literal[False], BeforeValidator(_false_itself)]


def _a_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, TypeError, OSError):
        raise ValueError("which is no time zone; write it as America/Vancouver") from None


class District(Section):
    """[district]: whose house this is."""

    number: Text = ""
    """The district's number, as it stands in plans, alerts and metrics."""
    name: Text = ""
    """What pages and incidents call it."""
    time_zone: Annotated[Text, AfterValidator(_a_zone)] = "America/Vancouver"
    """Where its days begin and its timers count."""


def zone() -> ZoneInfo:
    """The district's time zone. Raises SettingsError for one nobody knows."""
    return ZoneInfo(read(District, "district").time_zone)


# ---------------------------------------------------------------- what is written


@cache
def _files(folder: Path) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for path in _paths(folder):
        _merge(merged, _of_file(path))
    return merged


def _paths(folder: Path) -> list[Path]:
    """The files there are; what stands in a later one goes before an earlier one."""
    paths = (folder / ".dlt" / name for name in ("config.toml", "secrets.toml"))
    return [path for path in paths if path.is_file()]


def _of_file(path: Path) -> dict[str, Any]:
    """What a file says. Its text never enters a sentence: it may be a secret, and so may the line
    that is wrong.
    """
    where = f".dlt/{path.name}"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f"{where} is no TOML: {error}; nothing was begun, mend that line"
        ) from None
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{where} is not UTF-8 (byte {error.start + 1:,}); nothing was begun, save it as UTF-8"
        ) from None
    except PermissionError:
        if path.name == "secrets.toml" and not mine():  # who only reads needs none
            return {}
        raise SettingsError(
            f"{where} may not be read by this user; nothing was begun, give it to the user the"
            " nights run as (mode 0600)"
        ) from None


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        elif isinstance(value, dict):
            into[key] = {}
            _merge(into[key], value)
        else:
            into[key] = value


def _parsed(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def everything() -> dict[str, Any]:
    """All settings as one nested dict, environment included."""
    merged: dict[str, Any] = {}
    _merge(merged, _files(home()))
    for name, parts in _variables():
        _merge(merged, _nested(parts, _parsed(os.environ[name])))
    return merged


def _variables() -> Iterator[tuple[str, list[str]]]:
    """The variables of the environment that are settings, and the keys each one means."""
    for name in os.environ:
        parts = name.lower().split("__")
        if len(parts) > 1 and all(parts):
            yield name, parts


def _nested(parts: list[str], value: Any) -> dict[str, Any]:
    for part in reversed(parts):
        value = {part: value}
    return value


def section(*table: str) -> dict[str, Any]:
    """One table as it is written, e.g. `section("targets", "google")`; empty when nobody wrote
    it. Raises SettingsError where something else stands.
    """
    here: Any = everything()
    for number, name in enumerate(table):
        here = here.get(name, {})
        if not isinstance(here, dict):
            where = table[: number + 1]
            raise SettingsError(
                f"{_place(where)}{'.'.join(where)} is {_said(here, where)}; it must be a table,"
                f" [{'.'.join(where)}]"
            )
    return here


def is_on(*table: str) -> bool:
    """Whether a source or a target is the district's: its table stands in the settings and does not
    say `enabled = false`. What is no table, or says something else there, is for whoever reads it
    whole to refuse.
    """
    try:
        return says_on(section(*table))
    except SettingsError:
        return True


def asks_for(key: str, *table: str) -> bool:
    """Whether a table says yes to something that is off unless it is asked for."""
    try:
        said = section(*table).get(key, False)
    except SettingsError:
        return False
    return str(said).strip().lower() in ("true", "yes", "on", "y", "t", "1")


def says_on(written: Mapping[str, Any]) -> bool:
    """The same of a table that has been read."""
    no = ("false", "no", "off", "n", "f", "0")
    return bool(written) and str(written.get("enabled", True)).strip().lower() not in no


def strangers() -> list[str]:
    """A sentence for each table of the first level that nobody reads."""
    known = (*TABLES, *OF_DLT)
    return [
        f"{_place((name,))}[{name}]: no such table; {nearest(name, known)}"
        for name in _files(home())
        if name not in known
    ]


# ---------------------------------------------------------------- what it must look like


def read(model: type[S], *table: str) -> S:
    """`[table]` of the settings as its model declares it. Raises SettingsError with all that is
    wrong in it.
    """
    return parse(model, section(*table), table)


def read_each(model: type[S], name: str) -> list[S]:
    """Every table of `[[name]]`, in their order. Raises SettingsError with all that is wrong."""
    written = everything().get(name, [])
    if not isinstance(written, list) or not all(isinstance(one, dict) for one in written):
        raise SettingsError(f"{_place((name,))}{name} must be tables, each headed [[{name}]]")
    made, wrong = [], []
    for number, one in enumerate(written, 1):
        try:
            made.append(parse(model, one, (name, str(one.get("name") or number)), lambda _: ""))
        except SettingsError as error:
            wrong += error.wrong
    if wrong:
        raise SettingsError(*wrong)
    return made


def read_what_can_be(model: type[S], *table: str) -> tuple[S, list[str]]:
    """The same, with what cannot be followed left out: a key of the table, or one of a table in it.
    And a sentence for each.
    """
    said: list[str] = []
    try:
        written = deepcopy(section(*table))
    except SettingsError as error:
        return model(), list(error.wrong)
    while True:
        try:
            model.model_validate(written)
            return parse(model, written, table), said
        except pydantic.ValidationError as error:
            for one in _wrong(error, model, table, _place):
                said.append(one.sentence)
                first, *more = one.keys or ("",)
                if more and isinstance(written.get(first), dict):
                    written[first].pop(more[0], None)
                else:
                    written.pop(first, None)


def parse(
    model: type[S],
    written: Mapping[str, Any],
    table: tuple[str, ...],
    place: Callable[[tuple[str, ...]], str] | None = None,
    error: type[SettingsError] = SettingsError,
) -> S:
    """A table, wherever it was written, as its model declares it; `place` says where a key stands.
    Raises `error` with all that is wrong in it.
    """
    try:
        made = model.model_validate(dict(written))
    except pydantic.ValidationError as found:
        wrong = _wrong(found, model, table, place or _place)
        raise error(*(one.sentence for one in wrong)) from None
    _name(made, table[-1] if table else "")
    return made


def _name(made: Any, name: str) -> None:
    """Tell a section, and the sections in it, which table each was read from."""
    if isinstance(made, Section):
        made._name = name
        for key, value in made:
            _name(value, key)
    elif isinstance(made, dict):
        for key, value in made.items():
            _name(value, key)


def in_sight(model: type[Section], *table: str) -> Iterator[str]:
    """A sentence for each secret of a table that stands in config.toml, which everybody reads."""
    for name, field in model.model_fields.items():
        kind, path = _bare(field.annotation), (*table, field.alias or name)
        if _is_section(kind):
            yield from in_sight(kind, *path)
        elif not field.repr and _origin(path)[0] == "config.toml":
            yield (
                f"{_place(path)}[{'.'.join(table)}] {path[-1]} is a secret; put it under the same"
                f" heading in .dlt/secrets.toml, or into {'__'.join(path).upper()} of the"
                " environment, and think of it as known"
            )


class Wrong(NamedTuple):
    """What is wrong: the keys down to it, and the sentence."""

    keys: tuple[str, ...]
    sentence: str


class Spot(NamedTuple):
    """Where an error of pydantic stands: the keys down to it, the section that knows or does not
    know the last of them, its field, what its value must be, and whether it is about one of several
    values.
    """

    keys: tuple[str, ...]
    owner: type[Section]
    field: FieldInfo | None
    annotation: Any
    inside: bool


def _wrong(
    error: pydantic.ValidationError,
    model: type[Section],
    table: tuple[str, ...],
    place: Callable[[tuple[str, ...]], str],
) -> list[Wrong]:
    found: dict[tuple[str, ...], Wrong] = {}
    for one in error.errors(include_url=False):
        spot = _spot(model, one["loc"])
        sentence = _sentence(one, (*table, *spot.keys), spot, place)
        found.setdefault(spot.keys, Wrong(spot.keys, sentence))
    return list(found.values())


def _sentence(
    error: Any, path: tuple[str, ...], spot: Spot, place: Callable[[tuple[str, ...]], str]
) -> str:
    """One error of pydantic in the words of this house."""
    *table, key = path or ("",)
    where = f"{place(path)}[{'.'.join(table)}] {key}" if table else f"{place(path)}{key}"
    if error["type"] == "extra_forbidden":
        return f"{where}: no such key; {nearest(key, known_keys(spot.owner))}"
    context = error.get("ctx", {})
    if error["type"].startswith("union_tag"):  # one of several tables, told apart by one key
        key = context["discriminator"].strip("'")
        said = f"is {context['tag']!r}" if "tag" in context else "is missing"
        told = f"it must be one of {', '.join(tags(spot.annotation, key))}"
        return f"{place((*path, key))}[{'.'.join(path)}] {key} {said}; {told}"
    reason = context.get("error")
    if reason and _is_section(_bare(spot.annotation)):  # the table as a whole
        return f"{place(path)}[{'.'.join(path)}] {reason}"
    if reason is None:
        reason = f"it must be {right(spot.annotation)}"
    if error["type"] == "missing":
        return f"{where} is missing; {reason}"
    found = _said(error["input"], path if spot.field.repr else ())
    joint = ", " if str(reason).startswith("which ") else "; "
    return f"{where} {'has' if spot.inside else 'is'} {found}{joint}{reason}"


def _spot(model: type[Section], loc: tuple[str | int, ...]) -> Spot:
    spot = Spot((), model, None, model, inside=False)
    for number, part in enumerate(loc):
        here = _bare(spot.annotation)
        keys = (*spot.keys, str(part))
        if _is_section(here):
            fields = here.model_fields.items()
            field = next((one for name, one in fields if part in (name, one.alias)), None)
            kind = Annotated[field.annotation, *field.metadata, None] if field else None
            spot = Spot(keys, here, field, kind, inside=False)
        elif get_origin(here) is dict:
            spot = spot._replace(keys=keys, annotation=get_args(here)[1])
        elif get_origin(here) is list and _is_section(get_args(here)[0]):
            spot = spot._replace(keys=keys, annotation=get_args(here)[0])
        elif part in (tagged := tags(here)):
            spot = spot._replace(annotation=tagged[str(part)])
        else:
            return spot._replace(inside=any(isinstance(one, int) for one in loc[number:]))
    return spot


def _is_section(annotation: Any) -> bool:
    return inspect.isclass(annotation) and issubclass(annotation, Section)


def _bare(annotation: Any) -> Any:
    """An annotation without what only validates it, and without None."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        left = [_bare(one) for one in get_args(annotation) if one is not NoneType]
        return left[0] if len(left) == 1 else annotation
    return annotation


def tags(annotation: Any, key: str = "") -> dict[str, type[Section]]:
    """The sections of a union that one key tells apart, by what that key says."""
    return {
        str(word): one
        for one in get_args(_bare(annotation))
        if _is_section(one)
        for name, field in one.model_fields.items()
        if key in ("", name) and get_origin(field.annotation) is Literal
        for word in get_args(field.annotation)
    }


def known_keys(model: type[Section]) -> list[str]:
    """What may stand in the table of a section, as it is written."""
    return sorted(field.alias or name for name, field in model.model_fields.items())


def nearest(word: str, known: Any) -> str:
    """For sentences: the known word most like one nobody knows, and all that are known."""
    most_alike = difflib.get_close_matches(word, known, 1, 0.0)
    alike = f"the nearest is {most_alike[0]}; " if most_alike else ""
    return f"{alike}known are {', '.join(known) or 'none'}"


def right(annotation: Any, limits: Any = ()) -> str:
    """What a value must be, in words: `a whole number, 1 or more, or false`."""
    if get_origin(annotation) is Annotated:
        bare, *more = get_args(annotation)
        if words := [one for one in more if isinstance(one, Words)]:
            return words[0].right
        return right(bare, [*limits, *_limits_of(more)])
    if get_origin(annotation) in (Union, UnionType):
        kinds = [one for one in get_args(annotation) if one is not NoneType]
        return ", or ".join(right(one, () if len(kinds) > 1 else limits) for one in kinds)
    if get_origin(annotation) is Literal:
        words = [str(one).lower() if one is False else str(one) for one in get_args(annotation)]
        return words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    if get_origin(annotation) in (tuple, list):
        return f"a list of {_plural(right(get_args(annotation)[0]))}"
    if get_origin(annotation) is dict or _is_section(annotation):
        return "a table"
    name = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return name.get(annotation, "something else") + _bounds(_limits_of(limits))


def _limits_of(metadata: Any) -> list[Any]:
    """The bounds among what pydantic keeps of a field."""
    return [
        inner
        for one in metadata
        for inner in (one.metadata if isinstance(one, FieldInfo) else [one])
    ]


def _bounds(limits: list[Any]) -> str:
    if any(hasattr(one, "gt") for one in limits):
        return f", more than {next(one.gt for one in limits if hasattr(one, 'gt')):g}"
    least = next((one.ge for one in limits if hasattr(one, "ge")), None)
    most = next((one.le for one in limits if hasattr(one, "le")), None)
    if least is None:
        return ""
    return f", {least:g} or more" if most is None else f" between {least:g} and {most:g}"


def _plural(kind: str) -> str:
    return kind.removeprefix("a ") + "s"


def _said(value: Any, path: tuple[str, ...]) -> str:
    """A value for a sentence; only what kind of value it is where it may be a secret."""
    if isinstance(value, dict):
        return "a table"
    if path and _origin(path)[0] != "secrets.toml":
        return repr(value)
    kinds = {bool: "true or false", int: "a whole number", float: "a number", list: "a list"}
    return f"{kinds.get(type(value), 'a text')} (a secret, so not shown)"


# ---------------------------------------------------------------- where it stands


def _place(path: tuple[str, ...]) -> str:
    """Where a setting is written, for the beginning of a sentence; '' when nobody can tell."""
    where, line = _origin(path)
    if not where:
        return ""
    return f"{where} of the environment: " if line is None else f".dlt/{where}, line {line}: "


def _origin(path: tuple[str, ...]) -> tuple[str, int | None]:
    """The variable of the environment that says it, or the file and its line."""
    for name, parts in _variables():
        if tuple(parts) == path[: len(parts)] or path == tuple(parts[: len(path)]):
            return name, None
    for file in reversed(_paths(home())):
        here: Any = _of_file(file)
        for name in path:
            here = here.get(name) if isinstance(here, dict) else None
        if here is not None:
            return file.name, line_of(file.read_text(encoding="utf-8"), path)
    return "", None


def line_of(text: str, path: tuple[str, ...]) -> int:
    """The line of a TOML document on which a key, or the table it is in, is written."""
    table: tuple[str, ...] = ()
    best = (0, 1)
    for number, line in enumerate(text.splitlines(), 1):
        if heading := HEADING.fullmatch(line):
            found = table = _words(heading[1])
        elif setting := SETTING.match(line):
            found = (*table, *_words(setting[1]))
        else:
            continue
        if found == path[: len(found)]:
            best = max(best, (len(found), -number))
    return abs(best[1])


def _words(key: str) -> tuple[str, ...]:
    return tuple(word.strip("\"'") for word in PLAIN.findall(key))
