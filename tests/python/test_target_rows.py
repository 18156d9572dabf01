"""A target that holds accounts is rows in seeds and its staging views; one that is in the seeds but
not in the settings holds nobody.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from conftest import District, checkout

from common import paths
from operations import build, seeds

pytestmark = pytest.mark.slow

OKTA = {
    "users": "remote_id, person_id",
    "accounts": "remote_id, person_id, lower(login) as address, number as employee_id, first_name,"
    " last_name, status = 'ACTIVE' as is_open, false as is_admin, 'member' as kind",
    "names_taken": "remote_id, person_id, lower(login) as address, 'user' as kind",
}
COLUMNS = ["remote_id", "person_id", "login", "number", "first_name", "last_name", "status"]


def a_third_target(top: Path) -> None:
    """Okta, as docs/add-a-target.md says: rows, staging views, and nothing else."""
    rows = {
        "targets": 'okta,Okta,true,false,true,false,false,{account_name}@{domain},"email"\n',
        "group_targets": "homeroom,okta\n",
        "lifecycle_states": "".join(
            f"{line.replace(',google,', ',okta,')}\n"
            for line in (top / "seeds" / "lifecycle_states.csv").read_text("utf-8").splitlines()
            if ",google," in line
        ),
    }
    for seed, text in rows.items():
        with (top / "seeds" / f"{seed}.csv").open("a", encoding="utf-8") as file:
            file.write(text)
    staging = top / "models" / "staging" / "okta"
    staging.mkdir()
    columns = [{"name": column} for column in COLUMNS]
    source = {
        "name": "okta",
        "schema": "raw_okta",
        "tables": [{"name": "users", "columns": columns}],
    }
    (staging / "_sources.yml").write_text(json.dumps({"sources": [source]}), encoding="utf-8")
    for view, listed in OKTA.items():
        (staging / f"stg_okta__{view}.sql").write_text(
            f"select {listed} from {{{{ source('okta', 'users') }}}}"
            + (" where person_id is not null" if view == "users" else ""),
            encoding="utf-8",
        )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> District:
    """An empty district with a third target and without Microsoft in its settings, built once."""
    top = checkout(tmp_path_factory.mktemp("okta") / "top")
    a_third_target(top)
    config = top / ".dlt" / "config.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(re.sub(r"(?ms)^\[targets\.microsoft\].*?(?=^\[)", "", text), encoding="utf-8")
    district = District(top.parent / "var", top)
    district.var.mkdir()
    # not by `run`: what dbt parsed of another checkout has seeds where that one stood
    ended = subprocess.run(
        [sys.executable, "-m", "operations", "build"],
        cwd=top,
        env=district.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return district


def asked(district: District, sql: str) -> list[tuple]:
    with duckdb.connect(str(district.var / "warehouse.duckdb")) as connection:
        connection.execute(f"attach '{district.var / 'ledger.duckdb'}' as ledger (read_only)")
        return connection.execute(sql).fetchall()


def test_a_third_target_is_rows_and_staging_views(built):
    with duckdb.connect(str(built.var / "warehouse.duckdb")) as connection:
        connection.execute(
            "insert into raw_okta.users (remote_id, person_id, login, first_name, status) values"
            " ('o1', null, 'Ana.Bo@s.x', 'Ana', 'ACTIVE'), ('o2', 'p2', 'cy@s.x', 'Cy', 'ACTIVE'),"
            " ('o3', 'p2', 'cy2@s.x', 'Cy', 'ACTIVE')"
        )
    assert asked(
        built,
        "select target, account_name, remote_id from identity.names_taken where target <> 'policy'"
        " order by all",
    ) == [("okta", "ana.bo", "o1"), ("okta", "cy", "o2"), ("okta", "cy2", "o3")]
    assert asked(built, "select target, remote_id, protection from identity.orphan_accounts") == [
        ("okta", "o1", None)
    ]
    assert asked(
        built, "select code, target, key from audit.findings_of_accounts order by all"
    ) == [
        ("durable_key_twice", "okta", "p2"),
        ("key_unknown", "okta", "p2"),
        ("key_unknown", "okta", "p2"),
    ]
    manifest = json.loads((built.var / "target" / "manifest.json").read_text(encoding="utf-8"))
    assert (
        "model.homeroom.stg_okta__accounts"
        in (manifest["parent_map"]["model.homeroom.stg_targets__accounts"])
    ), "an export is held when what it rests on fails, in whichever target"


def test_a_district_without_one_of_the_platforms_builds(built):
    results = json.loads((built.var / "target" / "run_results.json").read_text(encoding="utf-8"))
    ended = {
        one["unique_id"].rsplit(".", 1)[-1]: one["status"]
        for one in results["results"]
        if "microsoft" in one["unique_id"] and one["unique_id"].startswith("model.")
    }
    assert ended["stg_microsoft__users"] == ended["exp_microsoft__members"] == "success"
    assert set(ended.values()) == {"success"}
    assert asked(built, "select count(*) from staging.stg_microsoft__users") == [(0,)]


def test_who_starts_dbt_says_which_targets_there_are():
    said = seeds.told()["targets"]
    assert {"google", "microsoft"} <= {*said["accounts"]}
    assert said["licences"] == ["microsoft"] and said["org_units"] == ["google"]


def test_a_seed_nobody_can_read_says_no_target(tmp_path, monkeypatch):
    """Nothing is built then; what is said of targets is not half of them."""
    folder = tmp_path / "seeds"
    folder.mkdir()
    for file in ("targets.csv", "_target_seeds.yml"):
        (folder / file).write_bytes((paths.root() / "seeds" / file).read_bytes())
    monkeypatch.setattr(paths, "root", lambda: tmp_path)
    assert seeds.told()["targets"]
    (folder / "targets.csv").write_text("target;name\ngoogle;Google\n", encoding="utf-8")
    assert seeds.told() == {"off": []}, "what is off stands in the settings"
    assert build.seeds.trouble()[1] == ["targets"]
