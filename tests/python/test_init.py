"""A project of somebody's own: begun by one verb, which never writes over an edit, and converged
against the built-in emulator.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from common import paths
from demo import anything
from operations import init


def test_a_project_is_begun_whole_and_knows_its_name_and_the_house(tmp_path: Path):
    said = init.begin(str(tmp_path / "My Shop"))
    folder = tmp_path / "My Shop"
    assert f"next: make -C {folder} try" in said and "left as they are" not in said
    project = (folder / "dbt_project.yml").read_text("utf-8")
    assert "name: my_shop" in project and "$" not in project
    house = os.path.relpath(paths.root(), folder)
    assert f'"{house}/macros"' in project and (folder / house / "macros").is_dir()
    assert f"HOUSE := {house}\n" in (folder / "Makefile").read_text("utf-8")
    assert "$(CURDIR)/var" in (folder / "Makefile").read_text("utf-8")
    assert {"models", "seeds", "tests", "in", "layouts", ".dlt", ".gitignore"} <= {
        path.name for path in folder.iterdir()
    }


def test_what_somebody_has_edited_is_never_written_over(tmp_path: Path):
    init.begin(str(tmp_path / "shop"))
    edited, gone = tmp_path / "shop" / "models/core/things.sql", tmp_path / "shop" / "README.md"
    edited.write_text("select 1", encoding="utf-8")
    gone.unlink()
    said = init.begin(str(tmp_path / "shop"))
    assert edited.read_text("utf-8") == "select 1" and gone.is_file()
    assert "1 files written; 14 that stand there were left as they are" in said


@pytest.mark.parametrize("where", ["", ".", "models", "../9lives"])
def test_where_no_project_can_be_it_says_so(where: str):
    before = set(paths.root().iterdir())
    with pytest.raises(init.InitError, match=r"make init TO=\.\./shop|part of Homeroom itself"):
        init.begin(where)
    assert set(paths.root().iterdir()) == before


def test_the_emulator_holds_what_it_is_given_and_lets_nobody_else_in():
    held = anything.Anything()
    with anything.service("token", held.answer) as address:

        def ask(method: str, path: str, body: object = None, token: str = "token") -> dict:
            request = Request(
                f"{address}/v1/{path}",
                json.dumps(body).encode() if body else None,
                {"Authorization": f"Bearer {token}"},
                method=method,
            )
            with urlopen(request) as answer:
                return json.loads(answer.read())

        for number in range(60):
            ask("POST", "things", {"number": str(number)})
        first = ask("GET", "things")
        assert (len(first["results"]), first["count"], first["pages"]) == (50, 60, 2)
        assert len(ask("GET", "things?page=2")["results"]) == 10
        (one,) = ask("GET", "things?number=7")["results"]
        assert ask("PATCH", f"things/{one['id']}", {"name": "x"}) == {**one, "name": "x"}
        ask("DELETE", f"things/{one['id']}")
        assert ask("GET", "things?number=7")["results"] == [] and held.writes == 62
        for method, path, token in (("GET", "things", "no"), ("GET", "things/999", "token")):
            with pytest.raises(OSError, match=r"401|404"):
                ask(method, path, token=token)


@pytest.mark.slow
def test_a_new_project_converges_and_its_second_run_writes_nothing(tmp_path: Path):
    folder = tmp_path / "shop"
    init.begin(str(folder))
    var = folder / "var"
    given = {key: value for key, value in os.environ.items() if "__" not in key}
    given |= {"HOMEROOM_PROJECT": str(folder), "HOMEROOM_VAR": str(var)}
    verb = [sys.executable, "-m", "operations", "nightly", "--allow", "create", "--why", "a try"]
    command = [sys.executable, "-m", "demo.anything", "--state", str(var), "--", *verb]
    told = []
    for _ in range(2):
        ended = subprocess.run(
            command, cwd=paths.root(), env=given, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        told.append(ended.stdout)
    assert "written to 3 times" in told[0] and "written to 0 times" in told[1]
    held = json.loads((var / "emulator.json").read_text("utf-8"))["things"]
    assert {one["name"] for one in held.values()} == {"Vis à bois", "Hammer", "Näil"}
    summary = json.loads((var / "runs" / "latest" / "summary.json").read_text("utf-8"))
    assert {one["converged"] for one in summary["targets"]} == {1.0}
