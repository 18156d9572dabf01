"""A district's own folder: what stands in the product's place, what is added, and what another
version of the product would mean for it. A product of four models is built with dbt itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt.cli.main import dbtRunner

from common import district, paths, settings
from ingestion import layout
from operations import init_district, seeds, upgrade

ROOT = paths.root()
SCHEMAS = {
    "core": {"+schema": "core", "+materialized": "table"},
    "exports": {"+schema": "exports", "+materialized": "table"},
}
PRODUCT = {
    "dbt_project.yml": json.dumps(
        {
            "name": "homeroom",
            "profile": "homeroom",
            "seed-paths": ["seeds", "common"],
            "test-paths": ["tests/dbt"],
            "flags": {"send_anonymous_usage_stats": False},
            "vars": {"greeting": "hello"},
            "models": {"homeroom": SCHEMAS},
            "seeds": {"homeroom": {"+schema": "seeds"}},
        }
    ),
    "macros/name_of.sql": "{% macro name_of(first, last) %}{{ first }} || {{ last }}{% endmacro %}",
    "tests/dbt/generic/not_blank.sql": "{% test not_blank(model, column_name) %}select * from"
    " {{ model }} where {{ column_name }} = ''{% endtest %}",
    "common/problems.csv": "code\nodd\n",
    "seeds/grades.csv": "grade,words\n07,seven\n",
    "seeds/register.csv": "model,column\nexp_bus__students,name\n",
    "seeds/_seeds.yml": "seeds:\n"
    "  - {name: grades, config: {column_types: {grade: text}}, columns: [{name: grade}]}\n"
    "  - {name: register, columns: [{name: model}, {name: column}]}\n",
    "models/core/students.sql": "select '07' as grade, {{ name_of(\"'Ada'\", \"'Lovelace'\") }}"
    " as name",
    "models/exports/bus/exp_bus__students.sql": "select name, 'bus' as rides, grade"
    " from {{ ref('students') }}",
    "models/exports/bus/exp_bus__students.yml": "models:\n  - name: exp_bus__students\n"
    "    description: Who rides.\n    columns:\n"
    "      - {name: name, data_tests: [not_blank]}\n      - {name: rides}\n      - {name: grade}\n",
    "models/exports/list/exp_list__words.sql": "select rides, words from"
    " {{ ref('exp_bus__students') }} inner join {{ ref('grades') }} using (grade)",
}
DISTRICT = {
    "dbt_project.yml": "name: sd99\nvars: {greeting: good morning}\n",
    "macros/name_of.sql": "{% macro name_of(first, last) %}{{ last }} || ', ' || {{ first }}"
    "{% endmacro %}",
    "seeds/grades.csv": "grade,words\n07,septième\n",
    "seeds/more/register.csv": "model,column\nexp_shuttle__riders,name\n",
    "models/exports/bus/exp_bus__students.sql": "select name, 'our bus' as rides, grade"
    " from {{ ref('students') }}",
    "models/exports/shuttle/exp_shuttle__riders.sql": "select {{ name_of('name', 'name') }} as"
    " name, '{{ var('greeting') }}' as says from {{ ref('exp_bus__students') }}",
    "models/exports/shuttle/exp_shuttle__riders.yml": "models:\n  - name: exp_shuttle__riders\n"
    "    columns: [{name: name, data_tests: [not_blank]}, {name: says}]\n",
    "layouts/ours.toml": "",
}


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """A product and a district's folder beside it."""
    product = written(tmp_path / "product", PRODUCT)
    for name in ("generate_schema_name", "materializations"):
        shutil.copy(ROOT / "macros" / f"{name}.sql", product / "macros")
    return product, written(tmp_path / "sd99", DISTRICT)


def built(two: tuple[Path, Path], there: Path) -> tuple[Any, dict[str, list[tuple]]]:
    """The manifest of a build of the two, and what stands in every table."""
    product, folder = two
    district.compose(folder, product, there)
    file = there / "small.duckdb"
    profile = {"target": "here", "outputs": {"here": {"type": "duckdb", "path": str(file)}}}
    (there / "profiles.yml").write_text(json.dumps({"homeroom": profile}), encoding="utf-8")
    ended = dbtRunner().invoke(
        [
            *("build", "--project-dir", str(there / "dbt"), "--profiles-dir", str(there)),
            *("--target-path", str(there / "target"), "--log-path", str(there / "logs")),
            *("--log-level", "none", "--log-level-file", "none"),
        ]
    )
    assert ended.success, ended.exception or [one.message for one in ended.result.results]
    manifest = json.loads((there / "target" / "manifest.json").read_text(encoding="utf-8"))
    with duckdb.connect(str(file)) as connection:
        tables = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables"
        ).fetchall()
        return manifest, {
            name: connection.execute(f"from {name} order by all").fetchall() for (name,) in tables
        }


def test_the_district_is_the_root_and_the_product_a_package(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    def marked(folder: Path) -> dict[str, str]:
        return {
            str(file): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in folder.rglob("*")
            if file.is_file()
        }

    before = marked(two[0]), marked(two[1])
    manifest, held = built(two, tmp_path / "there")
    assert manifest["metadata"]["project_name"] == "sd99"
    assert "model.sd99.exp_bus__students" in manifest["nodes"]
    assert "model.homeroom.students" in manifest["nodes"]
    assert set(manifest["disabled"]) == {
        "model.homeroom.exp_bus__students",
        "seed.homeroom.grades",
        "seed.homeroom.register",
    }
    assert held == {
        "core.students": [("07", "Lovelace, Ada")],  # the district's rule of names
        "exports.exp_bus__students": [("Lovelace, Ada", "our bus", "07")],
        "exports.exp_list__words": [("our bus", "septième")],  # reads the district's model and seed
        "exports.exp_shuttle__riders": [("Lovelace, Ada, Lovelace, Ada", "good morning")],
        "seeds.grades": [("07", "septième")],
        "seeds.problems": [("odd",)],
        "seeds.register": [("exp_bus__students", "name"), ("exp_shuttle__riders", "name")],
    }
    assert (marked(two[0]), marked(two[1])) == before  # no file of either was edited
    # what the product says of a model holds for the one in its place, until it has its own YAML
    ours = manifest["nodes"]["model.sd99.exp_bus__students"]
    assert ours["description"] == "Who rides."
    assert ours["fqn"] == ["sd99", "exports", "bus", "exp_bus__students"]
    tests = [one["attached_node"] for one in manifest["nodes"].values() if "attached_node" in one]
    assert sorted(tests) == ["model.sd99.exp_bus__students", "model.sd99.exp_shuttle__riders"]


def test_a_description_of_the_districts_own_takes_the_place_of_the_products(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    yml = "models/exports/bus/exp_bus__students.yml"
    written(two[1], {yml: "models:\n  - {name: exp_bus__students, description: Ours.}\n"})
    manifest, _ = built(two, tmp_path / "there")
    assert manifest["nodes"]["model.sd99.exp_bus__students"]["description"] == "Ours."
    whole = tmp_path / "there" / "whole" / "models" / "exports" / "bus"
    assert (whole / "exp_bus__students.yml").resolve() == two[1] / yml
    assert "exp_bus__students" not in (whole / "exp_bus__students.homeroom.yml").read_text("utf-8")


def test_what_is_in_force_is_written_once_and_follows_the_folders(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    there = tmp_path / "there"

    def stood() -> dict[str, int]:
        return {str(one): one.lstat().st_mtime_ns for one in there.rglob("*") if not one.is_dir()}

    district.compose(two[1], two[0], there)
    before = stood()
    district.compose(two[1], two[0], there)
    assert stood() == before
    seed = there / "whole" / "seeds" / "grades.csv"
    assert "septième" in seed.read_text("utf-8")
    (two[1] / "seeds" / "grades.csv").unlink()
    (two[1] / "macros" / "name_of.sql").unlink()
    district.compose(two[1], two[0], there)
    assert "seven" in seed.read_text("utf-8")
    assert (there / "dbt" / "macros" / "name_of.sql").resolve().parent.parent == two[0]
    assert not (there / "dbt" / "seeds" / "grades.csv").is_symlink()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"models/a/x.sql": "", "models/b/x.sql": ""}, "model x stands twice in"),
        ({"seeds/more/none.csv": "a\n"}, "adds rows to a seed"),
        ({"seeds/more/grades.csv": "grade\n08\n"}, "line 1: its headings are grade; those of"),
        ({"dbt_project.yml": "name: homeroom\n"}, "name is 'homeroom'"),
        ({"dbt_project.yml": "name: [\n"}, "cannot be read as YAML"),
        ({"models/x.yml": "models: [\n"}, "cannot be read as YAML"),
        ({"macros/one.sql": "{% macro one() %}{% endmacro %}"}, "which has one, other: take all"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_folder_that_cannot_be_followed_is_refused_with_a_sentence(
    two: tuple[Path, Path], tmp_path: Path, files: dict[str, str], says: str
) -> None:
    several = "{% macro one() %}{% endmacro %}{% macro other() %}{% endmacro %}"
    written(two[0], {"macros/several.sql": several})
    written(two[1], files)
    with pytest.raises(district.DistrictError, match=says):
        district.compose(two[1], two[0], tmp_path / "there")


# ---------------------------------------------------------------- with the house itself


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as init-district writes it, named for this process."""
    folder = tmp_path / "sd99"
    monkeypatch.setenv("HOMEROOM_DISTRICT", str(folder))
    monkeypatch.delenv("HOMEROOM_VAR", raising=False)
    init_district.begin()
    settings._files.cache_clear()
    district._composed.cache_clear()
    yield folder
    settings._files.cache_clear()
    district._composed.cache_clear()


def test_a_folder_begun_is_a_repository_whose_settings_are_those_the_product_ships(
    ours: Path,
) -> None:
    assert (ours / ".git").is_dir()
    assert settings.strangers() == []
    assert (ours / ".dlt" / "config.toml").read_bytes() == (
        ROOT / ".dlt" / "config.toml"
    ).read_bytes()
    ignored = (ours / ".gitignore").read_text("utf-8").split()
    assert ignored == ["var/", ".dlt/secrets.toml"]
    assert paths.var() == ours / "var"
    assert district.choices() == ()
    assert district.sentences() == []
    with pytest.raises(district.DistrictError, match=r"holds .dlt, .gitignore, README.md already"):
        init_district.begin()


def test_readers_without_dbt_find_what_is_in_force(ours: Path) -> None:
    (ours / "seeds" / "closed_days.csv").write_bytes(
        (ROOT / "seeds" / "closed_days.csv").read_bytes() + b"x,2031-02-03,2031-02-03,ours\n"
    )
    head = (ROOT / "seeds" / "reserved_names.csv").read_text("utf-8").splitlines()
    (ours / "seeds" / "more" / "reserved_names.csv").write_text(f"{head[0]}\n bad ,x\n", "utf-8")
    shutil.copy(ROOT / "ingestion" / "layouts" / "myedbc.toml", ours / "layouts" / "own.toml")
    assert "2031-02-03" in (paths.project() / "seeds" / "closed_days.csv").read_text("utf-8")
    assert layout.load("own").feeds == layout.load("myedbc").feeds
    said = [one for one in seeds.trouble()[0] if "reserved" in str(one.file)]
    assert [(one.file, one.line) for one in said] == [("seeds/more/reserved_names.csv", 2)]
    assert district.sentences() == [
        "sd99 has its own, in place of Homeroom's: seed closed_days",
        "sd99 has its own, beside Homeroom's: layout own",
        "sd99 has its own, rows added to seeds of Homeroom: reserved_names",
    ]
    assert (paths.dbt_project() / "dbt_packages" / "homeroom" / "dbt_project.yml").is_file()


def test_whoever_only_reads_writes_nothing_into_the_state_of_another(
    ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.var()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert paths.project() == ours / "var" / "district" / "whole"
    assert not paths.project().exists()


# ---------------------------------------------------------------- another version


CHANGED = {
    "nothing": ({}, None),
    "a comment of an export it replaced": (
        {"models/exports/bus/exp_bus__students.sql": "-- new\nselect 1"},
        ("exp_bus__students", True, "look whether"),
    ),
    "a rule it replaced takes one more": (
        {"macros/name_of.sql": "{% macro name_of(first, last, usual) %}x{% endmacro %}"},
        ("name_of", False, "name_of is now called with (first, last, usual), and this one takes"),
    ),
    "a rule it replaced says another thing": (
        {"macros/name_of.sql": "{% macro name_of(first, last) %}x{% endmacro %}"},
        ("name_of", True, "look whether"),
    ),
    "a rule it replaced is gone": (
        {"macros/name_of.sql": None},
        ("name_of", False, "takes the place of one that Homeroom has no longer"),
    ),
    "a seed it replaced has another column": (
        {"seeds/grades.csv": "grade,words,age\n07,seven,12\n"},
        ("grades", False, "Homeroom's now has age, and this one has not"),
    ),
    "a seed it adds rows to lost a column": (
        {"seeds/register.csv": "model\nx\n"},
        ("register", False, "it has column, which Homeroom's has no longer"),
    ),
    "a seed it adds rows to has more rows": ({"seeds/register.csv": "model,column\na,b\n"}, None),
    "a vendor it added comes with the product": (
        {"models/exports/shuttle/exp_shuttle__riders.sql": "select 1"},
        ("exp_shuttle__riders", False, "Homeroom brings one of its own"),
    ),
    "a model it has nothing to do with": ({"models/core/students.sql": "select 2"}, None),
}


@pytest.mark.parametrize("what", CHANGED)
def test_an_update_says_which_choices_no_longer_fit(
    two: tuple[Path, Path], tmp_path: Path, what: str
) -> None:
    changed, expected = CHANGED[what]
    then = shutil.copytree(two[0], tmp_path / "then")
    for name, text in changed.items():
        (then / name).parent.mkdir(parents=True, exist_ok=True)
        (then / name).unlink(missing_ok=True)
        if text is not None:
            (then / name).write_text(text, encoding="utf-8")
    found = upgrade.fits(two[1], two[0], then)
    if expected is None:
        assert found == []
        return
    [one] = found
    name, fits, says = expected
    assert (one.choice.name, one.fits) == (name, fits)
    assert says in one.sentence


def test_a_column_that_comes_to_an_export_with_a_description_of_its_own_no_longer_fits(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    yml = "models/exports/bus/exp_bus__students.yml"
    written(two[1], {yml: PRODUCT[yml].replace("Who rides", "Ours")})
    then = shutil.copytree(two[0], tmp_path / "then")
    written(then, {yml: PRODUCT[yml].replace("{name: rides}", "{name: stop}")})
    [one] = upgrade.fits(two[1], two[0], then)
    assert not one.fits
    assert one.sentence.endswith(
        "Homeroom's now has stop, and this one has not; it has rides, which Homeroom's has no"
        " longer"
    )


def test_an_update_says_target_by_target_what_it_would_plan_besides_and_no_longer() -> None:
    def change(target: str, action: str, key: str, hold: str = "") -> tuple[str, ...]:
        return (target, "users", action, key, "", "", hold)

    now = Counter([change("crm", "create", "1"), change("crm", "update", "2")])
    then = Counter(
        [
            change("crm", "create", "1"),
            change("crm", "suspend", "3", "limit"),
            change("x", "a", "4"),
        ]
    )
    said: list[str] = []
    assert upgrade._print(now, then, lambda text, **_: said.append(text))
    assert said[:-1] == [
        "crm",
        "  + 1 users: suspend (would be held)",
        "  - 1 users: update",
        "x",
        "  + 1 users: a",
    ]
    assert not upgrade._print(now, now, lambda text, **_: said.append(text))
    assert said[-1] == "in no target would anything be another than it is planned now"


@pytest.mark.parametrize("to", ["", "no-such-tag", "--output=x"])
def test_a_version_nobody_has_is_a_sentence(tmp_path: Path, to: str) -> None:
    with pytest.raises(upgrade.NotUpgradableError, match="neither a folder with Homeroom in it"):
        upgrade._product(to, tmp_path)
