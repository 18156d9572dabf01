"""What is shipped is the commit, said with its parts and its hashes, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from conftest import ROOT

from common import versions
from scripts import dist

NAME = f"homeroom-{versions.PROGRAM}"


def git(root: Path, *words: str) -> str:
    who = ("-c", "user.name=T", "-c", "user.email=t@example.com")
    ended = subprocess.run(
        ["git", *who, *words], cwd=root, check=True, capture_output=True, text=True
    )
    return ended.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A commit with what a release is read from."""
    root = tmp_path / "checkout"
    for path in (
        "pyproject.toml",
        "CHANGELOG.md",
        "requirements.txt",
        ".gitignore",
        ".gitattributes",
        "common/commit.txt",
        "deploy/Containerfile",
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, root / path)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "all")
    return root


def test_a_release_is_the_commit_its_parts_and_their_hashes(repository: Path) -> None:
    assert dist.main(repository) == 0
    made = repository / "dist"
    assert {path.name for path in made.iterdir()} == {
        f"{NAME}.tar.gz",
        f"{NAME}.cdx.json",
        f"{NAME}.image.sh",
        "SHA256SUMS",
    }
    subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=made, check=True)
    with tarfile.open(made / f"{NAME}.tar.gz") as archive:
        inside = {one.name.removeprefix(f"{NAME}/") for one in archive if one.isfile()}
        commit = archive.extractfile(f"{NAME}/common/commit.txt")
        assert commit and commit.read().decode().strip() == git(repository, "rev-parse", "HEAD")
    assert inside == set(git(repository, "ls-files").splitlines())
    first = {path.name: path.read_bytes() for path in made.iterdir()}
    assert dist.main(repository) == 0
    assert {path.name: path.read_bytes() for path in made.iterdir()} == first


def test_the_list_names_every_locked_package_with_its_version_and_hashes() -> None:
    parts = dist.parts_list(ROOT, "1")["components"]
    locked = (ROOT / "requirements.txt").read_text("utf-8")
    assert [f"{one['name']}=={one['version']}" for one in parts] == [
        line.split()[0] for line in locked.splitlines() if re.match(r"[A-Za-z0-9]", line)
    ]
    hashes = [one["content"] for part in parts for one in part["hashes"]]
    assert hashes == re.findall(r"sha256:(\w+)", locked)
    assert json.dumps(parts).count("pkg:pypi/duckdb@") == 2  # its purl is its reference


@pytest.mark.parametrize(
    ("path", "then", "said"),
    [
        ("CHANGELOG.md", "# Changelog\n\n## 9.9.9\n", "CHANGELOG.md 9.9.9"),
        ("pyproject.toml", '[project]\nversion = "9.9.9"\n', "pyproject.toml 9.9.9"),
    ],
)
def test_a_version_said_differently_is_no_release(
    repository: Path, capsys: pytest.CaptureFixture[str], path: str, then: str, said: str
) -> None:
    (repository / path).write_text(then, "utf-8")
    git(repository, "commit", "-qam", "another")
    assert dist.main(repository) == 2
    told = capsys.readouterr().err
    assert "the version is said differently" in told and said in told
    assert not (repository / "dist").exists()


def test_what_differs_from_the_commit_is_not_shipped(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "deploy" / "stray.txt").write_text("x", "utf-8")
    assert dist.main(repository) == 2
    assert "deploy/stray.txt" in capsys.readouterr().err


def test_one_version_is_said_here() -> None:
    assert dist._version(ROOT) == versions.PROGRAM
