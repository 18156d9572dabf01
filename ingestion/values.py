"""What a value that is more than a text reads as: dates, yes and no, whole numbers, years, numbers
with decimals.

In: the SQL of a text, what it is, the form a feed declares for its dates. Out: the SQL of what it
reads as. A date is read where it has one reading: 03/04/2015 is two days, so the feed says which by
`date_format`; 30-JUN-26 may be of two centuries, 46203 a spreadsheet's count of days. So is a
number: 1,234 and 1.234 are two each, `decimal 1.234,56` says which. Pure.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator

from common import sql

Type = Literal[
    "date",
    "flag",
    "integer",
    "year",
    "decimal",
    "decimal 1234.56",
    "decimal 1,234.56",
    "decimal 1.234,56",
    "decimal 1 234,56",
]
KINDS = {
    "date": "a date",
    "flag": "yes or no",
    "integer": "a whole number",
    "year": "a year",
    **dict.fromkeys((one for one in get_args(Type) if one.startswith("decimal")), "a number"),
}
DECIMAL, PLAIN_DECIMAL = "decimal", "decimal 1234.56"  # of any form; as programs write numbers
DAYS = "excel"  # a date_format: days since 30 December 1899, as spreadsheets count them
TOKENS = {
    "yyyy": "%Y",
    "yy": "%y",
    "mmmm": "%B",
    "mmm": "%b",
    "mon": "%b",
    "mm": "%m",
    "dd": "%d",
    "m": "%m",
    "d": "%d",
}
# what programs write where they have nothing; no date, no number and no answer looks so
NOTHING = (
    r"(?i)(null|none|nan|nat|#?n/a|na|nil|[-–—.]+|0{8}|0001-01-01"
    r"|0{4}[-/.]0{1,2}[-/.]0{1,2}|0{1,2}[-/.]0{1,2}[-/.]0{4})"
)
TIME = (
    r"(?i)[T ]+[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,:][0-9]+)?)? *([ap][.]?m[.]?)?"
    r" *(z|utc|gmt|[-+][0-9]{2}:?[0-9]{0,2})?$"
)
MONTH = r"(?i)\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[.]?"
WEEKDAY = r"(?i)^(mon|tue|wed|thu|fri|sat|sun)[a-z]*[.]?,? +"
PATTERNS = (  # of what is left: the pattern, how it is written for its form, the form
    (r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})", r"\1-\2-\3", "%Y-%m-%d"),
    (r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{6})?", r"\1-\2-\3", "%Y-%m-%d"),
    (
        r"([0-9]{1,2})(?:st|nd|rd|th)?[-/. ]*([A-Za-z]{3})[-/., ]*([0-9]{4})",
        r"\1-\2-\3",
        "%d-%b-%Y",
    ),
    (
        r"([A-Za-z]{3})[-/. ]*([0-9]{1,2})(?:st|nd|rd|th)?[-/., ]+([0-9]{4})",
        r"\2-\1-\3",
        "%d-%b-%Y",
    ),
    (r"([0-9]{4})[-/. ]*([A-Za-z]{3})[-/. ]*([0-9]{1,2})", r"\3-\2-\1", "%d-%b-%Y"),
)
EITHER_WAY = r"([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{4})"
TESTS = {
    "flag": r"(?i)(y|yes|true|t|1|n|no|false|f|0)",
    "integer": r"[-+]?[0-9]{1,9}",
    "year": r"([0-9]{4}\s*[/-]\s*)?[0-9]{4}",
}

GROUP_SIGNS = "[ \\x{00A0}\\x{202F}\\x{2009}'\\x{2019}]"  # spaces of all widths, apostrophes
DECIMALS = (  # the pattern, the forms it is read in ("" where a feed says none), the decimal sign
    (r"[0-9]+", ("", "1234.56", "1,234.56", "1.234,56", "1 234,56"), "."),
    (r"[0-9]+[.][0-9]+", ("1234.56", "1,234.56"), "."),
    (r"[0-9]*[.]([0-9]{1,2}|[0-9]{4,})", ("", "1234.56", "1,234.56"), "."),
    (r"(0|[0-9]{4,})?[.][0-9]+", ("", "1234.56", "1,234.56"), "."),
    (r"[0-9]+,[0-9]+", ("1.234,56", "1 234,56"), ","),
    (r"[0-9]*,([0-9]{1,2}|[0-9]{4,})", ("", "1.234,56", "1 234,56"), ","),
    (r"(0|[0-9]{4,})?,[0-9]+", ("", "1.234,56", "1 234,56"), ","),
    (r"[1-9][0-9]{0,2}(,[0-9]{3})+", ("1,234.56",), "."),
    (r"[1-9][0-9]{0,2}(,[0-9]{3})+[.][0-9]+", ("", "1,234.56"), "."),
    (r"[1-9][0-9]{0,2}(,[0-9]{3}){2,}", ("", "1,234.56"), "."),
    (r"[1-9][0-9]{0,2}([.][0-9]{3})+", ("1.234,56",), ","),
    (r"[1-9][0-9]{0,2}([.][0-9]{3})+,[0-9]+", ("", "1.234,56"), ","),
    (r"[1-9][0-9]{0,2}([.][0-9]{3}){2,}", ("", "1.234,56"), ","),
    (rf"[1-9][0-9]{{0,2}}({GROUP_SIGNS}[0-9]{{3}})+(,[0-9]+)?", ("", "1 234,56"), ","),
    (rf"[1-9][0-9]{{0,2}}({GROUP_SIGNS}[0-9]{{3}})+[.][0-9]+", ("",), "."),
)
MOST_DIGITS = 30

# what nobody sees on a screen: tab, line ends and other controls, soft hyphen, zero-width, marks of
# direction, byte order mark, blanks that are no space, fillers
BLANKS = r"\x{00A0}\x{1680}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}"
UNSEEN = (
    r"\p{Cc}\p{Cf}\p{Zl}\p{Zp}\x{034F}\x{115F}\x{1160}\x{2800}\x{3164}\x{FFA0}"
    r"\x{FE00}-\x{FE0F}"
)


def visible(text: str) -> str:
    """The SQL of a key or an address without what nobody can see."""
    return f"nullif(trim(regexp_replace({text}, '[{BLANKS}{UNSEEN}]+', '', 'g')), '')"


def spelled(date_format: str) -> str:
    """A declared form as the parser knows it: `dd/MM/yyyy` and `%d/%m/%Y` are one. Raises
    ValueError for one that does not say day, month and year.
    """
    said = date_format.strip()
    if said.lower() == DAYS:
        return DAYS
    if "%" not in said:
        listed = "|".join(sorted(TOKENS, key=len, reverse=True))
        said = re.sub(listed, lambda found: TOKENS[found[0].lower()], said, flags=re.IGNORECASE)
    said = said.replace("%B", "%b")
    parts = re.findall(r"%-?([A-Za-z])", said)
    if not (
        {*parts} >= {"d"} and {*parts} & {"m", "b"} and len([p for p in parts if p in "yY"]) == 1
    ):
        raise ValueError(
            f"date_format {date_format!r} must say day, month and year, such as dd/MM/yyyy,"
            ' %m/%d/%Y, dd-MMM-yy, or "excel" for the days a spreadsheet counts'
        )
    return said.replace("%-", "%")


def reading(text: str, kind: str, date_format: str = "") -> str:
    """The SQL of what a trimmed text reads as; NULL where it does not."""
    if kind.startswith(DECIMAL):
        return _number(text, kind.removeprefix(DECIMAL).strip())
    if kind in {"integer", "year"}:  # as a spreadsheet or a column of floats has it: 2027.0
        text = f"regexp_replace({text}, '^([-+]?[0-9]+)[.]0+$', '\\1')"
    if kind != "date":
        return f"case when regexp_full_match({text}, {sql.text(TESTS[kind])}) then {text} end"
    bare = f"regexp_replace({text}, {sql.text(TIME)}, '')"
    bare = (
        f"regexp_replace(regexp_replace({bare}, {sql.text(WEEKDAY)}, ''), {sql.text(MONTH)}, '\\1')"
    )
    known = [
        f"when regexp_full_match({bare}, {sql.text(pattern)}) then"
        f" try_strptime(regexp_replace({bare}, {sql.text(f'^{pattern}$')}, '{written}'), '{form}')"
        for pattern, written, form in PATTERNS
    ]
    slashed = f"regexp_replace({bare}, '[-.]', '/', 'g')"
    day_first, month_first = (
        f"try_strptime({slashed}, '{form}')" for form in ("%d/%m/%Y", "%m/%d/%Y")
    )
    either = (
        f"when regexp_full_match({bare}, {sql.text(EITHER_WAY)}) then case when {day_first} is null"
        f" then {month_first} when {month_first} is null or {day_first} = {month_first} then"
        f" {day_first} end"
    )
    found = f"case {' '.join([*known, *([] if date_format else [either])])} end"
    if date_format == DAYS:
        days = f"try_cast(regexp_extract({text}, '^([0-9]{{4,6}})([.][0-9]+)?$', 1) as integer)"
        found = f"coalesce(timestamp '1899-12-30' + to_days({days}), {found})"
    elif date_format:
        form = sql.text(date_format)
        found = f"coalesce(try_strptime({text}, {form}), try_strptime({bare}, {form}), {found})"
    return (
        "(select case when year(_read) >= 1900 then strftime(_read, '%Y-%m-%d') end"
        f" from (select {found} as _read))"
    )


def _number(text: str, form: str) -> str:
    """The SQL of a number with a point before its decimals and no other sign in it. A dollar sign,
    brackets or a minus at the end for what is owed are read; where a comma or point may stand for
    thousands or decimals, and the feed does not say, nothing is.
    """
    bare = f"regexp_replace({text}, '[$]\\s*', '')"
    bare = f"regexp_replace({bare}, '^[(]\\s*([^()-]+?)\\s*[)]$', '-\\1')"
    bare = f"regexp_replace({bare}, '^([^-+]+?)\\s*-$', '-\\1')"
    known = []
    for pattern, forms, sign in DECIMALS:
        if form in forms:
            other = "[^-0-9,]" if sign == "," else "[^-0-9.]"
            plain = f"replace(regexp_replace({bare}, '{other}', '', 'g'), ',', '.')"
            test = f"regexp_full_match({bare}, {sql.text(f'[-+]?{pattern}')})"
            known.append(f"when {test} then regexp_replace({plain}, '^(-?)[.]', '\\10.')")
    return f"case when length({text}) > {MOST_DIGITS} then null {' '.join(known)} end"


def landed(text: str, kind: str, date_format: str = "") -> str:
    """The SQL of a value as it is landed: what it reads as, nothing where it says so, else as it is
    written.
    """
    trimmed = f"trim({text})"
    return (
        f"case when regexp_full_match({trimmed}, {sql.text(NOTHING)}) then null else"
        f" coalesce({reading(trimmed, kind, date_format)}, {text}) end"
    )


DateFormat = Annotated[str, AfterValidator(lambda said: spelled(said) if said else "")]
