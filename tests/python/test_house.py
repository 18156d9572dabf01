"""The house itself: imports run one way, the verbs exist, the papers are true."""

from __future__ import annotations

import ast
import io
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest
import yaml
from rich.console import Console

from common import database, settings
from common.runs import Run
from operations import report

ROOT = Path(__file__).resolve().parents[2]
MAY_IMPORT = {
    "common": {"common"},
    "ingestion": {"common", "ingestion"},
    "reverse_etl": {"common", "reverse_etl"},
    "operations": {"common", "ingestion", "reverse_etl", "operations"},
    "demo": {"common", "demo"},
}


def imported_rooms(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    ]
    names += [
        node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 0
    ]
    return {name.split(".")[0] for name in names} & set(MAY_IMPORT)


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_imports_run_one_way(room):
    files = list((ROOT / room).rglob("*.py"))
    assert files, f"{room}/ holds no module"
    wrong = {
        str(path.relative_to(ROOT)): sorted(imported_rooms(path) - MAY_IMPORT[room])
        for path in files
        if imported_rooms(path) - MAY_IMPORT[room]
    }
    assert not wrong


ROOMS = ("common", "ingestion", "reverse_etl", "operations")


def lines(*rooms: str) -> list[tuple[str, int, str]]:
    """(file, number, line) of every module of some rooms."""
    return [
        (path.relative_to(ROOT).as_posix(), number, line)
        for room in rooms
        for path in sorted((ROOT / room).rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    ]


def test_every_command_is_typers():
    found = [one for one in lines(*ROOMS, "demo") if re.search(r"\bargparse\b|sys\.argv", one[2])]
    assert found == []


def test_ruff_alone_says_how_lines_are_broken():
    everywhere = lines(*ROOMS, "demo", "tests")
    assert [one for one in everywhere if "# fmt" + ":" in one[2]] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    ruff = project["tool"]["ruff"]
    assert ruff["line-length"] == 100
    assert "E" in ruff["lint"]["select"] and "E501" not in ruff["lint"]["ignore"]


# what these write between double quotes is no SQL: a log line, a sentence, a JSON path, a shell
NO_SQL = re.compile(
    r"print|raise|Error\(|problem|sentence|note=|\$\.|key=|=\"\{text\}|nothing was written|needs a"
    r" value|has no rows|did not pass|action=|first = f|schtasks|/ST |this run's build"
    r"|TextColumn|wsl\.exe|xml version"
)


def test_names_and_texts_are_quoted_in_one_place():
    """`f'"{name}"'` and `.replace("'", "''")` belong to common/sql.py."""
    by_hand = re.compile(
        r"""f'[^']*"\{[^}]+\}"|f"[^"]*\\"\{[^}]+\}\\"|replace\("'", "''"\)|chr\(39\)"""
    )
    found = [
        (path, line.strip())
        for path, _, line in lines(*ROOMS)
        if path not in ("common/sql.py", "common/log.py")
        and by_hand.search(line)
        and not NO_SQL.search(line)
    ]
    assert found == []


def values_shown(node: ast.AST) -> Iterator[str]:
    """The values a text holds that no `escape()`, `Text()` and no number format keeps from being
    markup.
    """
    value = node.value if isinstance(node, ast.FormattedValue) else node
    if isinstance(value, ast.Call) and getattr(value.func, "id", "") in ("escape", "Text"):
        return
    if isinstance(node, ast.FormattedValue) and node.format_spec is None:
        yield ast.unparse(value)
        return
    for child in ast.iter_child_nodes(node):
        yield from values_shown(child)


def test_a_value_on_the_terminal_is_never_taken_for_markup():
    """A hold that says "mend [trust]" must not lose its bracketed word."""
    loose = [
        (path.relative_to(ROOT).as_posix(), node.lineno, value)
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("print", "rule", "add_row")
        and not any(given.arg == "markup" for given in node.keywords)
        for argument in node.args
        for value in values_shown(argument)
    ]
    assert loose == []


def test_the_report_shows_a_held_sentence_with_its_bracketed_words(tmp_path):
    said = "held: 3 of 9 would go (limit 2 %); mend [trust] or [sources.hr.files]"
    run = Run("a-night", tmp_path, date(2026, 9, 8), datetime(2026, 9, 8, 9, tzinfo=UTC))
    row = {"target": "[files]", "entity": "a[b]", "desired": 9, "planned": {"create": 3}}
    row |= {"applied": 0, "held": 3, "failed": 0, "skipped": 0, "converged": None, "holds": [said]}
    summary = {
        "as_of": "2026-09-08",
        "verb": "nightly",
        "exit_code": 2,
        "git_commit": "",
        "steps": [],
        "feeds": [],
    }
    console = Console(width=200, record=True, file=io.StringIO())
    report.show(run, {**summary, "targets": [row]}, console)
    shown = console.export_text()
    assert f"held [files] a[b]: {said}" in shown
    assert " Night of 2026-09-08: held, some changes wait for a person " in shown
    assert "\\" not in shown


def test_a_file_is_replaced_by_one_module():
    """Written beside and renamed: everything else could leave half a file behind."""
    found = [
        (path, line.strip())
        for path, _, line in lines(*ROOMS)
        if path not in ("common/files.py", "common/sql.py")
        and re.search(r"\b(part|temporary|fresh|unpacked)\.(replace|rename)\(|os\.replace\(", line)
    ]
    assert found == [
        (
            "reverse_etl/serve/copy.py",
            "fresh.replace(destination)",
        ),  # a copy; the next run makes another
        ("operations/backup.py", "part.replace(final)"),  # a folder, whose files are whole
    ]


def test_exceptions_end_in_error():
    """Ours do; those that end something on purpose derive from BaseException."""
    classes = {
        node.name: [ast.unparse(base) for base in node.bases]
        for room in (*ROOMS, "demo")
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    raised = {
        name
        for name, bases in classes.items()
        if any(base == "Exception" or base.endswith("Error") for base in bases)
    }
    assert raised and [name for name in sorted(raised) if not name.endswith("Error")] == []


def test_every_verb_the_documents_show_exists():
    known = set(
        re.findall(r"^([a-z-]+):.* ##[+]? ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    )
    papers = [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").glob("*.md"),
    ]
    shown = {
        (paper.name, verb)
        for paper in papers
        for verb in re.findall(
            r"(?:^|`)make ([a-z][a-z-]*)", paper.read_text(encoding="utf-8"), re.M
        )
    }
    assert len(shown) > 10
    assert {pair for pair in shown if pair[1] not in known} == set()


def test_every_file_the_documents_name_exists():
    missing: list[tuple[str, str]] = []
    for paper in [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").glob("*.md"),
    ]:
        text = paper.read_text(encoding="utf-8")
        missing += [
            (paper.name, link)
            for link in re.findall(r"\]\((?!http)([^)#]+)", text)
            if not (paper.parent / link).exists()
        ]
        named = re.findall(
            r"`((?:macros|seeds|models|reverse_etl|ingestion|demo|operations|common)/[\w./-]+\.\w+)`",
            text,
        )
        missing += [(paper.name, path) for path in named if not (ROOT / path).exists()]
    assert not missing


def test_every_dependency_is_pinned_and_locked_with_hashes():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert all("==" in one for one in wanted)
    locked = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    for one in wanted:
        name, version = re.match(r"([\w-]+)(?:\[.*\])?==([\w.]+)", one).groups()
        assert re.search(
            rf"^{name}==?{re.escape(version)} |^{name}\[?[\w,]*\]?=={re.escape(version)} ",
            locked,
            re.M,
        ), one
    pins, hashes = (
        len(re.findall(r"^[\w.-]+(?:\[[\w,]+\])?==", locked, re.M)),
        len(re.findall(r"--hash=sha256:", locked)),
    )
    assert hashes >= pins > 100


def test_the_small_lock_agrees_with_the_large_one():
    def pins(name: str) -> dict[str, str]:
        return dict(
            re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / name).read_text(encoding="utf-8"), re.M)
        )

    nightly, dev = pins("requirements.txt"), pins("requirements-dev.txt")
    assert nightly
    assert {name: version for name, version in nightly.items() if dev.get(name) != version} == {}


def test_a_fresh_machine_is_scheduled_in_fewer_than_ten_commands_that_exist():
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    commands = re.search(r"```sh\n(.*?)```", text, re.S)[1].strip().splitlines()
    assert 5 <= sum(line.count("&&") + 1 for line in commands) < 12 and len(commands) < 10
    known = set(
        re.findall(r"^([a-z-]+):.* ##[+]? ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    )
    assert {verb for line in commands for verb in re.findall(r"make ([a-z]+)", line)} <= known
    run = [words for line in commands for words in re.findall(r"python -m (\w+) (\w+)", line)]
    assert run == [("operations", "nightly")]
    assert any("make check" in line for line in commands)
    assert any("systemctl enable --now homeroom-nightly.timer" in line for line in commands), (
        "what schedule.install says to type next"
    )


# ---------------------------------------------------------------- memory


def connects(source: str) -> list[int]:
    """The lines of a module on which DuckDB is opened by itself, or dlt is left to open it."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (
            (node.func.attr == "connect" and getattr(node.func.value, "id", "") == "duckdb")
            or (
                node.func.attr == "duckdb"
                and not (node.args and ast.unparse(node.args[0]).endswith(".cursor()"))
            )
        )
    ]


def test_every_connection_to_duckdb_has_a_limit_of_memory():
    opened = {
        path.relative_to(ROOT).as_posix(): found
        for room in (*ROOMS, "demo")
        for path in (ROOT / room).rglob("*.py")
        if (found := connects(path.read_text(encoding="utf-8")))
    }
    assert list(opened) == ["common/database.py"], "open it by common/database.py"
    assert connects("import duckdb\nwith duckdb.connect() as one: pass") == [2]
    assert connects("dlt.destinations.duckdb(str(path))") == [1]
    profile = yaml.safe_load((ROOT / "profiles.yml").read_text(encoding="utf-8"))
    settings = profile["homeroom"]["outputs"]["duckdb"]["settings"]
    assert settings["memory_limit"] == "{{ env_var('HOMEROOM_MEMORY', '1GB') }}"
    assert database.DEFAULT == "1GB"


@pytest.mark.parametrize(
    ("said", "is_right"),
    [("4GB", True), ("512 MB", True), ("1.5GiB", True)]
    + [(wrong, False) for wrong in ("four", "4", "60%", "0GB", "-1GB", "4GB; drop", "4 gigs")],
)
def test_the_limit_of_memory_is_one_setting_of_every_connection(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, is_right: bool
):
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path))
    monkeypatch.setenv("HOMEROOM_MEMORY", said)
    if not is_right:
        with pytest.raises(settings.SettingsError, match="write it as 4GB or 512MB"):
            database.connect()
        return
    with database.connect() as connection:
        limits = connection.execute(
            "select current_setting('memory_limit'), current_setting('temp_directory')"
        ).fetchone()
    with duckdb.connect(config={"memory_limit": said}) as plain:
        assert limits[0] == plain.execute("select current_setting('memory_limit')").fetchone()[0]
    assert limits[1] == str(tmp_path / "tmp")
