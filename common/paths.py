"""Where things are. All state lives under one folder, so that two districts, a test and a rehearsal never meet.

`HOMEROOM_VAR` names that folder; without it, `var/` beside `dbt_project.yml`.
"""

from __future__ import annotations

import os
from pathlib import Path


def root() -> Path:
    """The folder of dbt_project.yml: the house itself."""
    return Path(__file__).resolve().parent.parent


def var() -> Path:
    """The folder of all state, readable by its owner only (it holds children's data)."""
    folder = Path(os.environ.get("HOMEROOM_VAR") or root() / "var").resolve()
    if not folder.is_dir():
        folder.mkdir(parents=True, mode=0o700)
    return folder


def warehouse() -> Path:
    """Everything that can be rebuilt from the archive."""
    return var() / "warehouse.duckdb"


def ledger() -> Path:
    """Everything that cannot: names issued, last applied state, audit."""
    return var() / "ledger.duckdb"


def runs() -> Path:
    """One folder per run."""
    return var() / "runs"


def published() -> Path:
    """The read-only copy people query. Same base name as the warehouse: its views store the catalogue's name."""
    return var() / "published" / "warehouse.duckdb"
