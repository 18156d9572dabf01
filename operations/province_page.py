"""What is said of a province: one status, one page, one message; and one view over all of it.

In: `var/province.json`, what became of every district's night (operations/province.py). Out: lines
of a terminal, `var/pages/province.html`, a message to each place of the province's own `[alerts]`;
and a connection that reads all published copies at once, with the district in every row.

Alone: `python -m operations province FOLDER --status`, `… --ask "select …"`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
from jinja2 import Environment, FileSystemLoader, select_autoescape

from common import database, files, paths, sql
from common.printable import printable
from operations import alerts, routes
from operations.channels import Message
from operations.province import STATES
from operations.province_settings import Member

Found = Sequence[Mapping[str, Any]]


def write(said: Mapping[str, Any]) -> Path:
    """The page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(["html"])
    )
    districts = [
        one | {"page": Path(one["page"]).as_uri() if one["page"] else ""}
        for one in said["districts"]
    ]
    page = environment.get_template("province.html").render(
        headline=headline(districts), ended_at=said["ended_at"], districts=districts, states=STATES
    )
    paths.pages().mkdir(exist_ok=True, mode=0o700)
    files.write(paths.pages() / "province.html", page)
    return paths.pages() / "province.html"


def headline(found: Found) -> str:
    """How many districts there are, and how many need somebody."""
    need = sum(one["state"] != "well" for one in found)
    if not found:
        return "no run of this province yet"
    many = f"{len(found)} districts"
    return f"{many}: {need} need a person" if need else f"{many}: all well"


def lines(found: Found) -> Iterator[str]:
    """A line per district, worst first."""
    yield headline(found)
    for one in found:
        yield printable(
            f"{one['district']:<12} {STATES[one['state']]:<18} {one['seconds']:>7,.0f} s"
            f" {one['processor']:>7,.0f} s of processor {one['memory'] / 10**6:>6,.0f} MB "
            f" {one['sentence']}"
        )


def code(found: Found) -> int:
    """3 when a night failed, was ended or not begun; 2 when one waits for a person; else 0."""
    states = {one["state"] for one in found}
    if states & {"refused", "killed", "failed", "partly"}:
        return 3
    return 2 if states & {"waits", "critical"} else 0


def alert(found: Found) -> int:
    """One message to each place of `[alerts]`: which district needs a person, worst first. 3 where
    one could not be delivered.
    """
    need = [one for one in found if one["state"] != "well"]
    level = "critical" if code(found) == 3 else "warning" if need else "info"
    text = "\n".join(
        f"{one['district']}: {STATES[one['state']]}\n    {one['sentence']}" for one in need
    )
    told = []
    for route in routes.read().routes:
        loud = need and routes.LEVELS.index(level) >= routes.LEVELS.index(route.level)
        if route.hears_of_the_night and (loud or route.always):
            message = Message(f"Homeroom: {headline(found)}", f"{text}\n", level, route.name)
            told += [alerts.hand_over(channel, to, message) for channel, to in route.channels]
    for one in told:
        if one["status"] == "failed":
            print(f"province: {one['channel']} was not told: {one['reason']}", file=sys.stderr)
    return 3 if any(one["status"] == "failed" for one in told) else 0


def view(home: Path, members: Sequence[Member]) -> tuple[duckdb.DuckDBPyConnection, list[str]]:
    """All published copies this user may read, as one: every table of `core`, `identity`,
    `exports` and `audit` with the column `district` first. And a sentence for each copy left out.
    Nothing can be written through it, and no other file opened.
    """
    connection, left_out = database.connect(), []
    parts: dict[tuple[str, str], list[str]] = {}
    for one in members:
        copy = (home / one.folder).resolve() / "var" / "published" / "warehouse.duckdb"
        try:
            with copy.open("rb"):
                pass
            connection.execute(
                f"attach {sql.text(copy)} as {sql.name('of_' + one.name)} (read_only)"
            )
        except (OSError, duckdb.Error) as error:
            why = error.strerror if isinstance(error, OSError) else "it cannot be read"
            left_out.append(f"{one.name} is left out: {copy}: {why}")
    for database_name, schema, table in connection.execute(
        "select database_name, schema_name, table_name from duckdb_tables()"
        " where starts_with(database_name, 'of_') order by all"
    ).fetchall():
        district = database_name.removeprefix("of_")
        parts.setdefault((schema, table), []).append(
            f"select {sql.text(district)} as district, * from"
            f" {sql.name(database_name, schema, table)}"
        )
    for (schema, table), selects in parts.items():
        connection.execute(f"create schema if not exists memory.{sql.name(schema)}")
        connection.execute(
            f"create view memory.{sql.name(schema, table)} as {' union all by name '.join(selects)}"
        )
    connection.execute("set enable_external_access = false; set lock_configuration = true")
    return connection, left_out
