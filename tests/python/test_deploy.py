"""The page about servers, typed as it stands: from a fresh machine to a scheduled night in under
ten commands.

What needs root or another machine has a stand-in: `sudo`, `useradd` and `systemctl` are small
programs that write down what they are asked, the address of the repository is this checkout,
folders of the system lie in a folder of the test. Everything else is the real thing: clone, checks,
a first night against emulated platforms, units that systemd is asked about. And as on many a first
night one feed is missing: whoever does not need it is served all the same.
"""

from __future__ import annotations

import grp
import html
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ROOT, District, equal_to_exports

from demo import extracts, hr
from demo.platforms import running

pytestmark = pytest.mark.slow

NOBODY = 65534
GROUPS = (100, 33)  # two groups of the machine the other user may be put in
CANARIES = ("Canaryson", "Zz-Canaria", "2011-11-11", "250-555-0177", "canary.parent@example.org")
COMMON = {"School", "District"}  # words of the page that are names as well


def _tried() -> str:
    """Why another user cannot be tried on this machine; '' when one can."""
    if os.geteuid() != 0:
        return "only root can try what another user of the machine can read"
    if shutil.which("setpriv") is None:
        return "this machine has no setpriv"
    given = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    python = str(ROOT / ".venv" / "bin" / "python")
    try:
        ran = subprocess.run(
            [*given, python, "-c", "import duckdb"], cwd="/", capture_output=True, check=False
        )
        [grp.getgrgid(number) for number in GROUPS]
    except (OSError, KeyError):
        return "this machine has not the groups to try it with"
    return "" if ran.returncode == 0 else "another user cannot come to this checkout's Python"


another = pytest.mark.skipif(bool(_tried()), reason=_tried() or "tried")

STAND_INS = {
    "sudo": 'if [ "$1" = -u ]; then shift 2; fi\nexec "$@"',
    "useradd": (  # Debian's makes a home everybody can read unless told otherwise
        'echo "useradd $*" >> "$ASKED"; mode=755\nfor word; do case "$word" in HOME_MODE=*)'
        ' mode=${word#HOME_MODE=} ;; /*) home=$word ;; esac; done\nmkdir -p "$home" && chmod'
        ' "$mode" "$home"'
    ),
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


@dataclass(frozen=True)
class Server:
    """A machine set up as the page says: its folders, and what was asked of the system."""

    top: Path
    state: Path
    checkout: Path
    asked: list[str]
    environment: dict[str, str]

    def as_another(self, *command: str, group: int = NOBODY) -> subprocess.CompletedProcess[str]:
        """A command typed by another user of the machine, who is in that group."""
        who = ("setpriv", f"--reuid={NOBODY}", f"--regid={group}", "--clear-groups")
        plain = {"PATH": os.environ["PATH"], "HOMEROOM_VAR": str(self.state), "COLUMNS": "100"}
        return subprocess.run(
            [*who, *command],
            cwd=self.checkout,
            env=plain | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def read_by_another(self, group: int = NOBODY) -> set[str]:
        """Every file of the state folder and every secret which that user can read, one by one."""
        files = [path for path in self.state.rglob("*") if path.is_file() and not path.is_symlink()]
        files += [self.checkout / ".dlt" / "secrets.toml", self.top / "my-secrets.toml"]
        assert len(files) > 100
        tried = self.as_another(
            "sh",
            "-c",
            'for file; do head -c 1 "$file" > /dev/null 2>&1 && echo "$file"; done; :',
            "-",
            *map(str, files),
            group=group,
        )
        assert tried.returncode == 0, tried.stderr
        return set(tried.stdout.splitlines())

    def typed(self, *words: str, **given: str) -> None:
        """A command typed by the user of the nights."""
        subprocess.run(
            [".venv/bin/python", "-m", *words],
            cwd=self.checkout,
            env=self.environment | {"HOMEROOM_VAR": str(self.state)} | given,
            capture_output=True,
            check=True,
            timeout=300,
        )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The page typed, in a folder every user of this machine can come to."""
    top = Path(tempfile.mkdtemp(prefix="homeroom-server-"))
    top.chmod(0o755)
    try:
        yield set_up(top)
    finally:
        shutil.rmtree(top)


def set_up(top: Path) -> Server:
    typed = commands()
    assert len([part for line in typed for part in line.split(" && ")]) <= 10
    bin_, state, asked = top / "bin", top / "state", top / "asked.txt"
    bin_.mkdir()
    for name, does in STAND_INS.items():
        (bin_ / name).write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
        (bin_ / name).chmod(0o755)
    folder = state / "demo"
    folder.mkdir(parents=True)
    extracts.write_day(folder / "extracts", students=60, seed=3, day=0)
    spoil(folder / "extracts")
    hr.write_day(folder / "hr.sqlite", students=60, seed=3, day=0)
    with running(folder) as platforms:
        (top / "my-secrets.toml").write_text(secrets(platforms.environment), encoding="utf-8")
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
        here = top
        replaced = {
            "/opt/homeroom": str(top / "opt"),
            "/var/lib/homeroom": str(state),
            "my-secrets.toml": str(top / "my-secrets.toml"),
            "AS=homeroom": f"AS={Path.home().owner()} TO={top / 'units'}",
        }
        for line in typed:
            for real, here_instead in replaced.items():
                line = line.replace(real, here_instead)
            if "nightly --allow" in line:
                (folder / "extracts" / "ParentInformation.csv").unlink()
            ended = subprocess.run(
                ["sh", "-c", f"{line} && pwd > '{top}/here'"],
                cwd=here,
                env=environment,
                umask=0o022,  # a machine as it comes
                capture_output=True,
                text=True,
                check=False,
                timeout=600,
            )
            assert ended.returncode == (3 if "nightly --allow" in line else 0), (
                f"{line}\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"
            )
            here = Path((top / "here").read_text(encoding="utf-8").strip())
            if "git clone" in line:
                # that set-up makes an environment is what this suite shows on a clean clone; here
                # it is this one
                here.joinpath(".venv").symlink_to(ROOT / ".venv")
                os.utime(here / "requirements.txt", (0, 0))
    said = asked.read_text(encoding="utf-8").splitlines()
    return Server(top, state, top / "opt", said, environment)


def spoil(folder: Path) -> None:
    """Lines nobody can use, of a feed no account rests on, with what must never be quoted."""
    with (folder / "EmergencyContactInformation.csv").open("a", encoding="utf-8") as file:
        file.write(",".join(f'"{word}"' for word in CANARIES) + "\r\n")
        file.write(f'"{CANARIES[0]}",,,"unclosed {CANARIES[1]}\r\n')


def test_a_fresh_machine_is_brought_to_a_scheduled_night_by_the_commands_of_the_page(
    server: Server,
) -> None:
    secret = server.checkout / ".dlt" / "secrets.toml"
    assert secret.stat().st_mode & 0o777 == 0o600
    equal_to_exports(District(server.state))
    units = sorted(path.name for path in (server.top / "units").iterdir())
    assert units == ["homeroom-nightly.service", "homeroom-nightly.timer"]
    unit = (server.top / "units" / "homeroom-nightly.service").read_text(encoding="utf-8")
    assert f"HOMEROOM_VAR={server.state}" in unit
    assert [line.split()[0] for line in server.asked] == ["useradd", "systemctl", "systemctl"]
    assert server.asked[1:] == [
        "systemctl daemon-reload",
        "systemctl enable --now homeroom-nightly.timer",
    ]


def test_whatever_a_night_wrote_is_for_its_own_user_alone(server: Server) -> None:
    """Those the emulated platforms wrote before the page was typed aside."""
    for path in (server.state, *server.state.rglob("*")):
        if server.state / "demo" not in (path, *path.parents) and not path.is_symlink():
            assert not path.stat().st_mode & 0o077, path


@another
def test_another_user_of_the_machine_tries_to_read_every_file_and_reads_none(
    server: Server,
) -> None:
    (server.top / "my-secrets.toml").chmod(0o600)  # the admin's own
    readme = server.as_another("cat", str(server.checkout / "README.md"))
    assert readme.returncode == 0, "the program itself is for everybody"
    assert server.read_by_another() == set()
    refused = server.as_another(".venv/bin/python", "-m", "operations", "status")
    assert refused.returncode == 2 and "who lets nobody else in" in refused.stderr


@another
def test_who_is_in_the_readers_group_explains_audits_and_shows_and_writes_nothing(
    server: Server,
) -> None:
    readers, web = (grp.getgrgid(number).gr_name for number in GROUPS)
    server.typed("operations", "report", ACCESS__PUBLISHED=readers, ACCESS__PAGES=web)
    try:
        before = {path: path.stat().st_mtime_ns for path in server.state.rglob("*")}
        student = District(server.state).ask(
            "select student_number from core.students order by all limit 1"
        )[0][0]
        for words, says in {
            ("operations", "explain", student): "Lifecycle",
            ("operations", "audit"): "What you can ask",
            ("operations", "audit", "1", "--set", f"person={student}"): "rows",
            ("operations", "status"): "Latest:    night of 2026-10-05",
            ("reverse_etl", "show"): "Plan ",
            ("reverse_etl", "show", "--subject", student): "Plan ",
            ("reverse_etl", "show", "--target", "google", "--format", "csv"): "google,users,create",
        }.items():
            ended = server.as_another(".venv/bin/python", "-m", *words, group=GROUPS[0])
            assert ended.returncode in (0, 2, 3) and says in ended.stdout, (words, ended)
            assert "Traceback" not in ended.stderr
        for words in (("operations", "build"), ("reverse_etl", "push"), ("ingestion",)):
            ended = server.as_another(".venv/bin/python", "-m", *words, group=GROUPS[0])
            assert "may not write there" in ended.stderr, words
        assert {path: path.stat().st_mtime_ns for path in server.state.rglob("*")} == before
        for group, folder in zip(GROUPS, ("published", "pages"), strict=True):
            read = server.read_by_another(group)
            also = {str(server.state / "metrics.prom")} if folder == "pages" else set()
            assert (
                read
                == also
                | {
                    str(path)
                    for path in (server.state / folder).rglob("*")
                    if path.is_file() and not path.is_symlink()
                }
                and read
            ), folder
        assert server.read_by_another() == set()
    finally:
        subprocess.run(["chmod", "-R", "go-rwx", str(server.state)], check=True)
        server.typed("operations", "report")
    assert server.read_by_another(GROUPS[0]) == server.read_by_another(GROUPS[1]) == set()


def test_the_folder_of_pages_holds_pages_and_pictures_and_nothing_of_anybody(
    server: Server,
) -> None:
    """Names, birth dates, phones and addresses of all the district's people, and what stood in
    lines nobody could use.
    """
    pages = [path for path in (server.state / "pages").rglob("*") if path.is_file()]
    assert {path.suffix for path in pages} <= {".html", ".svg", ".png"} and len(pages) >= 3
    district = District(server.state)
    personal = district.ask(
        "select table_name, column_name from information_schema.columns where table_schema ="
        " 'core' and data_type in ('VARCHAR', 'DATE') and regexp_matches(column_name, $1)",
        r"(^|_)(given|family|first|last|middle|legal|usual|display|birth|phone|email|street|postal)",
    )
    said = "\n".join(html.unescape(path.read_text(encoding="utf-8")) for path in pages)
    words = set(re.findall(r"\w+", said))
    held: set[str] = {*CANARIES}
    for table, column in personal:
        rows = district.ask(
            f'select distinct "{column}"::varchar from core."{table}" where "{column}" is not null'
        )
        held |= {value for (value,) in rows}
    assert len(held) > 200, "the district's people"
    days = {run["as_of"] for run in district.summaries()}
    for value in held - days:  # whole values of two words or with a digit stand nowhere by chance
        if len(value) >= 6 and (re.search(r"[\d@ ]", value) or value in CANARIES):
            assert value not in said, value
    assert not {value for value in held if len(value) > 3 and value[:1].isupper()} & words - COMMON
    assert not re.search(r"[\w.+-]+@[\w-]+\.", said)
