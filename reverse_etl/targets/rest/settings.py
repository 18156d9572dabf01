"""What `[targets.<name>]` of kind `rest` may say: who we are, how fast, and per entity which call
does what. A key nobody knows is refused.

In: the section of the settings. Out: `Settings`, whose `entities` are in the order they are written
in. Every text of a call may hold `{id}` (the remote id), `{key}` (the first key column), and
`{<column>}`: the value of the export's column or, where the column refers to another entity, the
remote id of that object. `{key!q}` is 'quoted' for a filter, `{key!j}` "quoted" as JSON.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from common.settings import Secret, Section, Some, Text
from reverse_etl.configured import ApiSettings, PerMinute
from reverse_etl.targets.taken import Adopts

# what an answer may mean, whatever the API calls it
Meaning = Literal[
    "done",
    "duplicate",
    "not_found",
    "throttled",
    "conflict",
    "locked",
    "not_ready",
    "unauthorized",
    "forbidden",
    "invalid",
]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
SECRETS = {
    "none": (),
    "bearer": ("token",),
    "basic": ("user", "password"),
    "api_key": ("api_key",),
    "oauth2_client_credentials": ("client_id", "client_secret"),
}
OF_AUTH = {
    "bearer": ("scheme",),
    "api_key": ("header",),
    "oauth2_client_credentials": ("token_address", "scope", "in_header"),
}
OF_PAGING = {
    "offset": ("param", "first", "ends_with_404"),
    "page": ("param", "first", "pages", "ends_with_404"),
    "cursor": ("param", "cursor", "more"),
    "next": ("next",),
    "link": (),
}


class Auth(Section):
    """[targets.<name>.auth]: who we are. The secret one of each kind belongs to secrets.toml or the
    environment.
    """

    type: Literal["none", "bearer", "basic", "api_key", "oauth2_client_credentials"] = "none"
    token: Secret = ""
    scheme: Text = "Bearer"
    """The word before the token: Bearer, token, whatever the API calls it."""
    user: Text = ""
    password: Secret = ""
    api_key: Secret = ""
    header: Text = "X-API-Key"
    """The header an api_key stands in."""
    token_address: Text = ""
    """Where client_id and client_secret are exchanged for a token."""
    client_id: Text = ""
    client_secret: Secret = ""
    scope: Text = ""
    in_header: bool = False
    """Client and secret as basic sign-in, instead of fields of the form."""

    @model_validator(mode="after")
    def _of_one_type(self) -> Auth:
        _only(self, "type", {one: (*SECRETS[one], *OF_AUTH.get(one, ())) for one in SECRETS})
        if self.type == "oauth2_client_credentials" and not self.token_address:
            raise ValueError("needs token_address")
        return self


class Paging(Section):
    """How a list goes on, and what proves its end.

    offset  offset=200&limit=100, counted from `first` (0): over when `total` have come or a page is
            empty; a short page proves nothing, servers cap the limit
    page    page=3&per_page=100: the same, or when as many came as `pages` says
    cursor  a word in the answer asks for the next page: over when there is none, or `more` is false
    next    the next page's address in the answer: over when there is none
    link    the next page's address in the Link header: over when there is none
    """

    style: Literal["offset", "page", "cursor", "next", "link"]
    limit: Some = 100
    limit_param: Text = ""
    """What the API calls the size of a page; unset: none is asked for."""
    param: Text = ""
    """What the API calls the place to go on from; unset: as the style is called."""
    first: int = 1
    pages: Text = ""
    """Where an answer says how many pages there are."""
    cursor: Text = ""
    more: Text = ""
    next: Text = ""
    ends_with_404: bool = False
    """Behind the last page stands no empty page, but a 404."""

    @model_validator(mode="after")
    def _of_one_style(self) -> Paging:
        _only(
            self, "style", {one: (*keys, "limit", "limit_param") for one, keys in OF_PAGING.items()}
        )
        for name in ("cursor", "next"):
            if self.style == name and not getattr(self, name):
                raise ValueError(f"needs {name}: where it stands in an answer")
        return self


def _only(section: Section, by: str, known: dict[str, tuple[str, ...]]) -> None:
    chosen = getattr(section, by)
    for name in sorted(section.model_fields_set - {by, *known[chosen]}):
        raise ValueError(
            f"has {name}, which does not go with {by} {chosen}; that knows"
            f" {', '.join(known[chosen]) or 'nothing more'}"
        )


class Route(Section):
    """One call."""

    path: Text
    method: Method | None = None
    params: dict[str, Text | bool] = Field(default_factory=dict)
    body: dict[str, Any] = Field(default_factory=dict)
    """Sent beside the fields."""


class Read(Route):
    """A call that answers with one object."""

    item: Text = ""
    """Where the object stands in the answer."""


class List(Route):
    """A call that answers with objects, page after page."""

    items: Text = ""
    """Where they stand in an answer; unset: the answer is the list."""
    total: Text = ""
    """Where an answer says how many there are in all: another number is refused."""
    total_header: Text = ""
    paging: Paging | None = None
    unproved: bool = False
    """Whether the list is taken for whole though nothing in the answers proves it."""
    each: Text = ""
    """Asked once for every object of this entity, whose remote id is `{parent}`."""
    skip: dict[str, list[str | int | bool]] = Field(default_factory=dict)
    """Objects with one of these values at this path are as good as gone."""


class Write(Route):
    """A call that changes one object."""

    item: Text = ""
    """Where the object stands in the answer."""
    wrap: Text = ""
    """The fields stand under this path of the body."""
    read_first: bool = False
    """The object is read, changed, and what was touched of it is sent back; PUT always does, with
    the whole."""
    partial: bool = False
    """PUT takes what changed, as PATCH does elsewhere, and leaves the rest: nothing is read."""


class Batch(Section):
    """A call that takes many at once. Each has an answer of its own, or all have one."""

    path: Text
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST"
    size: Some = 50
    items: Text = ""
    """Where they stand in the body; unset: the body is the list."""
    wrap: Text = ""
    """Each one's fields stand under this path of it."""
    id: Text = "id"
    """Where each one's remote id stands in it (update, delete)."""
    results: Text | None = None
    """Where their answers stand, in the same order; unset: all or none."""
    status: Text = "status"
    """In such an answer: the HTTP status of that one."""
    item: Text = ""
    """In such an answer: the object."""


class ErrorRow(Section):
    """A row of the error table: what an answer with this status, code and text means."""

    status: int | None = None
    code: Text | None = None
    """The value at `error_code`."""
    text: Text | None = None
    """Words in the answer, where the API has no code for it."""
    means: Meaning


class Entity(Adopts):
    """[targets.<name>.entities.<entity>]: where a kind of object is listed, read, made, changed and
    taken away.
    """

    id: Text = "id"
    """Where an object's remote id stands; "": its key is all it has."""
    list: List
    get: Read | None = None
    find: List | None = None
    """The object with `{key}`, after a lost reply; unset: the whole list is read."""
    holder: List | None = None
    """The object that has the name a new one is refused for (`{<column>}` of role `login`); unset:
    looked for in the whole list."""
    create: Write | None = None
    update: Write | None = None
    suspend: Write | None = None
    """Unset: update, with the column that is the switch."""
    restore: Write | None = None
    undelete: Write | None = None
    delete: Write | None = None
    create_batch: Batch | None = None
    update_batch: Batch | None = None
    delete_batch: Batch | None = None
    links: Literal["id", "key"] = "id"
    """What stands in a column that refers to another entity: its remote id, or our key."""
    keeps_deleted_days: int = 0
    """For so long `undelete` brings back what was deleted."""
    never_deleted: Text = ""
    """Why its objects stay, even when a run is taken back."""
    append_only: Text = ""
    """Why its objects are documents: created once, never changed and never deleted."""
    idempotency_header: Text = ""
    """The header by which the API knows a create that is sent again."""
    left_out: list[Text] = Field(default_factory=list)
    """Read, but not sent back by PUT."""
    errors: list[ErrorRow] = Field(default_factory=list)
    """Asked before those of the target."""

    @model_validator(mode="after")
    def _whole(self) -> Entity:
        for name in ("update", "suspend", "restore", "undelete"):
            route = getattr(self, name)
            whole = route and route.method == "PUT" and not route.partial
            if route and self.get is None and (route.read_first or whole):
                raise ValueError(f"{name} sends an object back, so it has to be read: add get")
        if self.append_only:
            self._of_documents()
        if bool(self.undelete) != bool(self.keeps_deleted_days):
            raise ValueError("undelete and keeps_deleted_days belong together: how, and how long")
        return self

    def _of_documents(self) -> None:
        changing = ("update", "suspend", "restore", "undelete", "delete")
        for name in (*changing, "create_batch", "update_batch", "delete_batch"):
            if getattr(self, name):
                why = "documents are made one by one" if "create" in name else "nothing changes one"
                raise ValueError(f"{name} does not go with append_only: {why}; take {name} away")
        if self.find is None:
            raise ValueError(
                "append_only needs find: a document is looked up by its key before it is made"
            )
        if self.create and self.create.method == "PUT":
            raise ValueError("append_only and create by PUT, which writes over what is there")


class Settings(ApiSettings):
    """[targets.<name>] of kind rest."""

    address: Text
    """The root of the API: https, or http to this machine."""
    auth: Auth = Auth()
    headers: dict[str, Text] = Field(default_factory=dict)
    writes_per_minute: PerMinute = 600
    reads_per_minute: PerMinute | None = None
    """Unset: as many as writes."""
    threads: Some = 4
    ca_file: Text = ""
    decimals: Literal["number", "text"] = "number"
    """How an amount of decimal type is sent: 10.50, or "10.50". Never as a float."""
    error_code: Text = ""
    """Where an answer says which error it is."""
    failed_when: Text = ""
    """An answer with something at this path failed, whatever its status."""
    errors: list[ErrorRow] = Field(default_factory=list)
    entities: dict[str, Entity]
