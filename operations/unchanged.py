"""What a build need not do again: a model or a test that reads what it read and would say what it
said. docs/decisions/0032 tells why it is looked at this way.

In: every node as dbt is about to run it, compiled; the warehouse and the ledger as they are at that
moment; what the build before left in `raw_homeroom.built`. Out: the result of before for what is
proved to be unchanged, dbt's own for all else; what this build leaves for the next.

A node is proved by three things that are looked at, never remembered: the SQL it compiles to and
how it is made (`_how`); the columns it reads of which tables, as DuckDB plans that SQL, with a hash
over the rows they have now; and a hash over the rows of its own table. What the clock, chance or a
file would change, or DuckDB reads from anything but a table of ours, is never proved. dbt is
pinned, and where its runners are others than those replaced here, everything is built.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import duckdb

from common import sql, store
from common.log import event
from operations.reads import Reads, is_moody, moods, parts, reads_of


@dataclass(frozen=True)
class Built:
    """What is known of one node since it was last built or tested."""

    how: str
    """The SQL it compiled to and how it is made, as a hash."""
    inputs: str
    """What it read, as a hash; '' where that cannot be proved."""
    output: str
    """The rows of its table, as a hash; the text of its view."""
    view: str
    """Its name, where it is a view."""
    status: str
    message: str | None
    failures: int | None
    read_of: str
    """The SQL and the shape of the databases the next was planned by."""
    reads: Reads | None
    """The columns it reads, table by table; None for a table: all. None: it cannot be said."""


def known() -> tuple[dict[str, Built], str, str]:
    """What the build before left, for which world, and the day of the last whole one; nothing from
    here on until `leave`: a build that is killed leaves nothing.
    """
    with store.connect() as connection:
        connection.execute("create table if not exists raw_homeroom.built (state text)")
        row = connection.execute("delete from raw_homeroom.built returning state").fetchone()
    try:
        state = json.loads(row[0]) if row else {}
        nodes = {name: _read(one) for name, one in state.get("nodes", {}).items()}
        return nodes, state.get("world", ""), state.get("whole_on", "")
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        event("built_unread", why=type(error).__name__)
        return {}, "", ""


def _read(one: Mapping[str, Any]) -> Built:
    reads = one["reads"]
    if reads is not None:
        reads = tuple(
            (table, None if columns is None else tuple(columns)) for table, columns in reads
        )
    return Built(**{**one, "reads": reads})


def leave(nodes: Mapping[str, Built], world: str, whole_on: str) -> None:
    """What the next build may rest on."""
    with store.connect() as connection:
        texts = _texts(connection)
        state = {
            "world": world,
            "whole_on": whole_on,
            "nodes": {name: asdict(_worded(one, texts)) for name, one in nodes.items()},
        }
        connection.execute("create or replace table raw_homeroom.built (state text)")
        connection.execute("insert into raw_homeroom.built values (?)", [json.dumps(state)])


def _worded(one: Built, texts: Mapping[tuple[str, ...], str]) -> Built:
    """A view with its text as whoever opens the file next finds it."""
    return replace(one, output=_mark(texts.get(parts(one.view), ""))) if one.view else one


def _texts(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, ...], str]:
    found = connection.execute(
        "select database_name, schema_name, view_name, sql from duckdb_views() where not internal"
    ).fetchall()
    return {tuple(name): text for *name, text in found}


class Watch:
    """Looks at every node of one build before it is run."""

    def __init__(self, before: Mapping[str, Built], off: tuple[str, ...]) -> None:
        self.nodes = dict(before)
        self.unchanged: set[str] = set()
        self._off = off
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._contents: dict[tuple[str, ...], dict[tuple[str, ...] | None, str]] = {}
        self._shape = ""
        self._moods: frozenset[str] = frozenset()
        self._made_by = ""
        self._plain: dict[str, bool] = {}
        self._texts: dict[tuple[str, ...], str] | None = None
        self._words = ""
        self._new_views: list[str] = []
        self._foreign: list[Any] | None = None
        self._seen: set[str] = set()
        self.manifest: Any = None

    # ------------------------------------------------------------ at each node

    def at(self, runner: Any, node: Any, manifest: Any, run: Callable[[], Any]) -> Any:
        """The result of a node: that of before where it is proved to stand, else its own."""
        if runner.config.threads != 1:  # two at once would look at each other's tables half made
            self.nodes.pop(node.unique_id, None)
            return run()
        self._seen.add(node.unique_id)
        before = self.nodes.pop(node.unique_id, None)
        how, read_of, reads, inputs = self._looked_at(node, manifest, before)
        if (
            before
            and inputs
            and (before.how, before.inputs) == (how, inputs)
            and before.status in ("success", "pass", "warn")
            and before.output == self._output(node)
        ):
            self.nodes[node.unique_id] = before
            self.unchanged.add(node.unique_id)
            return _as_before(node, before)
        result = run()
        if node.resource_type != "test":
            self._forget(node.relation_name)
        if node.config.materialized == "view" and (before is None or before.how != how):
            self._new_views.append(how)
            self._plain.clear()
        if str(result.status) in ("success", "pass", "warn"):
            self.nodes[node.unique_id] = Built(
                how=how,
                inputs=inputs,
                output=self._output(node),
                view=node.relation_name if node.config.materialized == "view" else "",
                status=str(result.status),
                message=result.message,
                failures=result.failures,
                read_of=read_of,
                reads=reads,
            )
        return result

    def _looked_at(self, node: Any, manifest: Any, before: Built | None) -> tuple:
        """How it is made, what its reads were planned by, its reads, and a hash over what they
        read now.
        """
        how = self._how(node, manifest)
        try:
            if node.resource_type == "seed":
                # what dbt has no checksum of (a file over a megabyte) is never proved
                by_content = node.checksum.name == "sha256"
                return how, "", (), node.checksum.checksum if by_content else ""
            if node.config.materialized == "view":
                return how, "", (), self._shaped()
            read_of = _mark(node.compiled_code, self._shaped(), self._worded())
            reads = (
                before.reads
                if before and before.read_of == read_of
                else (
                    reads_of(self._ask, node.compiled_code)
                    if self._is_plain(node, manifest)
                    else None
                )
            )
            through = self._through(node, manifest)
            if reads is None or through is None:
                return how, read_of, reads, ""
            read = [*through, *((*one, self._content(*one)) for one in reads)]
            if node.config.materialized == "incremental":
                # what it adds to or writes over is what it stands on
                read.append((node.relation_name, None, self._content(node.relation_name, None)))
            return how, read_of, reads, _mark(*map(str, read))
        except duckdb.CatalogException:  # what it reads is not there yet, as on a first night
            return how, "", None, ""
        except duckdb.Error as error:
            event("unproved", node=node.name, why=type(error).__name__)
            return how, "", None, ""

    def _how(self, node: Any, manifest: Any) -> str:
        """Everything but the rows that decides what comes of a node."""
        if not self._made_by:
            self._made_by = _made_by(manifest)
        columns = {name: column.data_type for name, column in node.columns.items()}
        return _mark(
            "" if node.resource_type == "seed" else node.compiled_code,
            node.relation_name or "",
            json.dumps(node.config.to_dict(), sort_keys=True, default=str),
            json.dumps(columns),
            json.dumps(self._off),
            self._made_by,
        )

    # ------------------------------------------------------------ what it reads

    def _through(self, node: Any, manifest: Any) -> list[Any] | None:
        """How the views it reads through are made, and what those say that are none of dbt's; None
        where one is not known to be as it was made.
        """
        if self._foreign is None:
            ours = {
                parts(one.relation_name) for one in manifest.nodes.values() if one.relation_name
            }
            self._foreign = [one for one in sorted(self._views().items()) if one[0] not in ours]
        found: dict[str, str] = {}
        waiting = [*node.depends_on.nodes]
        while waiting:
            name = waiting.pop()
            view = manifest.nodes.get(name)
            if name in found or view is None or view.config.materialized != "view":
                continue
            made = self.nodes.get(name)
            if made is None or (name not in self._seen and made.output != self._output(view)):
                return None
            found[name] = made.how
            waiting += view.depends_on.nodes
        return [*self._foreign, *sorted(found.items())]

    def _is_plain(self, node: Any, manifest: Any) -> bool:
        """Neither it nor a view it reads through asks for anything but rows."""
        name, is_view = node.unique_id, node.config.materialized == "view"
        if name not in self._plain:
            found = self._views().get(parts(node.relation_name)) if is_view else None
            code = node.compiled_code or found
            parents = (manifest.nodes.get(one) for one in node.depends_on.nodes)
            self._plain[name] = (
                code is not None
                and not self._moody(code)
                and all(
                    self._is_plain(one, manifest)
                    for one in parents
                    if one is not None and one.config.materialized == "view"
                )
            )
        return self._plain[name]

    def _moody(self, code: str) -> bool:
        self._moods = self._moods or moods(self._ask)
        return is_moody(code, self._moods)

    def _views(self) -> Mapping[tuple[str, ...], str]:
        """Every view as this build found it: DuckDB words one anew when it opens a file."""
        if self._texts is None:
            self._texts = _texts(self._cursor())
        return self._texts

    def _shaped(self) -> str:
        """Every column of every table and view, as a hash."""
        if not self._shape:
            [(columns,)] = self._ask(
                "select md5(string_agg(concat_ws('|', database_name, schema_name, table_name,"
                " column_index, column_name, data_type), ';' order by database_name, schema_name,"
                " table_name, column_index)) from duckdb_columns() where not internal"
            )
            self._shape = str(columns)
        return self._shape

    def _worded(self) -> str:
        """What the views say, as a hash: as they were found, and those that are others since."""
        if not self._words:
            self._words = _mark(str(sorted(self._views().items())))
        return _mark(self._words, *self._new_views)

    # ------------------------------------------------------------ what stands there

    def _content(self, table: str, columns: tuple[str, ...] | None) -> str:
        """How many rows these columns of a table have and a hash over them, whatever their order;
        the columns' types too. '' as a column: none, only how many.
        """
        kept = self._contents.setdefault(parts(table), {})
        if columns not in kept:
            cursor = self._cursor().execute(f"select * from {table} limit 0")
            types = {name: str(kind) for name, kind, *_ in cursor.description}
            named = [one for one in columns if one] if columns is not None else [*types]
            if not {*named} <= {*types}:  # a part of a column: all of the table counts
                named = [*types]
            # hashed twice: a sum of single hashes could hide two values that changed places
            total = f", sum(hash(hash({sql.names(named)})))" if named else ""
            [row] = self._ask(f"select count(*){total} from {table}")
            kept[columns] = _mark(str(row), str([(one, types[one]) for one in named]))
        return kept[columns]

    def _output(self, node: Any) -> str:
        if node.resource_type == "test":
            return ""
        try:
            if node.config.materialized == "view":
                return _mark(self._views().get(parts(node.relation_name), ""))
            return self._content(node.relation_name, None)
        except duckdb.Error:  # it is not there
            return ""

    def _forget(self, relation: str) -> None:
        self._contents.pop(parts(relation), None)
        self._shape = ""

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            from dbt.adapters.duckdb.connections import DuckDBConnectionManager

            self._connection = DuckDBConnectionManager.env().conn.cursor()
        return self._connection

    def _ask(self, query: str, values: list[str] | None = None) -> list[tuple]:
        return self._cursor().execute(query, values).fetchall()

    def close(self) -> None:
        """Let go of the databases."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """While the context lasts, a build of dbt asks `watch` before it runs a model, a seed or a
    test, and leaves its manifest there.
    """
    from dbt.node_types import NodeType
    from dbt.task import build

    def asking(kind: type) -> type:
        class Asking(kind):
            def run(self, compiled_node: Any, manifest: Any) -> Any:
                run = super().run
                return watch.at(self, compiled_node, manifest, lambda: run(compiled_node, manifest))

        return Asking

    theirs = build.BuildTask
    watched = (NodeType.Model, NodeType.Seed, NodeType.Test)

    class Watched(theirs):
        RUNNER_MAP = theirs.RUNNER_MAP | {kind: asking(theirs.RUNNER_MAP[kind]) for kind in watched}

        def get_graph_queue(self) -> Any:
            """dbt selects three times, with unit tests and without; here there are none."""
            self.selected_unit_tests = set()
            self.build_model_to_unit_test_map(set())
            selector = self.get_node_selector(no_unit_tests=True)
            return selector.get_graph_queue(self.get_selection_spec())

        def run(self) -> Any:
            try:
                return super().run()
            finally:
                watch.manifest = self.manifest

    build.BuildTask = Watched
    try:
        yield
    finally:
        build.BuildTask = theirs
        watch.close()


def _as_before(node: Any, before: Built) -> Any:
    from dbt.artifacts.schemas.results import RunStatus, TestStatus
    from dbt.artifacts.schemas.run import RunResult

    kind = TestStatus if node.resource_type == "test" else RunStatus
    return RunResult(
        status=kind(before.status),
        timing=[],
        thread_id=threading.current_thread().name,
        execution_time=0,
        adapter_response={},
        message=before.message,
        failures=before.failures,
        node=node,
        batch_results=None,
    )


def _made_by(manifest: Any) -> str:
    """The project's own macros that turn a compiled model into a table, as a hash."""
    ours = f"macro.{manifest.metadata.project_name}."
    waiting = {name for name in manifest.macros if name.startswith(f"{ours}materialization_")}
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        waiting |= {
            one for one in manifest.macros[name].depends_on.macros if one.startswith(ours)
        } - seen
    return _mark(*(manifest.macros[name].macro_sql for name in sorted(seen)))


def _mark(*texts: str) -> str:
    total = hashlib.sha256()
    for text in texts:
        total.update(f"{len(text)}:".encode())
        total.update(text.encode())
    return total.hexdigest()
