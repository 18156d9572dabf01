"""The raw tables of every layout, empty where nothing was ever landed, so that models build on any district.

In: `ingestion/layouts/*.toml`. Out: `raw_<layout>.<feed>` with the layout's columns. A student information system a
district does not have is a source without rows, and no feed of it is missing: `feeds.json` names configured sources only.
The source that reads a layout must carry its name for the models to find it.
"""

from __future__ import annotations

from common import store
from ingestion import land, layout


def ensure_tables() -> None:
    """Create what is not there; rows that were landed stay."""
    layouts = [layout.load(path.stem) for path in sorted(layout.LAYOUTS.glob("*.toml"))]
    with store.connect() as connection:
        for known in layouts:
            land.prepare(connection, known.name, known.feeds)
