"""Keep the state an older Homeroom left behind, as the test of an upgrade unpacks it.

    python -m tests.older_state v0.1.0        writes tests/python/older/v0.1.0.tar.xz

In: a tag or commit of this repository. Out: the state folder of its demo (60 synthetic students,
two nights) as one archive that stands in the repository: a clone may be shallow, and a test has no
network. Run it once for every release, on the release, and keep the one of the release before; it
is never made again, for what an older program wrote cannot change.

In it: what no program makes again (archive, inbox, outbox, the newest backup with the ledger and
the documents of runs), the warehouse as it stands, and the demo's platforms without their keys.
Left out: what is a copy or made by each build (published copy, pages, dbt's and dlt's folders).
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import duckdb

from common import paths

KEPT = paths.root() / "tests" / "python" / "older"
STUDENTS, SEED = 60, 5
IN_IT = ("archive", "cursors", "demo", "inbox", "outbox", "passwords", "series")
KEYS = Path("demo", "platforms", "keys")  # made anew where there are none


def keep(commit: str) -> Path:
    """Run the demo of a commit and pack what it leaves."""
    with tempfile.TemporaryDirectory(prefix="homeroom-older-") as scratch:
        source, state = Path(scratch) / "source", Path(scratch) / "var"
        source.mkdir()
        packed = subprocess.run(
            ["git", "archive", commit], cwd=paths.root(), check=True, capture_output=True
        ).stdout
        subprocess.run(["tar", "x"], cwd=source, input=packed, check=True)
        (source / ".venv").symlink_to(Path(sys.prefix))
        demo = ["demo", "run", f"--students={STUDENTS}", f"--seed={SEED}"]
        # the night's own backup is of before its report
        for words in (demo, ["operations", "backup"]):
            subprocess.run(
                [sys.executable, "-m", *words],
                cwd=source,
                env=os.environ | {"HOMEROOM_VAR": str(state)},
                check=True,
            )
        return pack(state, KEPT / f"{commit}.tar.xz")


def pack(state: Path, to: Path) -> Path:
    """One archive of a state folder."""
    to.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="homeroom-older-") as scratch:
        warehouse = Path(scratch) / "warehouse.duckdb"
        with duckdb.connect() as connection:
            connection.execute(f"attach '{state / warehouse.name}' as old (read_only)")
            connection.execute(f"attach '{warehouse}' as new")
            connection.execute("copy from database old to new")
        newest = max((state / "backups").glob("2*Z"))
        with tarfile.open(to, "w:xz", preset=9) as packed:
            for path in [*(state / name for name in IN_IT), newest]:
                if path.exists():
                    packed.add(path, path.relative_to(state), filter=_without_keys)
            packed.add(warehouse, warehouse.name)
    return to


def _without_keys(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    inside = Path(member.name)
    return None if inside.is_relative_to(KEYS) or inside.name == "requests.jsonl" else member


def unpack(archive: Path, state: Path) -> Path:
    """A state folder as that program left it, its ledger and documents out of its own backup."""
    state.mkdir(mode=0o700, parents=True)
    with tarfile.open(archive, "r:xz") as packed:
        packed.extractall(state, filter="data")
    [backup] = (state / "backups").iterdir()
    with (
        gzip.open(backup / "ledger.duckdb.gz") as plain,
        (state / "ledger.duckdb").open("wb") as file,
    ):
        shutil.copyfileobj(plain, file)
    with tarfile.open(backup / "documents.tar.gz", "r:gz") as packed:
        packed.extractall(state, filter="data")
    return state


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("say which tag or commit: python -m tests.older_state v0.1.0")
    print(keep(sys.argv[1]))
