"""What `[targets.<name>]` of kind `sql` may say: which database, and per entity which table, and
which of its rows are ours. A key nobody knows is refused.

In: the section of the settings. Out: `Settings`, whose `entities` are in the order they are written
in: that is the order of inserts, deletes run the other way.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from common.settings import Secret, Section, Some, Text
from reverse_etl.configured import ApiSettings, PerMinute
from reverse_etl.targets.taken import Adopts


class Owner(Section):
    """The column that says whose a row is. A row with another value there is never read and never
    touched.
    """

    column: Text
    value: Text = "homeroom"


class Entity(Adopts):
    """[targets.<name>.entities.<entity>]: one table."""

    table: Text
    schema_name: Text = Field("", alias="schema")
    """The schema it stands in; unset: the one the sign-in finds by itself."""
    id: Text = ""
    """A column the database fills that stays when the key changes; unset: the key is all."""
    owner: Owner | None = None
    prefix: Text = ""
    """Our keys begin with it; a row whose key does not is never read and never touched."""
    links: Literal["id", "key"] = "key"
    """What stands in a column that refers to another entity: our key, or the id of that row."""
    never_deleted: Text = ""
    """Why its rows stay, even when a run is taken back."""
    append_only: Text = ""
    """Why its rows are documents: inserted once, never updated and never deleted."""

    @model_validator(mode="after")
    def _one_way(self) -> Entity:
        if self.owner and self.prefix:
            raise ValueError("says twice which rows are ours: by owner or by prefix, one of them")
        if self.adopts and not self.id:
            raise ValueError("adopts wants id: by what else is a row without our key known")
        return self


class Settings(ApiSettings):
    """[targets.<name>] of kind sql."""

    url: Secret = ""
    """postgresql+psycopg2://user:password@host/database, to secrets.toml or the environment."""
    connect_args: dict[str, Any] = Field(default_factory=dict)
    """Given to the database's driver as they are."""
    writes_per_minute: PerMinute = 60_000
    threads: Some = 1
    """A second transaction would only wait for the locks of the first."""
    batch: Some = 200
    """Changes in one transaction."""
    """Seconds to wait for a connection, for a lock and for an answer."""
    entities: dict[str, Entity]
