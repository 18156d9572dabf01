"""Do two versions of Homeroom do the same? Two state folders of one demo, compared.

    HOMEROOM_VAR=A python -m demo run                on the version before
    HOMEROOM_VAR=B python -m demo run                on the version after
    python -m tests.equal_states A B --names FILE    a line per thing compared; 1 when one differs

Compared: every table of `core`, `identity` and `exports` by its rows, in any order; what the
platforms hold; what was delivered; what was asked of the platforms, call by call. Left out is what
differs from run to run on one version: moments, run ids, passwords, the ids platforms give (they
are replaced by what they stand for), and the order and batching of calls.

`--names` lists what was renamed on purpose: `before,after`, one line each, of tables
(`core.feed_loads,audit.feed_loads`) and columns (`identity.groups.in_google,`); nothing behind the
comma means that it is gone. Tables of the ledger begin with `ledger.`.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import duckdb
import pyarrow as pa
import typer

SCHEMAS = ("core", "identity", "exports")
# differ from run to run of one version
MOMENTS = ("run_id", "_loaded_at", "loaded_at", "read_at", "minted_at", "seen_at", "sha256", "_tag")
PASSWORDS = ("password", "passwordProfile", "hashFunction")
VOLATILE = (
    "etag",
    "creationTime",
    "createdDateTime",
    "deletedDateTime",
    "deletionTime",
    "nonEditableAliases",
    "@odata.etag",
)
STATES = {
    "google": ("users", "deleted", "org_units", "groups", "members", "schemas"),
    "microsoft": ("users", "groups", "deleted_users", "members", "owners", "skus", "roles"),
}
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9A-Za-z:]{10,}")
_OPAQUE = re.compile(r"((?:page|skip|delta)[Tt]oken=)[^&]*")


def main(
    before: Path,
    after: Path,
    names: Annotated[Path | None, typer.Option(help="What was renamed on purpose.")] = None,
) -> None:
    """Compare two state folders of one demo, made by two versions."""
    renamed = dict(_renamed(names)) if names else {}
    lines = [
        *_tables(before, after, renamed),
        *_platforms(before, after),
        *_deliveries(before, after),
        *_requests(before, after),
    ]
    wrong = [what for what, difference in lines if difference]
    for what, difference in lines:
        print(f"{what}: {difference or 'equal'}")
    print(f"{len(lines)} compared, {len(wrong)} differ")
    raise typer.Exit(1 if wrong else 0)


def _renamed(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.reader(lines):
            if row and not row[0].startswith("#"):
                yield row[0], row[1] if len(row) > 1 else ""


# ---------------------------------------------------------------- tables


def _tables(before: Path, after: Path, renamed: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    with _opened(before) as old, _opened(after) as new, duckdb.connect() as bench:
        columns, now = _columns(old), _columns(new)
        for table in sorted(columns):
            if not table.removeprefix("ledger.").startswith(SCHEMAS):
                continue
            there = renamed.get(table, table)
            if there not in now:
                yield f"table {table}", "it is gone" if there else ""
                continue
            pairs = [
                (column, renamed.get(f"{table}.{column}", column))
                for column in columns[table]
                if column not in MOMENTS and not column.endswith("_at")
            ]
            pairs = [(column, name) for column, name in pairs if name]
            if lost := [name for _, name in pairs if name not in now[there]]:
                yield f"table {table}", f"without {', '.join(lost)}"
                continue
            for side, connection, name, of in (("a", old, table, 0), ("b", new, there, 1)):
                chosen = ", ".join(f'{_value(pair[of])} as "{pair[0]}"' for pair in pairs)
                rows = connection.execute(f"select {chosen} from {name}").to_arrow_table()
                bench.register(side, rows)
            yield f"table {table}", _rows(bench, [column for column, _ in pairs])


def _opened(folder: Path) -> duckdb.DuckDBPyConnection:
    """The warehouse of a state folder, with the names its views were written for."""
    connection = duckdb.connect()
    for name in ("ledger", "warehouse"):
        connection.execute(f"attach '{folder / name}.duckdb' as {name} (read_only)")
    connection.execute("use warehouse")
    named = pa.table(
        dict(zip(("id", "name"), zip(*_named(folder).items(), strict=True), strict=True))
    )
    connection.register("named_ids", named)
    return connection


def _value(column: str) -> str:
    """A column as text; the id a platform gave as what it stands for."""
    text = f'"{column}"::varchar'
    if column.endswith(("remote_id", "adopt_id")):
        return f"coalesce((select name from named_ids where id = {text}), {text})"
    return text


def _columns(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """`schema.table` or `ledger.schema.table` -> its columns; views as well."""
    found: dict[str, list[str]] = {}
    for catalog, schema, table, column in connection.execute(
        "select database_name, schema_name, table_name, column_name from duckdb_columns()"
        " where database_name in ('warehouse', 'ledger') order by all"
    ).fetchall():
        prefix = "ledger." if catalog == "ledger" else ""
        found.setdefault(f"{prefix}{schema}.{table}", []).append(column)
    return found


def _rows(bench: duckdb.DuckDBPyConnection, columns: list[str]) -> str:
    """Rows of `a` and `b` that stand in one of them only, and by which columns; '' for none."""
    lost, more = _differ(bench, "*"), _differ(bench, "*", "b", "a")
    if not lost and not more:
        return ""
    differing = [column for column in columns if _differ(bench, f'"{column}"')]
    return (
        f"{lost} rows only before, {more} only after, of"
        f" {bench.table('a').shape[0]} and {bench.table('b').shape[0]}; columns that differ by"
        f" themselves: {', '.join(differing) or 'none'}"
    )


def _differ(bench: duckdb.DuckDBPyConnection, what: str, here: str = "a", there: str = "b") -> int:
    found = bench.execute(
        f"select count(*) from (select {what} from {here} except all select {what} from {there})"
    ).fetchone()
    return int(found[0]) if found else 0


# ---------------------------------------------------------------- platforms


def _state(folder: Path, platform: str) -> Any:
    return json.loads((folder / "demo" / "platforms" / f"{platform}.json").read_text("utf-8"))


def _named(folder: Path) -> dict[str, str]:
    """Every id a platform gave -> what it stands for."""
    google, microsoft = _state(folder, "google"), _state(folder, "microsoft")
    found = {user["id"]: user["primaryEmail"] for user in google["users"].values()}
    found |= {user["id"]: user["primaryEmail"] for user in google["deleted"].values()}
    found |= {group["id"]: group["email"] for group in google["groups"].values()}
    found |= {unit["orgUnitId"]: unit["orgUnitPath"] for unit in google["org_units"].values()}
    found |= {one["schemaId"]: one["schemaName"] for one in google["schemas"].values()}
    for kind in ("users", "deleted_users"):
        found |= {user["id"]: user["userPrincipalName"] for user in microsoft[kind].values()}
    found |= {group["id"]: group["mailNickname"] for group in microsoft["groups"].values()}
    return found


def _plain(value: Any, named: Mapping[str, str]) -> Any:
    """A value without what differs from run to run, ids replaced by what they stand for."""
    if isinstance(value, dict):
        plain = {
            _plain(key, named): _plain(one, named)
            for key, one in value.items()
            if key not in VOLATILE and key not in PASSWORDS and key != "fieldId"
        }
        return dict(sorted(plain.items()))
    if isinstance(value, list):
        return sorted((_plain(one, named) for one in value), key=json.dumps)
    if isinstance(value, str):
        text = _ID.sub(lambda match: named.get(match[0], match[0]), value)
        return _OPAQUE.sub(r"\1…", text)
    return value


def _platforms(before: Path, after: Path) -> Iterator[tuple[str, str]]:
    names = (_named(before), _named(after))
    for platform, parts in STATES.items():
        states = (_state(before, platform), _state(after, platform))
        for part in parts:
            old, new = (
                Counter(json.dumps(_plain([key, one], named)) for key, one in state[part].items())
                for state, named in zip(states, names, strict=True)
            )
            yield f"{platform} {part}, {old.total()} objects", _more(old, new)


def _more(old: Counter[str], new: Counter[str]) -> str:
    lost, more = old - new, new - old
    if not lost and not more:
        return ""
    shown = [f"\n    - {one[:300]}" for one in list(lost)[:3]]
    shown += [f"\n    + {one[:300]}" for one in list(more)[:3]]
    return f"{lost.total()} only before, {more.total()} only after{''.join(shown)}"


def _deliveries(before: Path, after: Path) -> Iterator[tuple[str, str]]:
    folders = (before / "demo" / "received", after / "demo" / "received")
    files = [
        {str(path.relative_to(top)): path for path in sorted(top.rglob("*")) if path.is_file()}
        for top in folders
    ]
    for name in sorted({*files[0], *files[1]}):
        if name not in files[0] or name not in files[1]:
            yield f"file {name}", "only on one side"
        else:
            same = files[0][name].read_bytes() == files[1][name].read_bytes()
            yield f"file {name}", "" if same else "other bytes"


# ---------------------------------------------------------------- requests


def _requests(before: Path, after: Path) -> Iterator[tuple[str, str]]:
    old, new = (Counter(_calls(folder)) for folder in (before, after))
    for method in sorted({call.split(" ", 1)[0] for call in (*old, *new)}):
        sides = [
            Counter({call: count for call, count in side.items() if call.startswith(f"{method} ")})
            for side in (old, new)
        ]
        yield f"requests {method}, {sides[0].total()} calls", _more(sides[0], sides[1])


def _calls(folder: Path) -> Iterator[str]:
    """Every call as `METHOD path body`, those within batches one by one; sign-ins left out."""
    named = _named(folder)
    with (folder / "demo" / "requests.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            request = json.loads(line)
            url = re.sub(r"^https?://[^/]+", "", request["url"])
            if url.endswith("/token") or "/_emulator/" in url:
                continue
            for method, path, body in _within(request["method"], url, request.get("body")):
                where, _, query = path.partition("?")
                asked = "&".join(sorted(query.split("&")))
                sent = json.dumps(_plain(body, named))
                yield f"{method} {_plain(f'{where}?{asked}', named)} {sent}"


def _within(method: str, url: str, body: Any) -> Iterator[tuple[str, str, Any]]:
    """The calls of a batch of Graph; the emulated Google writes those of its batches one by one."""
    if url.endswith("/$batch"):
        for one in body["requests"]:
            yield one["method"], f"/v1.0{one['url']}", one.get("body")
    else:
        yield method, url, body


if __name__ == "__main__":
    typer.run(main)
