"""The raw tables of every source and every layout, empty where nothing was ever landed, so that
models build on any district.

In: the configured sources and `ingestion/layouts/*.toml`. Out: `raw_<source>.<feed>` with its
columns. A system a district does not have, or has not delivered yet, is a source without rows, and
no feed of it is missing: `feeds.json` names configured sources only. The source that reads a layout
must carry its name for the models to find it.
"""

from __future__ import annotations

from collections.abc import Sequence

from common import settings, store
from ingestion import land, layout
from ingestion.layout import Feed
from ingestion.source import source_of


def ensure_tables() -> None:
    """Create what is not there; rows that were landed stay."""
    names = {path.stem for path in layout.LAYOUTS.glob("*.toml")} | set(settings.section("sources"))
    with store.connect() as connection:
        for name in sorted(names):
            land.prepare(connection, name, _feeds(name))


def _feeds(name: str) -> Sequence[Feed]:
    """The feeds as the district configured them; else those of the layout, also when the settings
    make no sense: ingestion said so.
    """
    try:
        facts = settings.section("sources", name)
        known = source_of(name, facts).layout if facts else layout.load(name)
    except settings.SettingsError:
        known = (
            layout.load(name)
            if (layout.LAYOUTS / f"{name}.toml").is_file()
            else layout.Layout(name, ())
        )
    return (*known.feeds, *known.tables)
