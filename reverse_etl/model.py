"""The nouns of the writer: what an export is, what a change is, what an adapter must offer.

In: nothing. Out: frozen dataclasses and the `Adapter` protocol every module in
`reverse_etl/targets/` keeps. Pure: imports the standard library only (and `form`, which does no
more), so that an adapter, a test and the planner can all stand on it.

Key words: an export's key values are a tuple in code and one text in tables (`key_text`,
`key_tuple`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from reverse_etl.form import NO_CELL, NO_MOMENT, Cell, FileFormat, Moment

ADOPT, CREATE, UPDATE, RENAME, SUSPEND, RESTORE = (
    "adopt",
    "create",
    "update",
    "rename",
    "suspend",
    "restore",
)
REMOVE, DELETE, DELIVER = "remove", "delete", "deliver"
UNDELETE = "undelete"  # what was deleted, had back by its remote id
ACTIONS = (
    SUSPEND,
    ADOPT,
    CREATE,
    UNDELETE,
    RENAME,
    UPDATE,
    RESTORE,
    REMOVE,
    DELETE,
    DELIVER,
)  # the order they are written in
REMOVALS = frozenset({REMOVE, DELETE})
ARRIVALS = frozenset({ADOPT, CREATE, UNDELETE})  # an object is ours from here on
# What has to have become of another target's object before a change is made (`after:`): it is
# there, is closed or not there, is not there, or nothing planned of it is left undone.
THERE, CLOSED, GONE, DONE = "there", "closed", "gone", "done"
STATES = (THERE, CLOSED, GONE, DONE)
# No action of its own: the arrivals and removals by which a subject leaves one object of a family
# for another of it. Limits count it once; it is held or let go as one.
MOVE = "move"

# What a column means to the engine, whatever it is called. login: a change of it changes how
# somebody signs in or how mail reaches a group, and is an action of its own (rename); switch: its
# `off_value` means closed, and several columns may be one; deleted: true of a row whose object is
# to be deleted, and of what is observed when it lies among the deleted; adopt: the remote id of the
# object without our key that the row is; password: made at push on create by the recipe its column
# holds, never compared; number: of a document, the next of its series, given at push on create.
LOGIN, SWITCH, DELETED, ADOPTS, PASSWORD = "login", "switch", "deleted", "adopt", "password"
NUMBER = "number"
ROLES = (LOGIN, SWITCH, DELETED, ADOPTS, PASSWORD, NUMBER)

# classes of personal data that do not tell who somebody is; a house may add classes, which do
TELLS_NOBODY = frozenset({"none", "key", "attendance", "enrolment"})

BOTH = "both"
OWNERS = ("ours", "theirs", "initial", BOTH)
# What becomes of a value of ours that somebody changed in the target since our last push. revert:
# ours is written again; leave: theirs stays until the source itself changes; take_over: theirs
# stays for good, the column of that object is theirs.
ON_DRIFT = ("revert", "leave", "take_over")
IGNORING = (
    "case",
    "spaces",
    "order",
)  # differences that are none: letter case, runs of spaces, order of a comma-separated list
ON_ABSENT = ("ignore", "suspend", "remove", "delete")
FILE_ENTITY = "file"  # the entity of a `deliver` change


# ---------------------------------------------------------------- exports


@dataclass(frozen=True)
class Column:
    """One column of an export table. `owner` says who may change it in the target, and when."""

    name: str
    type: str = "VARCHAR"
    owner: str = (
        "ours"  # ours: compared and written; initial: written on create only; theirs: never
        # written; both: written where they did not change it, see `shared`
    )
    personal_data: str = "none"
    header: str = ""  # file targets: the heading in the file
    field: str = ""  # other targets: where the value stands in the target's object
    form: str = ""  # of a key: the pattern of all of it; any other value is no key of ours
    role: str = ""  # one of ROLES
    off_value: Any = None  # of a switch: the value that means closed
    # of a switch: the observed column that says why an object is closed, and what stands there of
    # one that we closed; another word there means another hand, whatever the ledger says
    off_because: tuple[str, str] | None = None
    on_drift: str = "revert"
    ignoring: tuple[
        str, ...
    ] = ()  # what the target may answer otherwise than it was told without that being a difference
    in_file: bool = True  # file targets, of a key: false tells rows apart and is not written
    rests: tuple[str, ...] = ()  # the parts of what is read that this column alone rests on
    cell: Cell = NO_CELL  # file targets: what its cells look like


@dataclass(frozen=True)
class Limit:
    """How much of one action may flow in one run: a count, a share of what the target holds now,
    or a share that is never more than a count.
    """

    count: int | None = None
    share: float | None = None

    def allowed(self, observed: int, at_least: int = 0) -> int:
        """The number of changes that may flow when the target holds `observed` rows of ours."""
        if self.share is None and self.count is not None:
            return self.count
        # round() first: 30 % of 10 is 3.0000000000000004 in floating point, and its ceiling would
        # be 4
        share = max(math.ceil(round((self.share or 0.0) * observed, 9)), at_least)
        return share if self.count is None else min(share, self.count)

    def __str__(self) -> str:
        if self.share is None and self.count is not None:
            return str(self.count)
        most = "" if self.count is None else f" at most {self.count}"
        return f"{(self.share or 0) * 100:g} %{most}"


@dataclass(frozen=True)
class Limits:
    """The brakes of one export: per action and per changed column, over the whole export and within
    one partition.
    """

    per_run: Mapping[str, Limit] = field(default_factory=dict)
    per_partition: Mapping[str, Limit] = field(default_factory=dict)
    columns: Mapping[str, Limit] = field(default_factory=dict)
    columns_per_partition: Mapping[str, Limit] = field(default_factory=dict)


@dataclass(frozen=True)
class Follow:
    """What a kind of change of an export waits for: what `column` of its row names in another
    target, until it is so. A `create` stands for every arrival.
    """

    column: str
    action: str
    target: str
    entity: str
    state: str


@dataclass(frozen=True)
class Export:
    """One export model: the table that holds the desired state of one entity of one target."""

    model: str  # exp_crm__contacts
    relation: str  # "exports"."exp_crm__contacts", ready for SQL
    target: str
    entity: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]  # every column, in the order of the model's YAML
    on_absent: str = "ignore"
    limits: Limits = field(default_factory=Limits)
    references: Mapping[str, str] = field(
        default_factory=dict
    )  # column -> entity whose key it holds
    after: Mapping[str, tuple[str, str]] = field(
        default_factory=dict
    )  # column -> (target, entity) whose object must exist first
    follows: tuple[Follow, ...] = ()  # of any other action: what has to be so first
    needs: Mapping[str, str] = field(
        default_factory=dict
    )  # column -> the column the object it refers to must not have empty
    # column -> the entity whose observed rows say how many of it there are: `seats`, `seats_used`
    seats: Mapping[str, str] = field(default_factory=dict)
    when_empty: str = "hold"  # objects: an export without a row is held (hold) or believed (write)
    context: tuple[str, ...] = ()  # kept on the change, never sent, never compared
    subject: str | None = None  # the column that says who or what a row is about
    known_by: tuple[str, ...] = ()  # other columns by which somebody may name the subject
    partition: str | None = None  # the column that names the part a row belongs to
    hold: str | None = None  # a context column: filled, the subject's changes wait
    family: str | None = None  # a context column: a subject moves between rows of one family
    expected: str | None = None  # a context column: which columns tonight's events explain
    expires: str | None = None  # files: the column of a row's own last day; past it, it may vanish
    schema: str = "exports"  # of the relation, and of what is beside it
    opt_in: str = ""  # the setting of the target that has to be true for it
    sheet: tuple[str, ...] = ()  # what is printed beside a first password
    file: FileFormat | None = None  # set: a file target
    feeds: tuple[tuple[str, str], ...] = ()  # (source, feed) this export is made from
    made_by: str = ""  # a hash of the models, seeds and macros it is made by
    kind: str | None = None  # the column that says of what kind a row's subject is
    feeds_of: Mapping[str, tuple[tuple[str, str], ...]] = field(
        default_factory=dict
    )  # kind -> those of the feeds its rows rest on
    columns_on: Mapping[tuple[str, str], tuple[str, ...]] = field(
        default_factory=dict
    )  # a feed some columns alone rest on -> those columns

    @property
    def sent(self) -> tuple[Column, ...]:
        """The columns that may be written: all but context and what belongs to the target's own
        hands.
        """
        return tuple(c for c in self.columns if c.name not in self.context and c.owner != "theirs")

    @property
    def written(self) -> tuple[Column, ...]:
        """Of what is sent, the columns that stand in a file."""
        return tuple(c for c in self.sent if c.in_file)

    @property
    def compared(self) -> tuple[Column, ...]:
        """The columns whose difference is a change."""
        return tuple(
            c
            for c in self.sent
            if c.owner in ("ours", BOTH)
            and c.name not in self.key
            and c.role not in (PASSWORD, NUMBER)
        )

    @property
    def shown_key(self) -> tuple[str, ...]:
        """The key's columns as `sql.key` takes them. Of a file's rows a column that tells something
        of somebody is written `~column`: its stand-in is the key wherever one is shown or stored.
        Objects of other targets are reached by their key, which stays what it is, but where their
        identity ignores letter case (`^column`): `/a/b` is `/A/B`, wherever keys meet.
        """
        telling = {
            c.name for c in self.columns if self.file and c.personal_data not in TELLS_NOBODY
        }
        marks = {name: "~" if name in telling else "^" for name in telling | self.folded}
        return tuple(f"{marks.get(name, '')}{name}" for name in self.key)

    @property
    def folded(self) -> frozenset[str]:
        """The key's columns in which letter case tells no object from another."""
        return frozenset(
            c.name for c in self.columns if c.name in self.key and "case" in c.ignoring
        )

    def folded_key(self, values: Sequence[str]) -> tuple[str, ...]:
        """Key values as the key of a change has them."""
        pairs = zip(self.key, values, strict=True)
        return tuple(value.lower() if name in self.folded else value for name, value in pairs)

    def of_role(self, role: str) -> Column | None:
        """The column that has a role; the first, should several have it."""
        return next((c for c in self.columns if c.role == role), None)


# ---------------------------------------------------------------- changes and outcomes


@dataclass(frozen=True)
class Change:
    """One thing to do to one object of one target.

    `new` is the whole row on create (key columns included, context columns not), on adopt the same,
    of what is set once only where the object has none, and only the changed fields on an update,
    rename, suspend or restore; `old` the observed values of the same fields (the whole observed row
    on remove and delete). A `deliver` change carries in `new` what `Rendered` says. `references` is
    filled by the engine just before apply: {"group_id": <remote id>, "user_id": <remote id>}.
    """

    change_id: str
    target: str
    entity: str
    key: tuple[str, ...]
    action: str
    remote_id: str | None = None
    old: Mapping[str, Any] = field(default_factory=dict)
    new: Mapping[str, Any] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    hold: str | None = None
    subject: str | None = None
    partition: str | None = None
    source: str | None = None
    export_model: str = ""
    seq: int = 0
    family: str | None = None  # the family of its row, within which its subject may move
    # of an exchange: the other sides of it, done by the same call (`exchanges.joined`)
    others: tuple[Change, ...] = ()


SESSIONS_LEFT = "sessions_left"  # the reason of a closing after which sessions could not be ended


@dataclass(frozen=True)
class Outcome:
    """What one attempt at one change came to.

    applied: done (an object that already is as wanted counts, reason "duplicate" or "not_found")
    failed:  refused for good; trying again would not help
    retry:   certainly not done, may be tried again (429, 403 for rate, 503 where repeating is
             harmless)
    unknown: may have been done (time-out, lost reply, 5xx on a create): looked up before it is
    tried again
    """

    change_id: str
    status: str
    code: int | None = None
    reason: str = (
        ""  # "" | duplicate | not_found | throttled | skipped | …: a word, never personal data
    )
    remote_id: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    note: str = ""  # for the audit: a sentence with keys, never names or addresses
    calls: int = 1  # write calls this attempt cost against the quota


# ---------------------------------------------------------------- file targets


@dataclass(frozen=True)
class Part:
    """Which rows of an export go into one file."""

    without: frozenset[str] = frozenset()  # key texts of rows that wait for another target
    partition: str | None = None  # of a file per partition: which
    # of a delta: key text -> create, update or remove, and the row as it was, as JSON
    actions: Mapping[str, tuple[str, str]] | None = None


@dataclass(frozen=True)
class Delivery:
    """One file to hand over: a zip with several exports in it, or one bare file (then one member of
    the same name).
    """

    target: str
    name: str  # the name at the target, filled in
    members: tuple[tuple[str, Export], ...]  # (file name inside, export), ordered by file name
    archive: bool  # True: a zip of the members
    path: Path  # where the adapter renders it; its folder exists
    parts: Mapping[str, Part] = field(default_factory=dict)  # file name inside -> which of its rows
    moment: Moment = NO_MOMENT  # what is filled in where its lines say so

    def part(self, name: str) -> Part:
        """Which rows of a member go."""
        return self.parts.get(name, Part())


@dataclass(frozen=True)
class Rendered:
    """A rendered file, ready to be uploaded. These four stand in `Change.new` of a `deliver` when
    it is applied.
    """

    path: str
    rows: int
    bytes: int
    sha256: str


# ---------------------------------------------------------------- adapters


@runtime_checkable
class Adapter(Protocol):
    """One target. Retries, pacing, order, journal, limits are the engine's; an adapter speaks one
    API.

    Constructed as `Kind(name, settings, exports)` with the merged section [targets.<name>] plus
    `run_id` (text), and entity -> the export its YAML declares. Constructing it reads no
    credentials and calls nobody: plans are made where the target cannot be reached.
    """

    entities: tuple[
        str, ...
    ]  # order of creates and updates; removals run in reverse. () for file targets
    raw_columns: Mapping[
        str, tuple[str, ...]
    ]  # entity (and "names_taken") -> text columns of raw_<target>.<entity>
    batch: int  # how many changes one apply call takes
    threads: int
    rate: float  # writes per second at 100 % of the quota
    write_calls: int
    read_calls: int

    def observe(self, entity: str) -> Iterator[Any]:
        """pyarrow.RecordBatch with `raw_columns[entity]` and `_json`; the engine adds
        `_observed_at`.
        """
        ...

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """One outcome per change; called from several threads at once; at most `batch` changes of
        one entity.
        """
        ...

    def find(self, change: Change) -> str | None:
        """The remote id of the object a create (or deliver) may have made, by its durable key; None
        when not there.
        """
        ...

    def order(self, change: Change) -> int:
        """Which round within its entity a change runs in (org units: their depth); rounds run one
        after another.
        """
        ...

    def check_connection(self) -> str:
        """Sign in and read as little as proves it; what was proved, in words without secrets. For
        `check`.
        """
        ...

    def close(self) -> None: ...


@runtime_checkable
class Undeleting(Protocol):
    """What an adapter may offer: deleted objects can be had back by `undelete`."""

    restorable: Mapping[str, int]  # entity -> for how many days


@runtime_checkable
class Exchanging(Protocol):
    """What an adapter may offer: it gives a subject one thing for another by one call."""

    def exchanges(self, changes: Sequence[Change]) -> bool:
        """Whether these arrivals and removals of one move are one call: then `apply` is given the
        first of them, the rest in its `others`.
        """
        ...


@runtime_checkable
class Lasting(Protocol):
    """What an adapter may say: some of its objects are never deleted, not even by an undo."""

    lasting: Mapping[str, str]  # entity -> why


@runtime_checkable
class AppendOnly(Protocol):
    """What an adapter may say: some of its objects are documents, made once and never changed."""

    append_only: Mapping[str, str]  # entity -> why


@runtime_checkable
class HandingOver(Protocol):
    """What an adapter may say: what somebody has is handed over before they are closed."""

    closes_after: Mapping[str, str]  # entity of the closing -> entity whose changes go before it


@runtime_checkable
class FileAdapter(Adapter, Protocol):
    """A target that takes whole files. What it holds is what the ledger says was delivered.

    Every change it is given is a `deliver`: key = (file name,), new = the fields of `Rendered`. On
    success the outcome's `remote_id` is the remote path and `note` the receipt.
    """

    def render(self, connection: Any, delivery: Delivery) -> Rendered:
        """Write the file to `delivery.path` from the export tables, byte for byte the same for the
        same rows.
        """
        ...


# ---------------------------------------------------------------- keys as text


def key_text(key: Iterable[object]) -> str:
    """Key values as one text: joined by `|`, with `\\` and `|` inside a value escaped by a
    backslash.
    """
    return "|".join(str(value).replace("\\", "\\\\").replace("|", "\\|") for value in key)


def key_tuple(text: str) -> tuple[str, ...]:
    """The inverse of `key_text`."""
    values, current, escaped = [], "", False
    for character in text:
        if escaped:
            current, escaped = current + character, False
        elif character == "\\":
            escaped = True
        elif character == "|":
            values.append(current)
            current = ""
        else:
            current += character
    return (*values, current)
