"""Models of a build, run again without dbt: their SQL as that build compiled it, in the order they
rest on each other.

In: the manifest of a run, a connection to its warehouse. Out: the same tables, filled anew
(incremental models: added to, by their own strategy). For a rehearsal, which lives through hundreds
of days of a few models; a night runs dbt, whose contracts and tests this does without. Views stay
as they are: they read what is there now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from common import sql


class ModelUnknownError(Exception):
    """The manifest has no such model, or has it uncompiled; the message names it."""


class Models:
    """The models of one manifest, by name."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self._nodes = {
            node["name"]: node
            for node in manifest["nodes"].values()
            if node["resource_type"] == "model"
        }
        self._names = {
            unique_id: node["name"]
            for unique_id, node in manifest["nodes"].items()
            if node["resource_type"] == "model"
        }

    def up_to(self, *names: str) -> list[str]:
        """These models and all they rest on, each behind its parents."""
        ordered: dict[str, None] = {}

        def visit(name: str) -> None:
            if name in ordered:
                return
            for parent in self._node(name)["depends_on"]["nodes"]:
                if parent in self._names:
                    visit(self._names[parent])
            ordered[name] = None

        for name in names:
            visit(name)
        return list(ordered)

    def run(self, connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> None:
        """Fill these models, in this order. Raises ModelUnknownError for one the build did not
        compile.
        """
        for name in names:
            node = self._node(name)
            if node["config"]["materialized"] != "view":
                if not node.get("compiled_code"):
                    raise ModelUnknownError(
                        f'model {name} is not in the last build as compiled SQL; run "make build"'
                        " (the whole of it), then try again"
                    )
                _fill(connection, node)

    def _node(self, name: str) -> Mapping[str, Any]:
        node = self._nodes.get(name)
        if node is None:
            raise ModelUnknownError(
                f'model {name} is not in the last build; run "make build" (the whole of it), then'
                " try again"
            )
        return node


def _fill(connection: duckdb.DuckDBPyConnection, node: Mapping[str, Any]) -> None:
    relation, config = node["relation_name"], node["config"]
    connection.execute(f"create or replace temp table filling as {node['compiled_code']}")
    if config["materialized"] == "table":
        connection.execute(f"delete from {relation}")
    elif config.get("incremental_strategy") == "delete+insert":
        keys = (
            config["unique_key"]
            if isinstance(config["unique_key"], list)
            else [config["unique_key"]]
        )
        same = " and ".join(
            f"known.{sql.name(key)} is not distinct from filling.{sql.name(key)}" for key in keys
        )
        connection.execute(f"delete from {relation} as known using filling where {same}")
    connection.execute(f"insert into {relation} by name select * from filling")
    connection.execute("drop table filling")
