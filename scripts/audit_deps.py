"""Audit the locked packages: which known vulnerabilities have the versions a night and the tests
run on?

In: the lock files; the advisories of the package registry, asked by pip-audit, which gets an
environment of its own. Out: a line per vulnerability. Exit 0 only when every package was answered
for and none has any; 1 when some have; 3 when the registry did not answer for all, which is no
good news.

Run with `make audit-deps`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TOOL = "pip-audit==2.10.1"
LOCKS = ("requirements.txt", "requirements-dev.txt")
SHOWN = 5  # packages named of those without an answer


def main() -> int:
    """Ask, and say what came of it; the exit code."""
    try:
        answer = asked(_tool(ROOT / ".venv" / "audit"))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        print(
            f"audit-deps: the advisories could not be asked ({type(error).__name__}): this says"
            " nothing about the locked versions; try again where the package registry can be"
            " reached",
            file=sys.stderr,
        )
        return 3
    return told(answer)


def asked(program: Path) -> dict[str, Any]:
    """What pip-audit says of the lock files, as JSON. Raises ValueError where it says nothing."""
    locks = [word for lock in LOCKS for word in ("-r", str(ROOT / lock))]
    options = ("--require-hashes", "--disable-pip", "--format=json", "--progress-spinner=off")
    ended = subprocess.run(
        [str(program), *options, *locks], capture_output=True, text=True, check=False, timeout=900
    )
    return dict(json.loads(ended.stdout))


def told(answer: dict[str, Any]) -> int:
    """Print what the advisories say; the exit code. A package nobody answered for is not clean."""
    packages = {one["name"]: one for one in answer["dependencies"]}
    silent = sorted(name for name, one in packages.items() if "skip_reason" in one)
    known = {name: one for name, one in packages.items() if one.get("vulns")}
    for name, one in sorted(known.items()):
        for advisory in one["vulns"]:
            better = ", ".join(advisory["fix_versions"]) or "no version yet"
            print(f"audit-deps: {name} {one['version']}: {advisory['id']}; mended in {better}")
    if silent or not packages:
        some = ", ".join(silent[:SHOWN]) + (" …" if len(silent) > SHOWN else "")
        print(
            f"audit-deps: the registry answered for {len(packages) - len(silent)} of"
            f" {len(packages)} packages ({some or 'none was asked'} without an answer): this says"
            " nothing about the others; try again where the package registry can be reached",
            file=sys.stderr,
        )
    elif not known:
        print(f"audit-deps: none of {len(packages)} locked packages has a known vulnerability")
    return 1 if known else 3 if silent or not packages else 0


def _tool(folder: Path) -> Path:
    program = folder / "bin" / "pip-audit"
    if not program.is_file():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=300)
        words = ("-m", "pip", "install", "-q", "--disable-pip-version-check", TOOL)
        subprocess.run(
            [str(folder / "bin" / "python"), *words], check=True, capture_output=True, timeout=600
        )
    return program


if __name__ == "__main__":
    sys.exit(main())
