"""The kinds of target there are: `[targets.<name>] kind` -> the adapter that speaks to it.

`rest`, `scim`, `sql`, `ldap` and `files` need settings alone. Adding a kind = a folder here with
its `entities.py` and `client.py`, its line below, an emulator in `demo/`, its export models.
`base.py` has the plot they share.
"""

from __future__ import annotations

from typing import Any

from reverse_etl.targets.files import Files
from reverse_etl.targets.google import Google
from reverse_etl.targets.ldap import Ldap
from reverse_etl.targets.microsoft import Microsoft
from reverse_etl.targets.rest import Rest
from reverse_etl.targets.scim import Scim
from reverse_etl.targets.sql import Sql

ADAPTERS: dict[str, Any] = {
    "google": Google,
    "microsoft": Microsoft,
    "files": Files,
    "rest": Rest,
    "ldap": Ldap,
    "scim": Scim,
    "sql": Sql,
}
