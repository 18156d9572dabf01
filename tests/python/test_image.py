"""What a district installs from: the image's own steps and what goes into it, a source archive, and
how the code's version is known where there is no git.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from common import commit, paths

CONTAINERFILE = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
NEVER = (  # what lies about in a checkout and is nobody's business in an image
    ".dlt/secrets.toml",
    ".dlt/secrets.toml.bak",
    ".dlt/google-key.json",
    ".env",
    ".git/config",
    ".venv/bin/python",
    "my-secrets.toml",
    "var/ledger.duckdb",
    "var/archive/myedbc/StudentDemographics.csv",
    "state/warehouse.duckdb",
    "backups/20261005T100000Z/ledger.duckdb.gz",
    "common/__pycache__/paths.cpython-311.pyc",
    "tests/python/test_page.py",
)


def left_out(path: str) -> bool:
    """Whether `.dockerignore` keeps a file out of an image: its last line that fits counts."""
    out = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern, parts = line.removeprefix("!"), path.split("/")
        heads = ["/".join(parts[: number + 1]) for number in range(len(parts))]
        if pattern.startswith("**/"):
            fits = any(fnmatch.fnmatchcase(part, pattern[3:]) for part in parts)
        else:
            fits = any(
                head.count("/") == pattern.count("/") and fnmatch.fnmatchcase(head, pattern)
                for head in heads
            )
        if fits:
            out = not line.startswith("!")
    return out


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The folder `/app` of an image, before its steps."""
    names = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    app = tmp_path / "app"
    for name in filter(None, names):
        if not left_out(name) and (ROOT / name).is_file():
            (app / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, app / name)
    return app


def asked(app: Path, *words: str) -> str:
    """What a command says in that folder, with the packages of this environment."""
    ended = subprocess.run(
        [sys.executable, *words],
        cwd=app,
        env={"PATH": os.environ["PATH"], "HOMEROOM_VAR": str(app.parent / "state"), "HOME": "/tmp"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    return ended.stdout.strip()


VERSION = ("-c", "from common.commit import git_commit; print(git_commit())")


@pytest.mark.parametrize("name", NEVER)
def test_no_secret_and_no_state_of_a_checkout_goes_into_an_image(name: str) -> None:
    assert left_out(name)


def test_what_goes_into_an_image_is_all_a_night_needs(image: Path) -> None:
    """Every command loads and dbt finds all its models, macros and tests."""
    for room in ("operations", "ingestion", "reverse_etl"):
        asked(image, "-m", room, "--help")
    project = (image / "dbt_project.yml").read_text(encoding="utf-8")
    folders = ", ".join(re.findall(r"-paths: \[([^\]]+)\]", project)).split(", ")
    assert len(folders) >= 4
    for folder in folders:
        whole = sum(path.is_file() for path in (ROOT / folder).rglob("*.sql"))
        assert sum(path.is_file() for path in (image / folder).rglob("*.sql")) == whole, folder
    assert len(asked(image, "-m", "operations", "audit").splitlines()) > 5
    assert "03:00" in asked(image, "-m", "operations", "install", "--show", "cron")


def test_without_git_the_code_still_has_a_version_that_changes_with_it(image: Path) -> None:
    without = asked(image, *VERSION)
    assert re.fullmatch("files~[0-9a-f]{12}", without)
    subprocess.run(["git", "init", "-q", str(image.parent)], check=True)
    assert asked(image, *VERSION) == without, "a repository around it is not its own"
    rule = image / "seeds" / "absence_policy.csv"
    rule.write_text(rule.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert re.fullmatch("files~[0-9a-f]{12}", edited := asked(image, *VERSION))
    assert edited != without
    (image / "common" / "commit.txt").write_text("0" * 40 + "\n", encoding="utf-8")
    assert asked(image, *VERSION) == "0" * 40 + edited.removeprefix("files")


def test_a_source_archive_says_which_commit_it_was_made_of(tmp_path: Path) -> None:
    repository, unpacked = tmp_path / "repository", tmp_path / "unpacked"
    (repository / "common").mkdir(parents=True)
    unpacked.mkdir()
    for name in (".gitattributes", "common/commit.txt"):
        shutil.copyfile(ROOT / name, repository / name)
    git = ("git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "a")):
        subprocess.run([*git, *words], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    packed = subprocess.run([*git, "archive", "HEAD"], capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(unpacked)], input=packed, check=True)
    assert (unpacked / "common" / "commit.txt").read_text().strip() == head.stdout.strip()


def test_in_a_checkout_the_version_is_gits_and_marked_when_a_file_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "root", tmp_path.resolve)
    git = ("git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org")
    (tmp_path / "a.sql").write_text("select 1", encoding="utf-8")
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "a")):
        subprocess.run([*git, *words], check=True)
    assert re.fullmatch("[0-9a-f]{40}", commit.git_commit())
    (tmp_path / "a.sql").write_text("select 2", encoding="utf-8")
    assert re.fullmatch(r"[0-9a-f]{40}\+", commit.git_commit())
    monkeypatch.setenv("HOMEROOM_PROJECT", str(tmp_path / "own"))
    assert re.fullmatch(r"[0-9a-f]{40}\+~[0-9a-f]{12}", commit.git_commit())


def test_the_base_image_is_pinned_by_its_digest_and_nothing_is_built_without_one() -> None:
    bases = re.findall(r"^FROM (.*)", CONTAINERFILE, re.M)
    assert bases and all(re.search(r"@sha256:(\$\{DIGEST\}|[0-9a-f]{64})$", base) for base in bases)
    assert re.findall(r"^ARG DIGEST(.*)", CONTAINERFILE, re.M) == [""], "no default"


def test_the_container_file_names_what_is_there():
    text = CONTAINERFILE
    assert text.index("USER homeroom") < text.index("ENTRYPOINT")
    for command in re.findall(r'"operations", "(\w+)"', text):
        assert (
            subprocess.run(
                [sys.executable, "-m", "operations", command, "--help"],
                cwd=ROOT,
                capture_output=True,
                check=False,
            ).returncode
            == 0
        )
    assert "sh /app/deploy/image.sh /app" in text


def test_the_images_steps_are_a_script_that_installs_the_locked_packages_and_nothing_else(tmp_path):
    """The steps themselves, on a bare folder, with a Python that writes down what it is asked."""
    app, bin_ = tmp_path / "app", tmp_path / "bin"
    for folder in (app / ".venv" / "bin", app / "common", bin_):
        folder.mkdir(parents=True)
    log = tmp_path / "asked.txt"
    for program in (bin_ / "python3", app / ".venv" / "bin" / "python"):
        program.write_text(f'#!/bin/sh\necho "$@" >> {log}\n', encoding="utf-8")
        program.chmod(0o755)
    subprocess.run(
        ["sh", str(ROOT / "deploy" / "image.sh"), str(app), "f" * 40],
        check=True,
        env={"PATH": f"{bin_}:/usr/bin:/bin"},
    )
    assert log.read_text(encoding="utf-8").splitlines() == [
        "-m venv .venv",
        (
            "-m pip install -q --disable-pip-version-check --no-deps --require-hashes"
            " -r requirements.txt"
        ),
        "-m compileall -q common ingestion operations reverse_etl",
        "-m operations --help",
    ]
    assert (app / "common" / "commit.txt").read_text(encoding="utf-8") == "f" * 40 + "\n"
    assert not [path for path in app.rglob("*") if not path.stat().st_mode & 0o004]
