"""Form: how the rows of an export become the file a target reads, as the export's YAML says it.

In: `file:` of an export's meta, and what each column says of its cells. Out: `FileFormat`, `Cell`,
or a FormError that names the key. Pure: imports the standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any, get_type_hints
from urllib.parse import quote

CREATE, UPDATE, REMOVE = "create", "update", "remove"
ENDS = ("first", "last")
CODECS = {  # as a vendor calls it -> as Python does
    "utf-8": "utf-8",
    "utf-8-sig": "utf-8-sig",
    "cp1252": "cp1252",
    "mac-roman": "mac_roman",
    "latin-1": "latin-1",
}
CHARSETS = {  # -> as XML does
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "cp1252": "windows-1252",
    "mac-roman": "macintosh",
    "latin-1": "ISO-8859-1",
}
STRUCTURED = ("excel", "json", "xml")
# what neither XML nor a workbook can hold
UNWRITABLE = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\ufffe\\uffff]")
CELL_LENGTH = 32_767  # of a cell of Excel
ACTION = "action"  # how the word for what happened to a row is called in a template
LINE_ENDS = {"crlf": "\r\n", "lf": "\n", "cr": "\r"}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
PLACE = re.compile(r"\{(\w+)(?::([^{}]*))?\}")
OF_A_FILE = ("date", "time", "district", "rows")
# A date as its form is written: the longest word first.
TOKENS = {
    "YYYY": "%Y",
    "YY": "%y",
    "MON": "%b",
    "MM": "%m",
    "DD": "%d",
    "HH": "%H",
    "MI": "%M",
    "SS": "%S",
    "M": "%-m",
    "D": "%-d",
}


class FormError(ValueError):
    """A form nobody can follow; the message begins with the key."""


@dataclass(frozen=True)
class Cell:
    """What a column says of its cells in a file."""

    width: int = 0  # of a file of fixed widths
    align: str = "left"  # left | right
    pad: str = " "
    max_length: int = 0  # 0: as long as it likes
    format: str | tuple[str, str] = ""  # a date, a phone number (#), or what is yes and what is no


@dataclass(frozen=True)
class Actions:
    """Of a delta: the words in which the target reads what happened to a row, and where they stand:
    in a column of their own, or in one of the export's. `moment`: the column that says since when
    the row is so.
    """

    create: str
    update: str
    remove: str
    header: str = "action"
    at: str = "first"  # first | last | a column
    width: int = 0
    moment: str = ""

    @property
    def is_added(self) -> bool:
        """Whether they have a column of their own."""
        return self.at in ENDS

    def word(self, action: str) -> str:
        return {CREATE: self.create, UPDATE: self.update, REMOVE: self.remove}[action]


@dataclass(frozen=True)
class FileFormat:
    """How an export becomes a file. In its names, its banner and its trailer stand `{date}`,
    `{time}`, `{district}` (in the last two also `{rows}`), and the part a file is of where its name
    says it.
    """

    name: str
    archive: str | None = None  # the zip this file travels in
    delimiter: str = ","
    quoting: str = "minimal"  # minimal | all | none | if_space
    encoding: str = "utf-8"  # one of CODECS
    line_end: str = "crlf"  # crlf | lf | cr
    header: bool = True
    when_empty: str = "skip"  # skip | send
    formulas: str = "keep"  # keep: a program reads it | text: it is opened in a spreadsheet
    daily: bool = False  # rows are of one day: of a part that is held none of yesterday's stand
    # delimited | fixed: every column has a width | excel | json | xml
    layout: str = "delimited"
    row: str = ""  # of JSON and XML: what a row becomes, `{column}` where a value stands
    sheet: str = ""  # of a workbook: what its sheet is called
    escape: str = "double"  # double | backslash: what stands before a quote within quotes
    banner: str = ""  # a first line
    trailer: str = ""  # a last line
    date: str = ""  # of columns of type date: DD/MM/YYYY
    date_time: str = ""  # of columns of type timestamp
    boolean: tuple[str, str] | None = None  # what is yes and what is no
    # what becomes of letters the encoding does not have, of what is too long, and of what its
    # format cannot be made of
    unencodable: str = "refuse"  # refuse | replace | tell
    too_long: str = "refuse"  # refuse | shorten
    unformatted: str = "refuse"  # refuse | empty
    replacements: Mapping[str, str] = field(default_factory=dict)
    actions: Actions | None = None  # set: only what changed is sent (a delta)
    days: tuple[str | int, ...] = ()  # weekdays, days of the month, "last"; none: any day
    words: Mapping[str, str] = field(default_factory=dict)  # values written in another word
    # set: it tells a source, whose feed should have said so after as many days (`write_back`)
    write_back: int = 0
    delta: FileFormat | None = None  # what it is where the target says `delta = true`

    @property
    def template(self) -> str:
        """What the file that arrives at the target is called, before its name is filled in."""
        return self.archive or self.name

    @property
    def codec(self) -> str:
        return CODECS[self.encoding]

    def is_due(self, day: date) -> bool:
        """Whether the file goes on this day."""
        last = (day.replace(day=28).toordinal() + 4, day.toordinal() + 1)
        is_last = date.fromordinal(last[1]).month != day.month
        return not self.days or bool(
            {WEEKDAYS[day.weekday()], day.day, *(["last"] if is_last else [])} & set(self.days)
        )


@dataclass(frozen=True)
class Moment:
    """What is filled in where a name or a line says so."""

    date: date
    time: time = time(0)
    district: str = ""
    partition: str | None = None  # the part a file is of

    def filled(self, template: str, partition: str | None = None, rows: int | None = None) -> str:
        """A template with its words filled in. A word no file has names the part a file is of."""

        def told(place: re.Match[str]) -> str:
            word, form = place[1], place[2]
            if word == "date":
                return self.date.strftime(form or "%Y-%m-%d")
            if word == "time":
                return self.time.strftime(form or "%H%M%S")
            if word == "district":
                return self.district
            if word == "rows":
                return format(rows or 0, form or "d")
            return quote(partition or self.partition or "", safe="")

        return PLACE.sub(told, template)


NO_CELL, NO_MOMENT = Cell(), Moment(date.min)


def words_in(template: str) -> set[str]:
    """The words a template wants filled in."""
    return {place[1] for place in PLACE.finditer(template)}


def per_partition(template: str) -> bool:
    """Whether there is one file per part."""
    return bool(words_in(template) - set(OF_A_FILE))


def pattern(form: str) -> str:
    """`DD/MM/YYYY` as strftime writes it."""
    return re.sub("|".join(TOKENS), lambda token: TOKENS[token[0]], form.replace("%", "%%"))


# ---------------------------------------------------------------- reading


CHOICES = {
    "quoting": ("minimal", "all", "none", "if_space"),
    "encoding": tuple(CODECS),
    "line_end": tuple(LINE_ENDS),
    "when_empty": ("skip", "send"),
    "formulas": ("keep", "text"),
    "layout": ("delimited", "fixed", *STRUCTURED),
    "escape": ("double", "backslash"),
    "unencodable": ("refuse", "replace", "tell"),
    "too_long": ("refuse", "shorten"),
    "unformatted": ("refuse", "empty"),
}
CELL = ("width", "align", "pad", "max_length", "format")


def file_format(settings: Mapping[str, Any], partition_words: Sequence[str]) -> FileFormat:
    """`file:` of an export. `partition_words`: what a name may call the part a file is of. Raises
    FormError.
    """
    types = get_type_hints(FileFormat)
    strict(settings, tuple(types), "")
    given: dict[str, Any] = dict(settings)
    if "delta" in settings:
        given["delta"] = _otherwise(settings, partition_words)
    for name, value in settings.items():
        if name == "delta":
            continue
        where = f".{name} is {value!r}"
        if name in CHOICES and value not in CHOICES[name]:
            raise FormError(f"{where}; it must be one of {', '.join(CHOICES[name])}")
        if name == "boolean":
            given[name] = two_texts(value, where)
        elif name == "days":
            given[name] = _days(value, where)
        elif name == "actions":
            given[name] = _actions(value, where)
        elif name == "words":
            if not isinstance(value, Mapping) or not all(
                isinstance(one, str) for pair in value.items() for one in pair
            ):
                raise FormError(f"{where}; write a value and the word for it, in quotes")
        elif name == "replacements":
            if not isinstance(value, Mapping) or not all(
                isinstance(one, str) and isinstance(other, str) and len(one) == 1
                for one, other in value.items()
            ):
                raise FormError(f"{where}; write a letter and what stands for it, in quotes")
        elif name == "write_back":
            if type(value) is not int or value < 1:
                raise FormError(f"{where}; write after how many days its feed has what was sent")
        elif not isinstance(value, types[name]) or (name == "delimiter" and len(value) != 1):
            raise FormError(f"{where}, which does not fit; it needs {types[name]}")
    if not settings.get("name"):
        raise FormError(".name is missing: it says what the vendor calls the file")
    made = FileFormat(**given)
    for name in ("name", "archive"):
        if re.search(r"[/\\]|^\.+$", PLACE.sub("", settings.get(name) or "")):
            raise FormError(f".{name} is {settings[name]!r}; it must be a plain file name")
    for name in ("name", "archive", "banner", "trailer"):
        known = list(OF_A_FILE[:3] if name in {"name", "archive"} else OF_A_FILE)
        if name in {"name", "archive"} or per_partition(made.template):
            known += partition_words
        text = getattr(made, name) or ""
        if strange := sorted(words_in(text) - set(known)):
            raise FormError(
                f".{name} is {text!r}; in it may stand"
                f" {', '.join(f'{{{word}}}' for word in known)}, not {{{strange[0]}}}"
            )
        _writable(made, f".{name}", PLACE.sub("", text))
    for letter, other in made.replacements.items():
        _writable(made, f".replacements, {letter!r}", other)
    for word in made.boolean or ():
        _writable(made, ".boolean", word)
    return made


def _otherwise(settings: Mapping[str, Any], partition_words: Sequence[str]) -> FileFormat:
    """`delta:` of a file: the keys that are otherwise where only changes are sent."""
    said = settings["delta"]
    if not isinstance(said, Mapping) or "delta" in said:
        raise FormError(f".delta is {said!r}; write the keys of a file that are otherwise")
    usual = {name: value for name, value in settings.items() if name != "delta"}
    try:
        return file_format({**usual, **said}, partition_words)
    except FormError as error:
        raise FormError(f".delta{error}") from None


def cell(meta: Mapping[str, Any]) -> Cell:
    """What a column's meta says of its cells. Raises FormError."""
    given = {name: meta[name] for name in CELL if name in meta}
    for name in ("width", "max_length"):
        if name in given and (type(given[name]) is not int or given[name] < 1):
            raise FormError(f"{name} is {given[name]!r}; it must be a number of characters")
    if given.get("align", "left") not in {"left", "right"}:
        raise FormError(f"align is {given['align']!r}; it must be one of left, right")
    if not isinstance(given.get("pad", " "), str) or len(given.get("pad", " ")) != 1:
        raise FormError(f"pad is {given['pad']!r}; it must be one character, in quotes")
    if isinstance(given.get("format"), list):
        given["format"] = two_texts(given["format"], f"format is {given['format']!r}")
    elif not isinstance(given.get("format", ""), str):
        raise FormError(
            f"format is {given['format']!r}; write DD/MM/YYYY, ###-###-####, or [yes, no] in quotes"
        )
    return Cell(**given)


def judge(form: FileFormat, cells: Mapping[str, Cell], headings: Mapping[str, str]) -> None:
    """Refuse cells the file cannot have. `headings`: column -> what stands above it. Raises
    FormError.
    """
    widths = {name: one.width for name, one in cells.items()}
    if form.actions:
        if form.actions.is_added:
            headings = {**headings, ".actions": form.actions.header}
        named = [("at", form.actions.at)] * (not form.actions.is_added)
        for key, name in (*named, ("moment", form.actions.moment)):
            if name and name not in cells:
                raise FormError(
                    f".actions.{key} is {name!r}; it must be one of {', '.join((*ENDS, *cells))}"
                )
        widths[".actions"] = widths.get(form.actions.at, form.actions.width)
    if form.layout in STRUCTURED:
        _structured(form, cells, headings)
    for name, heading in headings.items():
        where = f".layout is 'fixed': column {name}" if name in cells else ".actions"
        if form.layout == "fixed" and not widths[name]:
            raise FormError(f"{where} has no width")
        if form.header and form.layout == "fixed" and len(heading) > widths[name]:
            raise FormError(
                f"{where} has width {widths[name]}, too narrow for its heading {heading!r}; say"
                " header: false, or a shorter header"
            )
        if form.header:
            _writable(form, f".encoding: heading of {name}", heading)
        if name in cells and not isinstance(cells[name].format, str):
            for word in cells[name].format:
                _writable(form, f".encoding: format of {name}", word)
    for word in map(form.actions.word, (CREATE, UPDATE, REMOVE)) if form.actions else ():
        _writable(form, ".actions", word)
        if form.layout == "fixed" and len(word) > widths[".actions"]:
            raise FormError(f".actions: {word!r} is longer than its width")
    if form.delta:
        try:
            judge(form.delta, cells, headings)
        except FormError as error:
            raise FormError(f".delta{error}") from None


def _structured(form: FileFormat, cells: Mapping[str, Cell], headings: Mapping[str, str]) -> None:
    """Refuse what a workbook, JSON or XML cannot be made of."""
    where = f".layout is {form.layout!r}"
    if form.layout != "xml" and form.encoding != "utf-8":
        raise FormError(f".encoding is {form.encoding!r}; {form.layout} is utf-8")
    if form.layout == "xml" and form.encoding == "utf-8-sig":
        raise FormError(".encoding is 'utf-8-sig'; XML says its encoding itself")
    if form.layout == "excel":
        if form.row:
            raise FormError(f"{where}; a workbook has cells, and no template of a row")
        if len(form.sheet) > 31 or re.search(r"[\[\]:*?/\\]|^'|'$", form.sheet):
            raise FormError(f".sheet is {form.sheet!r}, which Excel takes for no sheet's name")
        return
    if bool(form.banner) != bool(form.trailer):
        raise FormError(f"{where}; write both banner and trailer, or neither")
    names = {*cells, *([ACTION] if form.actions and form.actions.is_added else [])}
    if form.row:
        if strange := sorted(words_in(form.row) - names):
            raise FormError(
                f".row names {{{strange[0]}}}; in it may stand {', '.join(sorted(names))}"
            )
        _writable(form, ".row", form.row)
        return
    if len({*headings.values()}) != len(headings):
        raise FormError(f"{where}; two columns have one heading: write a row of your own")
    for name, heading in headings.items() if form.layout == "xml" else ():
        if not re.fullmatch(r"[A-Za-z_][\w.-]*", heading):
            raise FormError(
                f"{where}; the heading {heading!r} of {name} is no element: write a row of your own"
            )


def strict(settings: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Refuse a key nobody knows."""
    for name in settings:
        if name not in known:
            raise FormError(f"{where} has no setting {name!r}; known are {', '.join(known)}")


def two_texts(value: Any, where: str) -> tuple[str, str]:
    """What is yes and what is no; YAML makes a truth of yes and no without quotes."""
    if (
        not isinstance(value, list)
        or [type(one) for one in value] != [str, str]
        or len(set(value)) != len(value)
    ):
        raise FormError(f'{where}; write what is yes and what is no, in quotes: ["Y", "N"]')
    return value[0], value[1]


def _days(value: Any, where: str) -> tuple[str | int, ...]:
    listed = value if isinstance(value, list) else [value]
    for one in listed:
        is_day = type(one) is int and 1 <= one <= 31
        if not is_day and one not in (*WEEKDAYS, "last"):
            raise FormError(f"{where}; write weekdays (monday), days of the month (1), or last")
    if not listed:
        raise FormError(f"{where}; a file without a day never goes: leave days out for every day")
    return tuple(listed)


def _actions(value: Any, where: str) -> Actions:
    if not isinstance(value, Mapping):
        raise FormError(f"{where}; write create, update and remove, each with the target's word")
    strict(value, tuple(get_type_hints(Actions)), ".actions")
    for name in (CREATE, UPDATE, REMOVE):
        if name not in value:
            raise FormError(f".actions.{name} is missing: the target's word for it")
    for name, one in value.items():
        if type(one) is not (int if name == "width" else str):
            raise FormError(f".actions.{name} is {one!r}; write it in quotes")
    if value[REMOVE] in {value[CREATE], value[UPDATE]}:
        raise FormError(f"{where}; who leaves and who stays have the same word")
    return Actions(**value)


def _writable(form: FileFormat, where: str, text: str) -> None:
    try:
        text.encode(form.codec)
    except UnicodeEncodeError as error:
        raise FormError(f"{where}: {form.encoding} has no {text[error.start]!r}") from None
    if "\n" in text or "\r" in text:
        raise FormError(f"{where}: a line end within a line")
