"""Which code this is: git's commit; the one a source archive or an image was made of; or what the
files themselves say.

In: the checkout; `commit.txt` beside this file, where `git archive` and `deploy/image.sh` write the
commit. Out: one word that changes whenever code, models or seeds do.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from functools import cache
from pathlib import Path

from common import paths

ROOMS = ("common", "ingestion", "reverse_etl", "operations", "macros", "models", "seeds")
KINDS = (".py", ".sql", ".csv", ".yml", ".md", ".html")


def git_commit() -> str:
    """The commit of the models and code in use, with `+` behind it when files differ from it.
    Without git, the commit they were shipped as and `~` with a mark of the files as they are now;
    `files~` with that mark when nobody wrote the commit down. A project of somebody's own adds
    its mark.
    """
    own = "" if paths.project() == paths.root() else f"~{_mark(paths.project())}"
    return _of_the_house() + own


def _of_the_house() -> str:
    try:
        if Path(_git("rev-parse", "--show-toplevel")).resolve() == paths.root():
            edited = _git("status", "--porcelain", "--untracked-files=no")
            return _git("rev-parse", "HEAD") + ("+" if edited else "")
    except (OSError, subprocess.SubprocessError):
        pass
    file = paths.root() / "common" / "commit.txt"
    shipped = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
    known = re.fullmatch("[0-9a-f]{40,64}", shipped)
    return f"{shipped if known else 'files'}~{_mark(paths.root())}"


def _git(*words: str) -> str:
    # a service reads a checkout that belongs to somebody else
    safe = ("-c", f"safe.directory={paths.root()}")
    return subprocess.run(
        ["git", *safe, *words],
        cwd=paths.root(),
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    ).stdout.strip()


@cache
def _mark(root: Path) -> str:
    """Twelve digits that are others when any file of the rooms is."""
    found = hashlib.sha256()
    for room in ROOMS:
        for path in sorted((root / room).rglob("*")):
            if path.suffix in KINDS and path.is_file():
                found.update(f"{path.relative_to(root)}\0".encode())
                found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:12]
