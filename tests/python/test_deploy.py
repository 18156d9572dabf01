"""The page about servers, typed as it stands: from a fresh machine to a scheduled night in under
ten commands.

What needs root or another machine has a stand-in: `sudo`, `useradd` and `systemctl` are small
programs that write down what they are asked, the address of the repository is this checkout,
folders of the system lie in a folder of the test. Everything else is the real thing: clone, checks,
a first night against emulated platforms, units that systemd is asked about. And as on many a first
night one feed is missing: whoever does not need it is served all the same.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from conftest import ROOT, District, equal_to_exports

from demo import extracts, hr
from demo.platforms import running

STAND_INS = {
    "sudo": 'if [ "$1" = -u ]; then shift 2; fi\nexec "$@"',
    "useradd": 'echo "useradd $*" >> "$ASKED"',
    "systemctl": 'echo "systemctl $*" >> "$ASKED"',
    "install": (  # this machine has no user homeroom: without -o and -g
        'shift 4\nexec /usr/bin/install "$@"'
    ),
}


def commands() -> list[str]:
    """The first block of the page, a command a line."""
    return re.findall(
        r"```sh\n(.*?)```", (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8"), re.S
    )[0].splitlines()


def secrets(environment: dict[str, str]) -> str:
    """What the emulated platforms want to be told, as a district writes it."""
    tables: dict[str, list[str]] = {}
    for name, value in environment.items():
        if "__" in name:
            *table, key = name.lower().split("__")
            written = (
                value if value in ("true", "false") or value.isdecimal() else json.dumps(value)
            )
            tables.setdefault(".".join(table), []).append(f"{key} = {written}")
    return (
        "\n".join(f"[{table}]\n" + "\n".join(lines) for table, lines in sorted(tables.items()))
        + "\n"
    )


def test_a_fresh_machine_is_brought_to_a_scheduled_night_by_the_commands_of_the_page(
    tmp_path: Path,
) -> None:
    typed = commands()
    assert len([part for line in typed for part in line.split(" && ")]) <= 10
    bin_, state, asked = tmp_path / "bin", tmp_path / "state", tmp_path / "asked.txt"
    bin_.mkdir()
    for name, does in STAND_INS.items():
        (bin_ / name).write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
        (bin_ / name).chmod(0o755)
    folder = state / "demo"
    folder.mkdir(parents=True, mode=0o700)
    extracts.write_day(folder / "extracts", students=60, seed=3, day=0)
    hr.write_day(folder / "hr.sqlite", students=60, seed=3, day=0)
    with running(folder) as platforms:
        (tmp_path / "my-secrets.toml").write_text(secrets(platforms.environment), encoding="utf-8")
        more = {name: value for name, value in platforms.environment.items() if "__" not in name}
        environment = (
            {
                name: value
                for name, value in os.environ.items()
                if "__" not in name and not name.startswith("HOMEROOM_")
            }
            | more
            | {
                "PATH": f"{bin_}:{os.environ['PATH']}",
                "ASKED": str(asked),
                "HOMEROOM_AS_OF": "2026-10-05",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"url.{ROOT}.insteadOf",
                "GIT_CONFIG_VALUE_0": "https://example.org/homeroom.git",
            }
        )
        here = tmp_path
        replaced = {
            "/opt/homeroom": str(tmp_path / "opt"),
            "/var/lib/homeroom": str(state),
            "my-secrets.toml": str(tmp_path / "my-secrets.toml"),
            "AS=homeroom": f"AS={Path.home().owner()} TO={tmp_path / 'units'}",
        }
        for line in typed:
            for real, here_instead in replaced.items():
                line = line.replace(real, here_instead)
            if "nightly --allow" in line:
                (folder / "extracts" / "ParentInformation.csv").unlink()
            ended = subprocess.run(
                ["sh", "-c", f"{line} && pwd > '{tmp_path}/here'"],
                cwd=here,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=600,
            )
            assert ended.returncode == (3 if "nightly --allow" in line else 0), (
                f"{line}\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"
            )
            here = Path((tmp_path / "here").read_text(encoding="utf-8").strip())
            if (
                "git clone" in line
                # that set-up makes an environment is what this suite shows on a clean clone; here it is  # noqa: E501
                # this one
            ):
                here.joinpath(".venv").symlink_to(ROOT / ".venv")
                os.utime(here / "requirements.txt", (0, 0))
    assert (tmp_path / "opt" / ".dlt" / "secrets.toml").stat().st_mode & 0o777 == 0o600
    equal_to_exports(District(state))
    units = sorted(path.name for path in (tmp_path / "units").iterdir())
    assert units == ["homeroom-nightly.service", "homeroom-nightly.timer"]
    assert f"HOMEROOM_VAR={state}" in (tmp_path / "units" / "homeroom-nightly.service").read_text(
        encoding="utf-8"
    )
    said = asked.read_text(encoding="utf-8").splitlines()
    assert [line.split()[0] for line in said] == ["useradd", "systemctl", "systemctl"]
    assert said[1:] == ["systemctl daemon-reload", "systemctl enable --now homeroom-nightly.timer"]
