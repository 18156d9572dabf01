"""Dist: what is shipped, from the commit that is checked out and nothing else.

In: git, the lock files, `deploy/`. Out, in `dist/`:

- `homeroom-<version>.tar.gz`: the source, as git has it, with its commit in `common/commit.txt`;
  equal commits give equal bytes,
- `homeroom-<version>.cdx.json`: every locked package with its version and hashes (CycloneDX 1.5),
- `homeroom-<version>.image.sh`: the commands that make the image of that source,
- `SHA256SUMS`: of the three, for `sha256sum -c`.

Run with `make dist`. Exit 2 where the version is said differently in two places, or where files
differ from the commit.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from common import paths, versions
from common.files import replacing

PACKAGE = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+?)(?: ; (?P<where>[^\\\n]+?))? \\\n"
    r"(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)",
    re.M,
)
IMAGE = """#!/bin/sh
# The image of Homeroom {version}, from the archive beside this file.
set -eu
cd "$(dirname "$0")"
sha256sum -c SHA256SUMS
tar -xzf homeroom-{version}.tar.gz
base=docker.io/library/python:3.11-slim
podman pull "$base"
digest=$(podman image inspect --format '{{{{.Digest}}}}' "$base" | cut -d: -f2)
podman build -t homeroom:{version} -f homeroom-{version}/deploy/Containerfile \\
  --build-arg COMMIT={commit} --build-arg DIGEST="$digest" homeroom-{version}
"""


class NotReadyError(Exception):
    """This is no release; the message says why."""


def main(root: Path | None = None) -> int:
    """Write what is shipped; the exit code."""
    root = root or paths.root()
    try:
        for path in made(root):
            print(path.relative_to(root))
    except NotReadyError as error:
        print(f"dist: {error}", file=sys.stderr)
        return 2
    return 0


def made(root: Path) -> list[Path]:
    """The files of a release, written whole. Raises NotReadyError."""
    version = _version(root)
    if edited := _git(root, "status", "--porcelain").decode().strip():
        raise NotReadyError(f"these files differ from the commit; commit or remove them:\n{edited}")
    commit = _git(root, "rev-parse", "HEAD").decode().strip()
    name, folder = f"homeroom-{version}", root / "dist"
    folder.mkdir(exist_ok=True)
    tar = _git(root, "archive", "--format=tar", f"--prefix={name}/", "HEAD")
    parts = {
        f"{name}.tar.gz": gzip.compress(tar, mtime=0),
        f"{name}.cdx.json": json.dumps(parts_list(root, version), indent=1).encode() + b"\n",
        f"{name}.image.sh": IMAGE.format(version=version, commit=commit).encode(),
    }
    sums = "".join(f"{hashlib.sha256(said).hexdigest()}  {file}\n" for file, said in parts.items())
    for file, said in (parts | {"SHA256SUMS": sums.encode()}).items():
        with replacing(folder / file) as out:
            out.write(said)
    return [folder / file for file in (*parts, "SHA256SUMS")]


def parts_list(root: Path, version: str) -> dict[str, Any]:
    """Every package a night is installed with. It is a flat list, so it is written here: a library
    for it would be six more packages.
    """
    found = PACKAGE.finditer((root / "requirements.txt").read_text("utf-8"))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "homeroom",
                "version": version,
                "bom-ref": "homeroom",
            }
        },
        "components": [
            {
                "type": "library",
                "name": one["name"],
                "version": one["version"],
                "purl": (purl := f"pkg:pypi/{one['name'].lower()}@{one['version']}"),
                "bom-ref": purl,
                "hashes": [
                    {"alg": "SHA-256", "content": content}
                    for content in re.findall(r"sha256:([0-9a-f]{64})", one["hashes"])
                ],
                **(
                    {"properties": [{"name": "homeroom:where", "value": one["where"]}]}
                    if one["where"]
                    else {}
                ),
            }
            for one in found
        ],
    }


def _version(root: Path) -> str:
    """`common/versions.py` says it; what else names one says the same."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    changes = re.search(r"^## (\S+)", (root / "CHANGELOG.md").read_text("utf-8"), re.M)
    said = {
        "common/versions.py": versions.PROGRAM,
        "pyproject.toml": project,
        "CHANGELOG.md": changes[1] if changes else "",
    }
    if len({*said.values()}) != 1:
        told = ", ".join(f"{place} {one or 'none'}" for place, one in said.items())
        raise NotReadyError(f"the version is said differently: {told}")
    return project


def _git(root: Path, *words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True).stdout


if __name__ == "__main__":
    sys.exit(main())
