"""The dbt project as a whole: its unit tests, its documentation, and the one direction its layers
refer in.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT, District

from common import store
from common.runs import Run
from operations import build, failures
from scripts import rests_on

# a model may refer to its own layer and to those before it
LAYERS = "seeds staging intake feeds remembered core last_seen identity exports audit"
ORDER = {name: place for place, name in enumerate(LAYERS.split())}


@pytest.fixture(scope="module")
def manifest(two_nights: District) -> dict:
    return json.loads(
        (two_nights.var / "runs" / "latest" / "dbt" / "manifest.json").read_text(encoding="utf-8")
    )


def layer(node: dict) -> str:
    """What was seen last is read before core and written behind it: two layers of one folder."""
    if node["resource_type"] == "seed":
        return "seeds"
    return node["fqn"][2] if node["fqn"][1] == "history" else node["fqn"][1]


# what the demo's district has; every other target ships and is off, and what is made for it alone
HAS = {"google", "microsoft", "portfolio", "callout", "transport"}


def is_off(node: dict) -> bool:
    """Whether nothing of a model is built in the demo's district."""
    return "rosters" in node["fqn"] or (node["fqn"][1] == "exports" and node["fqn"][2] not in HAS)


def test_every_unit_test_of_the_models_passes(district, manifest):
    off = [node["name"] for node in manifest["nodes"].values() if is_off(node)]
    assert district.dbt("run", "--select", *off).returncode == 0, "dbt asks what columns they have"
    ended = district.dbt("test", "--select", "test_type:unit")
    assert ended.returncode == 0, ended.stdout[-3000:]
    results = json.loads(
        (district.var / "target" / "run_results.json").read_text(encoding="utf-8")
    )["results"]
    assert {result["status"] for result in results} == {"pass"}
    assert {result["unique_id"] for result in results} == set(manifest["unit_tests"]), (
        "one that is not run fails for nobody"
    )


@pytest.mark.long
def test_the_documentation_generates(district):
    ended = district.dbt("docs", "generate", "--static")
    assert ended.returncode == 0, ended.stdout[-3000:]
    assert "exp_google__users" in (district.var / "target" / "static_index.html").read_text(
        encoding="utf-8"
    )


def test_a_second_night_of_the_same_project_leaves_seeds_and_staging_as_they_are(
    two_nights, manifest
):
    """What rests on data is built and tested every night; what only files decide, when the files
    change.
    """
    runs = sorted(
        path
        for path in (two_nights.var / "runs").iterdir()
        if path.is_dir() and not path.is_symlink()
    )[:2]
    first, second = (
        {
            result["unique_id"]
            for result in json.loads(
                (run / "dbt" / "run_results.json").read_text(encoding="utf-8")
            )["results"]
        }
        for run in runs
    )
    left = {
        name
        for name, node in manifest["nodes"].items()
        if node["resource_type"] == "seed" or "staging" in node["fqn"]
    }
    assert {name for name in left if not name.startswith("test.")} <= first
    assert second & left == set()
    models = {name for name, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    off = {name for name in models if is_off(manifest["nodes"][name])}
    assert models - left - off <= second
    assert off & (first | second) == set()
    exports = {
        name
        for name, node in manifest["nodes"].items()
        if node["resource_type"] == "test"
        and str(node.get("attached_node")).startswith("model.homeroom.exp_")
        and node["attached_node"] not in off
    }
    assert exports <= second


def test_what_rests_on_what_is_as_the_table_in_docs_says(manifest):
    """A new dependence shows in the change that makes it: `python -m scripts.rests_on`."""
    text = rests_on.TARGET.read_text(encoding="utf-8")
    assert rests_on.matrix(manifest) == text
    rows = [{k: v for k, v in row.items() if v} for row in csv.DictReader(text.splitlines())]
    lists = {
        f"{system}.{feed}"
        for system, feeds in {
            "myedbc": "class_information_enhanced student_schedule course_information",
            "oneroster": "classes enrollments courses academic_sessions",
        }.items()
        for feed in feeds.split()
    }
    accounts = {"users", "aliases", "org_units", "licences"}
    of_accounts = [
        row
        for row in rows
        if row["export"].startswith(("exp_google__", "exp_microsoft__"))
        and row["export"].split("__")[1] in accounts
    ]
    assert len(of_accounts) > 6
    assert [row for row in of_accounts if lists & row.keys()] == []
    for bus in ("transport", "transfinder", "versatrans"):
        row = next(row for row in rows if row["export"] == f"exp_{bus}__students")
        assert {"hr.employees", "myedbc.staff_information", *lists} & row.keys() == set()
    people = {
        "staff": {"hr.employees", "myedbc.staff_information"},
        "student": {
            "myedbc.student_demographic_enhanced",
            "myedbc.student_demographic_information",
        },
    }
    for kind, other in (("staff", "student"), ("student", "staff")):
        for row in rows:
            if row["rows of"] == kind and row["export"].endswith("__users"):
                assert people[kind] <= row.keys(), row["export"]
                assert not people[other] & row.keys(), row["export"]


def test_models_refer_backwards_only(manifest):
    nodes = manifest["nodes"]
    forwards = [
        (nodes[parent]["name"], node["name"])
        for node in nodes.values()
        if node["resource_type"] == "model"
        for parent in node["depends_on"]["nodes"]
        if parent in nodes and ORDER[layer(nodes[parent])] > ORDER[layer(node)]
    ]
    assert forwards == []


def test_what_was_seen_last_is_read_by_what_is_named_so_and_by_nothing_else(manifest):
    """A circle from night to night, in which the order of one night can be seen: read, core,
    written.
    """
    nodes = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    written = {node["name"] for node in nodes if layer(node) == "last_seen"}
    read = {
        (node["name"], source.split(".")[3])
        for node in nodes
        for source in node["depends_on"]["nodes"]
        if source.startswith("source.") and source.split(".")[3] in written
    }
    assert len(written) == 7
    assert read == {(name.replace("_last_seen", "_remembered"), name) for name in written}


def test_only_staging_and_the_ledger_speak_to_sources(manifest):
    loud = {
        (node["name"], source.split(".")[2])
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and layer(node) != "staging"
        for source in node["depends_on"]["nodes"]
        if source.startswith("source.")
        and source.split(".")[2] not in ("homeroom", "ledger_identity", "ledger_audit")
    }
    assert {source for _, source in loud} <= {"google", "microsoft"}, (
        "names taken are read where names are minted; nothing else may skip staging"
    )


def test_every_model_every_column_and_every_target_is_described(manifest):
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    assert [model["name"] for model in models if not model["description"]] == []
    assert [
        (model["name"], column["name"])
        for model in models
        for column in model["columns"].values()
        if not column["description"]
    ] == []
    exports = {
        model["config"]["meta"]["export"]["target"]: set()
        for model in models
        if layer(model) == "exports" and "export" in model["config"]["meta"]
    }
    for exposure in manifest["exposures"].values():
        for parent in exposure["depends_on"]["nodes"]:
            export = manifest["nodes"][parent]["config"]["meta"].get("export")
            if export:
                exports[export["target"]].add(exposure["name"])
    there = [path.name for path in (ROOT / "models" / "exports").iterdir() if path.is_dir()]
    assert set(there) > HAS
    assert {target: len(names) for target, names in exports.items()} == dict.fromkeys(there, 1)


def test_intake_core_and_exports_have_contracts(manifest):
    """What one system has fills the contract of the kind, which is tried where they meet."""
    loose = [
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        and layer(node) in ("intake", "core", "exports")
        and not (layer(node) == "intake" and len(node["fqn"]) > 3)
        and not node["config"]["contract"]["enforced"]
    ]
    assert loose == []


def test_core_and_exports_never_name_a_source_system(manifest):
    staged, targets = (
        {path.name for path in (ROOT / "models" / room).iterdir() if path.is_dir()}
        for room in ("staging", "exports")
    )
    sources = staged - targets - {"homeroom", "targets"}
    assert sources == {path.stem for path in (ROOT / "ingestion" / "layouts").glob("*.toml")}, (
        "what is staged and no target is read in a layout"
    )
    # hr is a word of ours too, for human resources: alone, or as a table of that system, it is the
    # source
    called = {name: name if len(name) > 2 else rf"\b{name}\b|(stg|raw)_{name}" for name in sources}
    named = [
        (node["name"], source)
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and layer(node) in ("core", "identity", "exports")
        for source, words in called.items()
        # a standard that is read may also be one that is written
        if re.search(words, node["raw_code"], re.I) and not node["fqn"][2].startswith(source)
    ]
    assert named == []


def test_what_dbt_says_names_models_and_quotes_no_cell():
    said = failures.without(
        "Runtime Error in model students\n  Conversion Error: Could not convert string 'Wu, Amy' to"
        " INT32"
    )
    assert (
        said
        == "Runtime Error in model students Conversion Error: Could not convert string '…' to INT32"
    )
    said = failures.without(
        "Compilation Error\n  Model 'model.homeroom.staff' depends on a node named 'schols' which"
        " was not found"
    )
    assert said.endswith("depends on a node named 'schols' which was not found")


@pytest.mark.parametrize(
    ("select", "spoiled"), [("org_unit_rules+", []), ("", ["portfolio_grades"])]
)
def test_an_edit_that_was_built_in_part_and_taken_back_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, select: str, spoiled: list[str]
):
    """Else its seed would stay in the warehouse: the files are again those the warehouse was last
    built from as a whole.
    """
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    asked: list[list[str]] = []
    monkeypatch.setattr(
        "dbt.cli.main.dbtRunner.invoke",
        lambda _, arguments: (
            asked.append(arguments) or SimpleNamespace(result=None, exception=None)
        ),
    )
    run = Run.open("build")
    project, wrong = "as it was", []
    monkeypatch.setattr(build, "_fingerprint", lambda: project)
    monkeypatch.setattr(build.seeds, "trouble", lambda: ([], wrong, True))
    monkeypatch.setattr(build, "_before", lambda *_, **__: ({}, False, ""))
    store.begin_night(run)
    build._built_from(project)
    build.build(run)
    assert "resource_type:seed" in asked[-1], "nothing was edited: seeds stay"
    project, wrong = "edited", spoiled
    build.build(run, select)
    assert ("portfolio_grades+" in asked[-1]) == bool(spoiled)
    project, wrong = "as it was", []
    build.build(run)
    assert "resource_type:seed" not in asked[-1]
