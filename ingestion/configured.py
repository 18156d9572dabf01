"""What `[sources.<name>]` may say, kind by kind, and what a layout may say of its feeds.

Every table is declared here once, with the types and defaults its reader relies on; thresholds of
the trust gate (`ingestion/tolerance.py`) may stand in each of them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from common.settings import (
    Count,
    KeepDays,
    Number,
    OneOrMore,
    Secret,
    Section,
    Some,
    Text,
    Texts,
    read,
)
from ingestion.tolerance import Tolerance
from ingestion.values import DateFormat, Type

MADE = dict[str, Any]


def _bearer_unless_said(given: Any) -> Any:
    return {"type": "bearer", **given} if isinstance(given, dict) else given


def _whole_numbers(given: Any) -> Any:
    return tuple(given) if isinstance(given, list) else given


# ---------------------------------------------------------------- tables of a database or a service


class TableSettings(Tolerance):
    """[sources.<name>.tables.<feed>] or resources: what is read of one table."""

    columns: Texts = ()
    """The columns to read; what is not listed is never read."""
    required: Texts = ()
    """Columns that must be there."""
    key: Texts = ()
    """Columns that name a row."""
    never_empty: Texts | None = None
    """Columns every row must fill; unset: those of the key."""
    cursor: Text = ""
    """The column that says when a row changed: only what changed since is read."""
    full_every_days: Count = 7
    """How often everything is read all the same."""
    school: Text = ""
    """The column of a row's school: a school that loses its rows is held alone."""
    report_key: Text = ""
    """The one column a rejected row may be named by."""
    references: dict[str, Text] = Field(default_factory=dict)
    """Column -> feed.column its values should stand in."""
    counted_references: dict[str, Text] = Field(default_factory=dict)
    """The same, where what points nowhere is counted and never refuses the feed."""
    exact_references: Texts = ()
    """Columns of them that are compared letter by letter: case and padding count."""
    content_date: Text = ""
    """The column whose newest date says how new the content is."""
    types: dict[str, Type] = Field(default_factory=dict)
    """Column -> date, flag, integer or year: what its values must read as."""
    date_format: DateFormat = ""
    """The form of its dates, where they have two readings, like dd/MM/yyyy."""
    not_before: dict[str, Text] = Field(default_factory=dict)
    """Date -> the date of the same row it cannot precede."""


class SqlTable(TableSettings):
    """[sources.<name>.tables.<feed>]"""

    table: Text = ""
    """What the database calls it; empty: as the feed."""
    within: Text | None = Field(None, alias="schema")
    """The schema it is in; unset: the user's own."""


class RestResource(TableSettings):
    """[sources.<name>.resources.<feed>] of an API."""

    path: Text = ""
    """Where it is asked for; empty: as the feed."""
    params: MADE = Field(default_factory=dict, repr=False)
    """What is asked with."""
    data: Text = "$"
    """Where in an answer its rows stand (JSONPath)."""
    total: Text = ""
    """Where an answer says how many there are."""
    total_header: Text = ""
    """The header that says so."""
    paginator: Text | MADE | None = None
    """How its pages are turned; unset: as the source says."""
    unproved: bool = False
    """Whether its list is taken for whole though nothing in the answers proves it."""
    cursor_param: Text = ""
    """The parameter that asks for what changed since."""
    cursor_format: Text = ""
    """How the moment stands in it, with {value}."""


class DltResource(TableSettings):
    """[sources.<name>.resources.<feed>] of a dlt source."""

    resource: Text = ""
    """What the source calls it; empty: as the feed."""
    cursor_kind: Literal["text", "number", "date", "timestamp"] = "text"
    """What the values of the cursor are to the source."""


# ---------------------------------------------------------------- sources


class FlagWords(Section):
    """[sources.<name>.flags.<flag>]: words of the district's own."""

    yes: Texts = ()
    """Words that are a yes."""
    no: Texts = ()
    """Words that are a no."""
    neither: Texts = ()
    """Words that say nothing of it."""


class Limits(Section):
    """[limits] of a layout, and [sources.<name>.limits]: how much of anything is read at most,
    before it fills memory or disk.
    """

    members: Some = 1_000
    """Files in an archive (or a workbook, which is one)."""
    megabytes: Some = 4_000
    """All of them, unpacked."""
    ratio: Some = 200
    """Unpacked to packed; text packs 5 to 20 times, repetitive text 100 times."""
    file_megabytes: Some = 2_000
    """One file, or all rows of a table or a list."""
    workbook_megabytes: Some = 500
    """A workbook, unpacked: its reader holds it in memory."""
    cells: Some = 10_000_000
    """A sheet's rectangle."""
    line_kilobytes: Annotated[Some, Field(le=2_000)] = 1_000
    """One row; the reader behind it stops at 2 MB."""
    value_kilobytes: Some = 256
    """One value."""
    columns: Some = 2_000
    """Values in one row."""
    rejects: Some = 100_000
    """Rows of one file that cannot be read: above, it is no such file."""
    answer_megabytes: Some = 64
    """One answer of a server, unpacked."""
    pages: Some = 100_000
    """Answers to one list."""

    @property
    def bytes(self) -> int:
        """The megabytes as bytes."""
        return self.megabytes * 1_000_000

    @property
    def file_bytes(self) -> int:
        """The largest file."""
        return self.file_megabytes * 1_000_000

    @property
    def line(self) -> int:
        """The longest row, in bytes."""
        return self.line_kilobytes * 1_000

    @property
    def value(self) -> int:
        """The longest value, in bytes."""
        return self.value_kilobytes * 1_000


class SourceSettings(Tolerance):
    """[sources.<name>]: what every source may say."""

    kind: Text
    """How it is read."""
    enabled: bool = True
    """Whether it is read: false, and what it last gave stays as it is."""
    limits: Limits | None = None
    """How much of anything is read at most; what is not said: as the layout says."""
    land_unread: bool = False
    """Whether columns no model reads are landed too; the archive has them in their file."""
    keep_days: KeepDays | None = None
    """Files of it not in force for so long are past their days; unset: as [archive] says."""
    keep_originals: bool | None = None
    """Whether the bytes of its files are archived as they came; unset: as [archive] says."""
    flags: dict[str, FlagWords] = Field(default_factory=dict)
    """Words of the district's own for a flag of the layout."""

    @property
    def keeps_originals(self) -> bool:
        """Whether its files are archived."""
        asked = read(Archive, "archive").keep_originals
        return asked if self.keep_originals is None else self.keep_originals


class FilesSource(SourceSettings):
    """Files in a folder, here or on an SFTP server."""

    location: Text = ""
    """A folder, or sftp://user@host:22/folder."""
    layout: Text = ""
    """Which layout its files have; empty: the one of the source's own name."""
    feeds: Texts | None = None
    """The feeds the district gets; unset: all but those on request."""
    files: dict[str, Texts] = Field(default_factory=dict)
    """Feed -> its own file names."""
    aliases: dict[str, Text] = Field(default_factory=dict)
    """The district's heading -> the layout's."""
    archives: Texts | None = None
    """Names of zip files whose members are read like files; unset: as the layout says."""
    delimiters: Texts | None = None
    """What may stand between values; unset: as the layout says."""
    date_format: dict[str, DateFormat] = Field(default_factory=dict)
    """Feed -> the form of its dates, where they have two readings."""
    leave_empty: Texts = ()
    """Columns the district has no use for."""
    check_digits: bool = True
    """Whether numbers with a check digit are proved."""
    key_file: Text = ""
    """The private key of an SFTP server's user."""
    known_hosts: Text = ""
    """The file with the server's pinned host key."""
    timeout: Number = 30
    """Seconds without an answer that are no answer."""
    attempts: Some = 3
    """How often a server is tried."""
    wait_seconds: Number = 5
    """Before the second attempt; before the third twice that."""


class SqlSource(SourceSettings):
    """Tables of a database."""

    url: Secret = ""
    """Its address, like postgresql+psycopg2://user@host/database."""
    tables: dict[str, SqlTable] = Field(default_factory=dict)
    """What is read of it."""


class BearerAuth(Section):
    """A token the service was told beforehand."""

    type: Literal["bearer"]
    """How we sign in."""
    token: Secret = ""
    """The token."""


class ApiKeyAuth(Section):
    """A key in a header, a query or a cookie."""

    type: Literal["api_key"]
    """How we sign in."""
    api_key: Secret = ""
    """The key."""
    name: Text = "X-API-Key"
    """What it is called there."""
    location: Literal["header", "cookie", "query", "param"] = "header"
    """Where it stands."""


class ClientCredentialsAuth(Section):
    """A token asked for with the name and the secret of a client (OAuth 2)."""

    type: Literal["oauth2_client_credentials"]
    """How we sign in."""
    access_token_url: Text = ""
    """Where tokens are given."""
    client_id: Text = ""
    """Who asks."""
    client_secret: Secret = ""
    """With what."""
    access_token_request_data: MADE = Field(default_factory=dict, repr=False)
    """What else is asked, such as a scope."""


Auth = Annotated[
    Annotated[BearerAuth | ApiKeyAuth | ClientCredentialsAuth, Field(discriminator="type")],
    BeforeValidator(_bearer_unless_said),
]


class ApiSource(SourceSettings):
    """A service asked over HTTP."""

    base_url: Text = ""
    """Its address, up to the version."""
    auth: Auth | None = Field(None, repr=False)
    """How we sign in; unset: not at all."""
    headers: dict[str, Text] = Field(default_factory=dict, repr=False)
    """What else it wants to be shown."""
    timeout: Number = 60
    """Seconds without an answer that are no answer."""
    attempts: Some = 5
    """How often a busy or failing server is asked."""
    wait_seconds: Number = 1
    """Before the second attempt; twice as long before each further one."""


class RestSource(ApiSource):
    """Resources of an API."""

    paginator: Text | MADE | None = None
    """How pages are turned; unset: one page, and its answer has to say that it is all."""
    resources: dict[str, RestResource] = Field(default_factory=dict)
    """What is read of it."""


class OneRosterSource(ApiSource):
    """A rostering service of OneRoster 1.1 or 1.2."""

    feeds: Texts | None = None
    """The lists the district gets; unset: all."""
    page_size: Some = 1_000
    """How many records a page holds."""
    full_every_days: Count = 7
    """How often everything is read: a record the server forgot is in no list of changes."""
    date_format: dict[str, DateFormat] = Field(default_factory=dict)
    """List -> the form of its dates, where they have two readings."""
    check_digits: bool = True
    """Whether numbers with a check digit are proved."""


class DltSource(SourceSettings):
    """Resources of any dlt source."""

    source: Text = ""
    """The function that makes it, as "package.module:function"."""
    arguments: MADE = Field(default_factory=dict, repr=False)
    """What it is called with."""
    resources: dict[str, DltResource] = Field(default_factory=dict)
    """What is read of it."""


KINDS: dict[str, type[SourceSettings]] = {
    "files": FilesSource,
    "sql": SqlSource,
    "rest": RestSource,
    "oneroster": OneRosterSource,
    "dlt": DltSource,
}


class Archive(Section):
    """[archive]: the original bytes of every file that was read."""

    keep_days: KeepDays | None = None
    """Files not in force for so long are past their days; unset: they are kept for ever."""
    keep_originals: bool = True
    """Whether they are kept at all: false, and what no model reads is kept nowhere; a lost
    warehouse then waits for the files to come again."""


# ---------------------------------------------------------------- layouts


class FlagDocument(FlagWords):
    """[feeds.<name>.flags.<flag>] of a layout: what a restricted column says, as one letter."""

    of: Text = ""
    """The restricted heading it is made of."""
    purpose: Text = ""
    """What it may be used for, and for nothing else."""


class FeedDocument(Tolerance):
    """[feeds.<name>] of a layout."""

    files: Texts = ()
    """Names its file may have."""
    columns: Texts = ()
    """The headings, in the order of the file."""
    legacy_column_counts: Annotated[tuple[Some, ...], BeforeValidator(_whole_numbers)] = ()
    """Earlier versions of it have so many of the first columns."""
    order_known: bool = True
    """Whether a file without headings may be read by position."""
    required: Texts = ()
    """Columns that must be there."""
    never_empty: Texts = ()
    """Columns every row must fill."""
    key: Texts = ()
    """Columns that name a row."""
    person_key: Texts = ()
    """Column that says who a row is about, where people have several rows and there is no key."""
    distinct: Texts = ()
    """Columns no two rows share either, where the first of them is filled."""
    aliases: dict[str, Text] = Field(default_factory=dict)
    """Other heading -> heading."""
    optional: bool = False
    """A source may have none of it: never sent is no problem, no longer sent is one."""
    optional_columns: Texts = ()
    """Only some versions have them: their absence is not worth a word."""
    opt_in: bool = False
    """Read only where the settings name it."""
    may_be_empty: bool = False
    """Empty or half made in summer is no news: what was landed stays, nothing waits for it."""
    empty_after_closed_days: bool = False
    """No row is an answer without school on the day, or on the weekday before it."""
    check_digit: Text = ""
    """The column of a number whose last digit proves the others."""
    format: Literal["delimited", "fixed", "excel"] = "delimited"
    """What kind of file it is."""
    delimiters: Texts | None = None
    """What may stand between values; unset: as the layout says."""
    positions: Texts = ()
    """fixed: first and last character of each column, like "1-10"."""
    trimmed: bool = False
    """fixed: blanks at the end of a line may be left out."""
    record_type: Text = ""
    """fixed: where a line says what it is, like "1-2"."""
    records: Texts = ()
    """fixed: what the rows say there; unset: whatever no other line says."""
    other_records: Texts = ()
    """fixed: what lines say there that are read over."""
    header: Text = ""
    """fixed: what the first line says there; a file without it is refused."""
    trailer: Text = ""
    """fixed: what the last line says there; a file without it was cut off."""
    trailer_count: Text = ""
    """fixed: where the trailer says how many there are, like "3-10"."""
    trailer_counts: Literal["rows", "records", "lines"] = "rows"
    """fixed: what it counts: rows, all but header and trailer, or every line."""
    sheet: Text = ""
    """excel: which one; empty: the first."""
    skip_lines: Count = 0
    """fixed, excel: lines or rows above the headings or the data."""
    ends_with_newline: bool | None = None
    """Whether a whole file ends with one; unset: as the layout says."""
    school: Text = ""
    """The column of a row's school; empty: as the layout says."""
    report_key: Text = ""
    """The one column a rejected row may be named by; empty: as the layout says."""
    references: dict[str, Text] = Field(default_factory=dict)
    """Column -> feed.column its values should stand in."""
    counted_references: dict[str, Text] = Field(default_factory=dict)
    """The same, where what points nowhere is counted and never refuses the feed."""
    exact_references: Texts = ()
    """Columns of them that are compared letter by letter: case and padding count."""
    content_date: Text = ""
    """The column whose newest date says how new the content is."""
    types: dict[str, Type] = Field(default_factory=dict)
    """Column -> date, flag, integer or year: what its values must read as."""
    date_format: DateFormat = ""
    """The form of its dates, where they have two readings, like dd/MM/yyyy."""
    not_before: dict[str, Text] = Field(default_factory=dict)
    """Date -> the date of the same row it cannot precede."""
    flags: dict[str, FlagDocument] = Field(default_factory=dict)
    """Raw column -> what a restricted column says, as one letter; the text is never landed."""


class LayoutDocument(Section):
    """A file of ingestion/layouts/: what a source's feeds look like."""

    owner: Text = ""
    """Who can mend its feeds."""
    delimiters: Texts = (",", "\t")
    """What may stand between values."""
    ends_with_newline: bool = True
    """Whether a whole file ends with one."""
    archives: Texts = ()
    """Names of zip files whose members are read like files."""
    limits: Limits = Limits()
    """How much one may hold."""
    restricted: Texts = ()
    """Columns that are read over and never landed."""
    shapes: dict[str, Text] = Field(default_factory=dict)
    """Raw column -> regular expression of its values."""
    aliases: dict[str, Text] = Field(default_factory=dict)
    """Other heading -> heading, for every feed that has it."""
    feeds: dict[str, FeedDocument] = Field(default_factory=dict)
    """The feeds."""
    school: OneOrMore = ()
    """The column of a row's school, for every feed that has one of these."""
    report_key: OneOrMore = ()
    """The one column a rejected row may be named by, likewise."""
    types: dict[str, Type] = Field(default_factory=dict)
    """Column -> date, flag, integer or year, for every feed that has it."""
    numbers: Texts = ()
    """Columns of whole numbers, which a spreadsheet may have turned into others."""
