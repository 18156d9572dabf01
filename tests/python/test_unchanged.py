"""Nothing is built that did not change, and what comes of it is what a whole build would make: a
small project with everything the real one has (a view, a table, memory of last night, names given
once, a day, a macro, a seed, an export, tests), changed in drawn ways, built on both ways.
"""

from __future__ import annotations

import copy
import json
import shutil
import textwrap
from contextlib import chdir
from datetime import date, timedelta
from pathlib import Path
from typing import Self

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common import paths, store
from common.runs import Run
from operations import build, reads, unchanged

PROJECT = {
    "dbt_project.yml": """
        name: small
        version: "1.0"
        profile: small
        model-paths: [models]
        seed-paths: [seeds]
        macro-paths: [macros]
        test-paths: [tests]
        flags: {send_anonymous_usage_stats: false, version_check: false}
        vars: {greeting: hello}
        models: {small: {+schema: built, +materialized: table}}
        seeds: {small: {+schema: seeds, +full_refresh: true}}
        """,
    "profiles.yml": """
        small:
          target: duckdb
          outputs:
            duckdb:
              type: duckdb
              path: "{{ env_var('HOMEROOM_VAR') }}/warehouse.duckdb"
              threads: 1
              attach: [{path: "{{ env_var('HOMEROOM_VAR') }}/ledger.duckdb", alias: ledger}]
        """,
    "macros/names.sql": """
        {% macro clean(text) %}trim({{ text }}){% endmacro %}
        """,
    "macros/generate_schema_name.sql": """
        {% macro generate_schema_name(name, node) %}{{ name or target.schema }}{% endmacro %}
        """,
    "seeds/schools.csv": "school,school_name\nA,Alder\nB,Birch\n",
    "models/sources.yml": """
        sources:
          - {name: raw, schema: raw, tables: [{name: people}, {name: users}, {name: context}]}
          - {name: memory, database: ledger, schema: memory, tables: [{name: people_seen}]}
        models:
          - name: people
            columns:
              - name: name
                data_tests:
                  - accepted_values:
                      arguments: {values: [nobody, odd, bad], quote: true}
                      config: {severity: warn, where: "name = 'Odd'"}
        """,
    "models/stg_people.sql": """
        {{ config(materialized='view') }}
        select id, name, school, starts_on from {{ source('raw', 'people') }}
        """,
    "models/remembered.sql": """
        {{ config(materialized='view') }}
        select null as id, null as name, null as last_seen_on where false
        {% if execute and load_relation(source('memory', 'people_seen')) %}
        union all by name select id, name, last_seen_on from {{ source('memory', 'people_seen') }}
        {% endif %}
        """,
    "models/people.sql": """
        select s.id, {{ clean('s.name') }} as name, s.school, c.school_name, s.starts_on
        from {{ ref('stg_people') }} as s left join {{ ref('schools') }} as c using (school)
        union all
        select id, name, null, null, null from {{ ref('remembered') }}
        where id not in (select id from {{ ref('stg_people') }})
        """,
    "models/people_seen.sql": """
        {{ config(materialized='incremental', incremental_strategy='delete+insert',
                  unique_key='id', database='ledger', schema='memory', full_refresh=false) }}
        select id, name, (select as_of from {{ source('raw', 'context') }}) as last_seen_on
        from {{ ref('people') }} where school is not null
        """,
    "models/minted.sql": """
        {{ config(materialized='incremental', incremental_strategy='append',
                  database='ledger', schema='memory', full_refresh=false) }}
        select id, lower(name) || id as account, (select as_of from {{ source('raw', 'context') }})
            as minted_on
        from {{ ref('people') }}
        {% if is_incremental() %} where id not in (select id from {{ this }}) {% endif %}
        """,
    "models/lifecycle.sql": """
        select id, case when starts_on <= (select as_of from {{ source('raw', 'context') }})
            then 'here' else 'waits' end as state
        from {{ ref('people') }}
        """,
    "models/exported.sql": """
        select p.id, p.name, l.state, m.account, u.name as theirs, '{{ var("greeting") }}' as said
        from {{ ref('people') }} as p join {{ ref('lifecycle') }} as l using (id)
        join {{ ref('minted') }} as m using (id)
        left join {{ source('raw', 'users') }} as u using (id)
        """,
    "models/of_the_day.sql": "select current_date as day, count(*) as n from {{ ref('people') }}\n",
    "models/behind_a_view.sql": """
        {{ config(materialized='view') }}
        select id, random() as chance from {{ ref('people') }}
        """,
    "models/by_chance.sql": "select count(chance) as n from {{ ref('behind_a_view') }}\n",
    "tests/nobody_is_bad.sql": "select * from {{ ref('people') }} where name = 'Bad'\n",
    "tests/nobody_waits_for_ever.sql": """
        select * from {{ ref('lifecycle') }} cross join {{ source('raw', 'context') }}
        where state = 'waits' and as_of >= date '2026-10-08'
        """,
}
NEVER = {"model.small.of_the_day", "model.small.by_chance"}


class Small:
    """A project, its state folder, and its nights."""

    def __init__(self, folder: Path) -> None:
        self.project, self.var = folder / "project", folder / "var"
        for name, text in PROJECT.items():
            self.write(name, textwrap.dedent(text).lstrip())
        ours = paths.root() / "macros" / "materializations.sql"
        shutil.copyfile(ours, self.project / "macros" / "materializations.sql")
        self.var.mkdir()
        self.day = date(2026, 10, 5)
        self.before: dict[str, unchanged.Built] = {}
        with self.open() as run:
            run("create schema raw")
            run(
                "create table raw.people (id text, name text, school text, starts_on date,"
                " _loaded_at timestamptz)"
            )
            run("create table raw.users (id text, name text, _observed_at timestamptz)")
            run(
                "insert into raw.people values ('1', 'Ann ', 'A', '2026-09-08', now()),"
                " ('2', 'Bo', 'B', '2026-10-07', now()), ('3', 'Cy', 'B', '2026-09-08', now())"
            )
            run("insert into raw.users values ('1', 'Ann', now())")

    def write(self, name: str, text: str) -> None:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.project / name).read_text(encoding="utf-8")
        self.write(name, text.replace(old, new))

    def open(self) -> _Open:
        return _Open(self.var)

    def night(self, var: Path, before: dict, select: str = "") -> tuple[dict, unchanged.Watch]:
        """Build in a state folder; node -> (status, message), and what was watched."""
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.cli.main import dbtRunner

        with _Open(var) as run:
            run("create or replace table raw.context as select ?::date as as_of", [self.day])
        watch = unchanged.Watch(before, ())
        place = str(self.project)
        words = [
            "build",
            "--project-dir",
            place,
            "--profiles-dir",
            place,
            "--log-path",
            str(var / "logs"),
            "--log-level",
            "none",
            "--log-level-file",
            "none",
            "--no-write-json",
            *(["--select", *select.split()] if select else []),
        ]
        with pytest.MonkeyPatch.context() as patch, chdir(var), unchanged.watching(watch):
            patch.setenv("HOMEROOM_VAR", ".")
            patch.setenv("DBT_TARGET_PATH", str(var / "target"))
            outcome = dbtRunner().invoke(words)
        DuckDBConnectionManager.close_all_connections()
        assert outcome.result is not None, outcome.exception
        with _Open(var) as run:
            texts = unchanged._texts(run.connection)
        watch.nodes = {name: unchanged._worded(one, texts) for name, one in watch.nodes.items()}
        return {
            one.node.unique_id: (str(one.status), one.message) for one in outcome.result.results
        }, watch

    def both(self) -> unchanged.Watch:
        """The next night by what changed, beside a whole one of the same state: equal."""
        twin = self.var.with_name("twin")
        shutil.rmtree(twin, ignore_errors=True)
        shutil.copytree(self.var, twin)
        told, watch = self.night(self.var, self.before)
        told_whole, _ = self.night(twin, {})
        assert told == told_whole
        assert _rows(self.var) == _rows(twin)
        # as it is kept from night to night
        kept = json.loads(json.dumps({name: vars(one) for name, one in watch.nodes.items()}))
        self.before = {name: unchanged._read(one) for name, one in kept.items()}
        return watch


class _Open:
    """The two files, opened to be written to."""

    def __init__(self, var: Path) -> None:
        self.var = var

    def __enter__(self) -> Self:
        self.connection = duckdb.connect(str(self.var / "warehouse.duckdb"))
        self.connection.execute(f"attach '{self.var / 'ledger.duckdb'}' as ledger")
        return self

    def __call__(self, query: str, values: list | None = None) -> list[tuple]:
        return self.connection.execute(query, values).fetchall()

    def __exit__(self, *_: object) -> None:
        self.connection.close()


def _rows(var: Path) -> dict[str, list[tuple]]:
    with _Open(var) as run:
        tables = run(
            "select database_name, schema_name, table_name from duckdb_tables()"
            " where schema_name <> 'raw' order by all"
        )
        return {
            f"{schema}.{table}": run(f'select * from {catalog}."{schema}"."{table}" order by all')
            for catalog, schema, table in tables
        }


def _a_source_row(small: Small) -> None:
    with small.open() as run:
        run("update raw.people set name = name || 'x', _loaded_at = now() where id = '1'")


def _loaded_again(small: Small) -> None:
    with small.open() as run:
        run("update raw.people set _loaded_at = _loaded_at + interval 1 day")
        run("update raw.users set _observed_at = _observed_at + interval 1 day")


def _two_change_places(small: Small) -> None:
    with small.open() as run:
        run(
            "update raw.people set school = case school when 'A' then 'B' else 'A' end"
            " where id in ('1', '2')"
        )


def _somebody_vanishes(small: Small) -> None:
    with small.open() as run:
        run("delete from raw.people where id = (select max(id) from raw.people where id > '2')")


def _a_seed_row(small: Small) -> None:
    small.edit("seeds/schools.csv", "Birch", "Birches")


def _the_sql_of_a_model(small: Small) -> None:
    small.edit("models/lifecycle.sql", "'waits'", "'is waiting'")
    small.edit("models/lifecycle.sql", "'here'", "'waits'")


def _the_sql_of_a_view(small: Small) -> None:
    small.edit("models/stg_people.sql", "select id, name", "select id, upper(name) as name")


def _a_macro(small: Small) -> None:
    small.edit("macros/names.sql", "trim(", "reverse(")


def _a_variable(small: Small) -> None:
    small.edit("dbt_project.yml", "hello", "good day")


def _a_new_day(small: Small) -> None:
    small.day += timedelta(days=1)


def _by_hand_in_the_tenant(small: Small) -> None:
    with small.open() as run:
        run("update raw.users set name = 'Anna'")


def _by_hand_in_the_warehouse(small: Small) -> None:
    with small.open() as run:
        run("update built.exported set name = 'somebody'")


def _memory_of_last_night(small: Small) -> None:
    with small.open() as run:
        run("insert into ledger.memory.people_seen values ('9', 'Di', '2026-10-01')")


def _a_column_more(small: Small) -> None:
    with small.open() as run:
        run("alter table raw.people add column if not exists note text")


def _a_part_was_built(small: Small) -> None:
    small.edit("models/lifecycle.sql", "'here'", "'is here'")
    _, watch = small.night(small.var, small.before, "lifecycle")
    small.before = watch.nodes


def _a_build_that_failed(small: Small) -> None:
    small.edit("models/lifecycle.sql", "select id", "select 1/'a', id")
    small.both()
    small.edit("models/lifecycle.sql", "select 1/'a', id", "select id")


def _a_test_that_failed(small: Small) -> None:
    with small.open() as run:
        run(
            "insert into raw.people (id, name, school, starts_on, _loaded_at)"
            " values ('5', 'Bad', 'A', '2026-09-08', now())"
        )
    small.both()


def _a_test_that_warns(small: Small) -> None:
    with small.open() as run:
        run(
            "insert into raw.people (id, name, school, starts_on, _loaded_at)"
            " values ('6', 'Odd', 'A', '2026-09-08', now())"
        )
    small.both()


CHANGES = [
    value
    for name, value in dict(globals()).items()
    if name.startswith("_") and getattr(value, "__annotations__", {}).get("small") == "Small"
]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Small:
    made = Small(tmp_path_factory.mktemp("lived"))
    for _ in range(3):  # the ledger's tables are there by then, and what reads them says so
        made.both()
    return made


@pytest.fixture
def small(lived: Small, tmp_path: Path) -> Small:
    made = copy.copy(lived)
    made.project, made.var = tmp_path / "project", tmp_path / "var"
    shutil.copytree(lived.project, made.project)
    # dbt reads a seed where the project it has parsed once stood
    shutil.copytree(lived.var, made.var, ignore=shutil.ignore_patterns("target"))
    return made


def test_a_night_on_which_nothing_changed_builds_only_what_cannot_be_proved(small: Small):
    _loaded_again(small)  # the same rows, read again
    watch = small.both()
    assert {*watch.nodes} - watch.unchanged == NEVER


def test_a_new_day_builds_what_reads_the_day_and_what_turns_on_it(small: Small):
    built = []
    for _ in range(3):
        _a_new_day(small)
        watch = small.both()
        built.append({name.split(".")[2] for name in {*watch.nodes} - watch.unchanged})
    assert {"lifecycle", "minted", "people_seen"} <= built[0] & built[2]
    assert "exported" not in built[0], "nobody begins on the 6th"
    assert "exported" in built[1], "Bo begins on the 7th"


def test_another_view_builds_what_reads_through_it(small: Small):
    _the_sql_of_a_view(small)
    watch = small.both()
    assert not {"model.small.people", "model.small.exported"} & watch.unchanged


def test_a_test_that_failed_last_night_fails_tonight_and_holds(small: Small):
    _a_test_that_failed(small)
    told, watch = small.night(small.var, small.before)
    assert told["test.small.nobody_is_bad"][0] == "fail"
    assert told["model.small.exported"][0] == "skipped"
    assert "test.small.nobody_is_bad" not in watch.nodes


@pytest.mark.long
def test_every_change_alone_makes_what_a_whole_build_makes(small: Small):
    for change in CHANGES:
        change(small)
        small.both()


@pytest.mark.long
@given(drawn=st.lists(st.lists(st.sampled_from(CHANGES), max_size=3), min_size=1, max_size=3))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_drawn_changes_make_what_a_whole_build_makes(drawn, tmp_path_factory):
    small = Small(tmp_path_factory.mktemp("small"))
    small.both()
    for changes in drawn:
        for change in changes:
            change(small)
        small.both()


def test_a_build_that_was_killed_leaves_nothing_to_rest_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    run = Run.open("build")
    store.begin_night(run)
    unchanged.leave({}, "this", run.as_of.isoformat())
    assert build._before(run, "", "this", full=False)[1:] == (False, run.as_of.isoformat())
    assert build._before(run, "", "this", full=False)[1], "it began and left nothing"


@pytest.mark.parametrize(
    ("world", "days", "full", "whole"),
    [
        ("this", 0, False, False),
        ("this", 6, False, False),
        ("this", 7, False, True),
        ("this", -1, False, True),
        ("this", 0, True, True),
        ("of another version", 0, False, True),
    ],
)
def test_everything_is_built_once_a_week_and_by_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: str, days: int, full: bool, whole: bool
):
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    run = Run.open("build")
    store.begin_night(run)
    unchanged.leave({}, world, (run.as_of - timedelta(days=days)).isoformat())
    assert build._before(run, "", "this", full=full)[1] == whole


def test_a_selection_is_never_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    run = Run.open("build")
    store.begin_night(run)
    unchanged.leave({}, "another", "2026-10-01")
    assert build._before(run, "exp_crm__contacts", "this", full=False) == ({}, False, "")


def test_a_restored_ledger_is_another_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    before = build._world()
    monkeypatch.setattr(
        build.interventions, "lines", lambda: [{"what": "restored", "happened_at": "now"}]
    )
    assert build._world() != before


@pytest.mark.parametrize(
    ("code", "moody"),
    [
        ("select now()", True),
        ("select current_date", True),
        ("select RANDOM ( )", True),
        ("select today() - starts_on", True),
        ("select getvariable('x')", True),
        ("select * from t tablesample 5", True),
        ("select 'now()' as today -- random()", False),
        ("select today from t", False),
        ("select lower(name) from t", False),
    ],
)
def test_what_changes_by_itself_is_known_by_what_it_calls(code: str, moody: bool):
    words = reads.moods(lambda query: duckdb.execute(query).fetchall())
    assert reads.is_moody(code, words) == moody


def test_a_file_or_the_catalogue_is_nothing_a_model_is_proved_by(tmp_path: Path):
    (tmp_path / "x.csv").write_text("a\n1\n", encoding="utf-8")
    connection = duckdb.connect()
    connection.execute("create table t (a int, b int)")

    def read(code: str) -> reads.Reads | None:
        return reads.reads_of(lambda query: connection.execute(query).fetchall(), code)

    assert read("select a from t where b > 1") == (("memory.main.t", ("a", "b")),)
    assert read("select count(*) from t") == (("memory.main.t", ("",)),)
    assert read(f"select * from read_csv('{tmp_path}/x.csv')") is None
    assert read("select * from information_schema.tables") is None
    assert read("select n from range(5) as r(n)") == ()
