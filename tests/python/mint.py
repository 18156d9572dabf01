"""The naming models alone, on tables made by hand: what `identity.name_requests` and
`identity.accounts` do, night after night.

The SQL is what dbt compiled in a build before; only the tables it reads are ours. Used by tests and
by the bench.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

TABLES = """
attach ':memory:' as warehouse; attach ':memory:' as ledger;
create schema warehouse.identity; create schema warehouse.seeds; create schema
warehouse.raw_homeroom; create schema ledger.identity;
create table warehouse.raw_homeroom.run_context (run_id text, as_of date, started_at timestamp);
create table warehouse.seeds.name_policy (
    population text, school_number text, policy text, pattern text, names text, hyphens text,
    max_length integer, fallback_suffix text, domain text,
    on_name_change text, alias_days integer);
create table warehouse.seeds.name_decisions (population text, source_key text, account_name text);
create table warehouse.seeds.unfortunate_words (word text, where_found text);
create table warehouse.identity.person_records (
    person_id text, population text, source_key text, school_number text, first_name text,
    last_name text, legal_first_name text,
    legal_last_name text, admitted_on date);
create table warehouse.identity.lifecycle (person_id text, is_open boolean, reason text);
create table warehouse.identity.account_matches (person_id text, decision text);
create table warehouse.identity.unnameable_people (person_id text, fault text);
create table warehouse.identity.names_taken (account_name text, address text, kind text,
target text, person_id text, remote_id text);
create table ledger.identity.adopted_accounts (person_id text, target text, remote_id text,
account_name text, domain text, rule text, adopted_on date);
create table ledger.identity.accounts (
    person_id text not null, account_name text not null primary key, domain text not null,
    base_name text not null, number integer not null,
    policy text not null, minted_on date not null, name_number integer not null, named_from text,
    alias_days integer,
    unique (person_id, name_number));
"""
POLICY = {
    "population": "student",
    "school_number": None,
    "policy": "p",
    "pattern": "{first}.{last}",
    "names": "usual",
    "hyphens": "remove",
    "max_length": 64,
    "fallback_suffix": "student",
    "domain": "s.example",
    "on_name_change": "keep",
    "alias_days": 30,
}


class Mint:
    """A ledger of names and the nights that add to it. `target` is the folder of a dbt build
    (`var/target`).
    """

    def __init__(
        self,
        target: Path,
        policies: Iterable[Mapping[str, Any]] = (POLICY,),
        words: Iterable[tuple[str, str]] = (),
    ) -> None:
        folder = target / "compiled" / "homeroom" / "models" / "identity" / "names"
        self._requests = (folder / "name_requests.sql").read_text(encoding="utf-8")
        self._accounts = (folder / "accounts.sql").read_text(encoding="utf-8")
        self.connection = duckdb.connect()
        self.connection.execute(TABLES)
        self._nights = 0
        self.policies(policies)
        self._fill("warehouse.seeds.unfortunate_words", list(words))

    def close(self) -> None:
        self.connection.close()

    def policies(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace seed `name_policy`; what a row does not say is as in POLICY."""
        self.connection.execute("delete from warehouse.seeds.name_policy")
        self._fill(
            "warehouse.seeds.name_policy", [tuple((POLICY | dict(row)).values()) for row in rows]
        )

    def people(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Tonight's records: (person_id, population, source_key, school_number, first, last, legal
        first, legal last, admitted_on).
        """
        self.connection.execute(
            "delete from warehouse.identity.person_records; delete from"
            " warehouse.identity.lifecycle"
        )
        self._fill("warehouse.identity.person_records", list(rows))
        self.connection.execute(
            "insert into warehouse.identity.lifecycle select person_id, true, 'enrolled' from"
            " warehouse.identity.person_records"
        )

    def taken(self, names: Iterable[str]) -> None:
        """Names somebody holds in a tenant."""
        self._fill(
            "warehouse.identity.names_taken",
            [(name, f"{name}@x", "user", "google", None, f"r{name}") for name in names],
        )

    def night(self) -> int:
        """One build of the two models; returns how many names were given."""
        self._nights += 1
        run = self.connection.execute
        run("delete from warehouse.raw_homeroom.run_context")
        run(
            "insert into warehouse.raw_homeroom.run_context values (?, date '2026-09-01' +"
            " ?::integer, now()::timestamp)",
            [f"r{self._nights}", self._nights],
        )
        run("use warehouse")
        run(f"create or replace table warehouse.identity.name_requests as {self._requests}")
        (before,) = run("select count(*) from ledger.identity.accounts").fetchone()
        run(f"insert into ledger.identity.accounts {self._accounts}")
        (after,) = run("select count(*) from ledger.identity.accounts").fetchone()
        return after - before

    def names(self) -> dict[tuple[str, int], str]:
        """(person, which of the person's names) -> name."""
        return {
            (person, number): name
            for person, number, name in self.connection.execute(
                "select person_id, name_number, account_name from ledger.identity.accounts"
            ).fetchall()
        }

    def _fill(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            import pyarrow as pa

            columns = [row[0] for row in self.connection.execute(f"describe {table}").fetchall()]
            given = pa.table({name: [row[at] for row in rows] for at, name in enumerate(columns)})
            self.connection.register("given", given)
            self.connection.execute(f"insert into {table} select * from given")
            self.connection.unregister("given")
