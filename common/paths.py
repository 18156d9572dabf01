"""Where things are. All state lives under one folder, so that two districts, a test and a rehearsal
never meet.

`HOMEROOM_DISTRICT` names a district's own folder: its settings, and what it adds to the product or
puts in its place (`common/district.py`). `HOMEROOM_VAR` names the folder of state; without it,
`var/` in the district's folder, or beside `dbt_project.yml`. `HOMEROOM_PROJECT` names a dbt project
of somebody's own, with its models, seeds and settings, that this house serves.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path


class NotOursError(Exception):
    """The state folder is somebody else's; the message says whose, and what to type."""


def root() -> Path:
    """The folder of dbt_project.yml: the house itself."""
    return Path(__file__).resolve().parent.parent


def district() -> Path | None:
    """The district's own folder, where one is named; a relative one is seen from the house."""
    named = os.environ.get("HOMEROOM_DISTRICT")
    return (root() / Path(named).expanduser()).resolve() if named else None


def home() -> Path:
    """The folder of the settings, and of what they name: the district's, or the project's."""
    return district() or Path(os.environ.get("HOMEROOM_PROJECT") or root()).resolve()


def project() -> Path:
    """The folder of models, seeds and tests as they are in force: the house's own, unless another
    is named; the house's and the district's together, where there is a district's folder.
    """
    if district() is None:
        return home()
    from common.district import whole  # which asks here where things are

    return whole()


def dbt_project() -> Path:
    """The same as dbt is to be given it."""
    if district() is None:
        return home()
    from common.district import project as composed

    return composed()


def var() -> Path:
    """The folder of all state, readable by its owner only (it holds children's data)."""
    folder = Path(os.environ.get("HOMEROOM_VAR") or (district() or root()) / "var").resolve()
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True, mode=0o700)
    except PermissionError:
        raise NotOursError(
            f"{folder} cannot be reached or made by {name_of(os.geteuid())}; make it, and give it"
            " to the user the nights run as"
        ) from None
    return folder


def mine() -> bool:
    """Whether the state folder belongs to whoever works here."""
    return var().stat().st_uid == os.geteuid()


def within_reach() -> None:
    """Whoever only reads can come to what is made to be read. Raises NotOursError."""
    folder, me = var(), name_of(os.geteuid())
    if not os.access(folder, os.X_OK):
        raise NotOursError(
            f"{folder} belongs to {name_of(folder.stat().st_uid)}, who lets nobody else in; let a"
            f" group of {me} read the published copy: [access] published, in .dlt/config.toml"
        )


def may_read(path: Path) -> bool:
    """Whether whoever works here may read a file or folder that is there."""
    return os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0))


def ours() -> None:
    """Whoever works here owns the state, or may write to it as its owner does. Raises NotOursError.

    What root writes in a folder of another user that user can no longer open: the next scheduled
    night would fail.
    """
    folder, me = var(), os.geteuid()
    owner = folder.stat().st_uid
    if me == 0 != owner:
        raise NotOursError(
            f"{folder} belongs to {name_of(owner)}, and what root writes there"
            f" {name_of(owner)} cannot open; type it as: sudo -u {name_of(owner)} …"
        )
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise NotOursError(
            f"{folder} belongs to {name_of(owner)}, and {name_of(me)} may not write there; type it"
            f" as: sudo -u {name_of(owner)} …"
        )


def whose(path: str | Path) -> str:
    """For a sentence about a file that may not be opened: whose it is not, and how the state folder
    is given back where it is part of it.
    """
    there, me = Path(path), name_of(os.geteuid())
    if var() not in (there, *there.parents):
        return f"{there} may not be opened by {me}; let {me} read it"
    return (
        f"{there} may not be opened by {me}; give the state folder back as a whole: sudo chown -R"
        f" {name_of(var().stat().st_uid)} {var()} && sudo chmod -R u+rwX {var()}"
    )


def name_of(user: int) -> str:
    """A user of this machine by number."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def warehouse() -> Path:
    """Everything that can be rebuilt from the archive."""
    return var() / "warehouse.duckdb"


def ledger() -> Path:
    """Everything that cannot: names issued, last applied state, audit."""
    return var() / "ledger.duckdb"


def runs() -> Path:
    """One folder per run; for who may read the published copy only, what stands there of the
    latest ones.
    """
    folder = var() / "runs"
    return folder if may_read(folder) or not folder.exists() else published().parent / "runs"


def metrics() -> Path:
    """The numbers of the latest run, as Prometheus reads them."""
    return var() / "metrics.prom"


def incidents() -> Path:
    """The conditions that are open; for who may read the published copy only, as published."""
    path = var() / "incidents.json"
    return path if may_read(path) or not path.exists() else published().parent / path.name


def pages() -> Path:
    """What may be served: pages and pictures, nothing else. Keys only; no record of a person."""
    return var() / "pages"


def published() -> Path:
    """The read-only copy people query. Same base name as the warehouse: its views store the
    catalogue's name.
    """
    return var() / "published" / "warehouse.duckdb"
