"""How dbt makes our tables and views: in one transaction, so that a model that fails leaves what
was there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pytest
from dbt.cli.main import dbtRunner

from common import paths


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of its own with our materializations and no model."""
    (tmp_path / "models").mkdir()
    (tmp_path / "macros").mkdir()
    shutil.copy(paths.root() / "macros" / "materializations.sql", tmp_path / "macros")
    files = {
        "dbt_project.yml": {
            "name": "small",
            "profile": "small",
            "flags": {"send_anonymous_usage_stats": False},
        },
        "profiles.yml": {
            "small": {
                "target": "here",
                "outputs": {
                    "here": {"type": "duckdb", "path": str(tmp_path / "small.duckdb"), "threads": 1}
                },
            }
        },
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def built(project: Path, **models: str) -> dict[str, str]:
    """Write these models, run them, and say how each ended."""
    for name, sql in models.items():
        (project / "models" / f"{name}.sql").write_text(sql, encoding="utf-8")
    ended = dbtRunner().invoke(
        [
            "run",
            "--project-dir",
            str(project),
            "--profiles-dir",
            str(project),
            "--log-level",
            "none",
            "--log-level-file",
            "none",
        ]
    )
    return {result.node.name: str(result.status) for result in ended.result.results}  # type: ignore[union-attr]


def test_a_table_may_become_a_view_and_one_that_fails_is_as_it_was(project: Path) -> None:
    hooked = (
        "{{ config(materialized='table', pre_hook='create table notes (note int)',"
        " post_hook='insert into notes select n from {{ this }}') }} "
    )
    first = built(
        project,
        one=hooked + "select 1 as n",
        two="{{ config(materialized='view') }} select 2 as n",
        three="{{ config(materialized='table') }} select 3 as n",
    )
    assert set(first.values()) == {"success"}
    second = built(
        project,
        one="{{ config(materialized='view') }} select 11 as n",
        two="{{ config(materialized='table') }} select 12 as n",
        three="{{ config(materialized='table') }} select cast('not a number' as integer) as n",
    )
    assert second == {"one": "success", "two": "success", "three": "error"}
    with duckdb.connect(str(project / "small.duckdb")) as connection:
        rows = {
            name: connection.execute(f"select n from {name}").fetchall()
            for name in ("one", "two", "three")
        }
        kinds = dict(
            connection.execute(
                "select table_name, table_type from information_schema.tables"
            ).fetchall()
        )
        assert connection.execute("select * from notes").fetchall() == [(1,)]
    assert rows == {"one": [(11,)], "two": [(12,)], "three": [(3,)]}
    assert kinds == {
        "one": "VIEW",
        "two": "BASE TABLE",
        "three": "BASE TABLE",
        "notes": "BASE TABLE",
    }


def test_what_is_of_a_target_that_is_off_is_built_without_a_row(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what its export says, else by the folder it stands in; with nothing off it is filled
    again.
    """
    (project / "models" / "exports" / "crm").mkdir(parents=True)
    table = "{{ config(materialized='table'%s) }} with n as (select 1 as n) select * from n"
    says = ", meta={'export': {'target': 'crm'}}"
    models = {
        "one": table % says,
        "exports/crm/crm__left_out": table % "",
        "exports/crm/elsewhere": table % says.replace("crm", "desk"),
        "core": table % "",
    }

    def rows(*off: str) -> dict[str, int]:
        monkeypatch.setenv("HOMEROOM_SEEDS", json.dumps({"off": off}))
        assert set(built(project, **models).values()) == {"success"}
        with duckdb.connect(str(project / "small.duckdb")) as connection:
            return {
                name: connection.execute(f"select count(*) from {name}").fetchall()[0][0]
                for name in ("one", "crm__left_out", "elsewhere", "core")
            }

    everything = {"one": 1, "crm__left_out": 1, "elsewhere": 1, "core": 1}
    assert rows() == everything
    assert rows("crm") == everything | {"one": 0, "crm__left_out": 0}
    assert rows("crm", "desk") == {"one": 0, "crm__left_out": 0, "elsewhere": 0, "core": 1}
    assert rows("desk") == everything | {"elsewhere": 0}
