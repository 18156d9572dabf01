"""Write `docs/rests_on.csv`: which export rests on which feed, and which of its rows do.

In: the manifest of the newest build. Out: the file; nothing else. `columns` where some columns
alone do (`rests:` of a column), and the rest of the row goes on. An export that asks a model of
classes for one more column shows here which feed it waits for from now on:

    python -m scripts.rests_on

`tests/python/test_models.py` fails when the file and the models disagree.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import paths
from reverse_etl import exports

TARGET = Path(__file__).parents[1] / "docs" / "rests_on.csv"


def matrix(manifest: Mapping[str, Any]) -> str:
    """One row per export, and per kind of its rows where they rest on fewer; a column per feed.
    What targets hold and what a run says of itself are no feeds.
    """
    targets = {"homeroom"}
    found: dict[tuple[str, str], dict[str, str]] = {}
    for unique_id, node in sorted(manifest["nodes"].items()):
        meta = exports.meta_of(node).get("export") if node["resource_type"] == "model" else None
        if meta is None:
            continue
        one = exports.of_manifest(manifest, unique_id)
        targets.add(one.target)
        found[one.model, ""] = {
            f"{source}.{feed}": "columns" if (source, feed) in one.columns_on else "x"
            for source, feed in one.feeds
        }
        for kind, feeds in one.feeds_of.items() if not one.file else ():
            found[one.model, kind] = {f"{source}.{feed}": "x" for source, feed in feeds}
    every = sorted(
        {feed for feeds in found.values() for feed in feeds if feed.split(".")[0] not in targets}
    )
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["export", "rows of", *every])
    for (model, kind), feeds in sorted(found.items()):
        table.writerow([model, kind or "all", *(feeds.get(feed, "") for feed in every)])
    return out.getvalue()


if __name__ == "__main__":
    newest = paths.runs() / "latest" / "dbt" / "manifest.json"
    TARGET.write_text(matrix(json.loads(newest.read_text(encoding="utf-8"))), encoding="utf-8")
