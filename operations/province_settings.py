"""Who is in a province, and what each district's night is given: `province.toml`.

In: the folder that holds it. Out: the budget and the districts, or a sentence for everything nobody
can follow; and the environment of one district's night, made from nothing but what every program
needs and the district's own file.
"""

from __future__ import annotations

import os
import pwd
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from common import database, paths
from common.settings import Count, Number, Section, SettingsError, Some, Text, Texts, parse

FILE = "province.toml"
EVERY_PROGRAM = (  # what a night is given of the operator's own environment, and nothing else
    *("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"),
)
UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


class ProvinceError(SettingsError):
    """A province that cannot be followed; the message says where and what it should look like."""


def _size(text: str) -> str:
    if not database.SIZE.fullmatch(text):
        raise ValueError("write it as 4GB or 512MB")
    return text


Size = Annotated[Text, AfterValidator(_size)]


class Province(Section):
    """[province]: the budget of all nights together."""

    cores: Count = 0
    """How many cores the nights may use; 0: all there are."""
    memory: Size = "4GB"
    """How much memory they may hold."""
    hours: Annotated[Number, Field(gt=0)] = 6.0
    """A night that takes longer is ended; the next one goes on where it was."""


class Member(Section):
    """[[districts]]: one district of the province."""

    name: Annotated[Text, Field(pattern=r"^[a-z0-9_]+$")]
    """What it is called, on the page and in the view: small letters, digits and _."""
    folder: Text
    """Its own folder, seen from the province's."""
    environment: Text = ""
    """A file of NAME=value lines, its secrets: readable by nobody else."""
    user: Text = ""
    """The user of this machine its nights run as; "": whoever runs the province."""
    cores: Some = 1
    """How many cores its night is given."""
    memory: Size = "1GB"
    """How much memory its night is planned with; half of it is its database's."""
    tenants: Texts = ()
    """Tenants it shares with other districts, whose nights then take turns."""


def bytes_of(size: str) -> int:
    """`512MB` as a number."""
    found = database.SIZE.fullmatch(size)
    unit = size.strip()[-3:].upper() if size.strip().upper().endswith("IB") else size.strip()[-2:]
    assert found is not None
    return int(float(size.strip()[: -len(unit)]) * UNITS[unit.upper()])


def enter(folder: str) -> Path:
    """Work in a province's folder: its alerts are those of `.dlt/config.toml` there, its state is
    in `var/`. Raises ProvinceError.
    """
    home = (paths.root() / Path(folder).expanduser()).resolve()
    if not folder or not (home / FILE).is_file():
        raise ProvinceError(
            f"there is no {FILE} in {home if folder else 'a folder you named'}: type it as make"
            " province PROVINCE=../bc (docs/province.md shows one)"
        )
    os.environ.pop("HOMEROOM_DISTRICT", None)
    os.environ["HOMEROOM_PROJECT"] = str(home)
    os.environ["HOMEROOM_VAR"] = str(home / "var")
    return home


def read(home: Path) -> tuple[Province, list[Member]]:
    """The budget and the districts. Raises ProvinceError with all that is wrong."""
    try:
        written = tomllib.loads((home / FILE).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProvinceError(f"{home / FILE}: {error}") from None
    wrong = [
        f"{FILE}: [{name}] is no table of it; they are [province] and [[districts]]"
        for name in written
        if name not in ("province", "districts")
    ]
    made: list[Any] = []
    listed = written.get("districts", [])
    tables = [(Province, written.get("province", {}), ("province",))]
    tables += [
        (Member, one, ("districts", str(one.get("name") or number)))
        for number, one in enumerate(listed if isinstance(listed, list) else [], 1)
    ]
    for model, table, place in tables:
        try:
            made.append(parse(model, table, place, lambda _: f"{FILE}: "))
        except SettingsError as error:
            wrong += error.wrong
    if wrong:
        raise ProvinceError(*wrong)
    budget, *members = made
    if not members:
        raise ProvinceError(f"{FILE} names no district: give each a table headed [[districts]]")
    for what in ("name", "folder"):
        said = [
            str((home / one.folder).resolve()) if what == "folder" else one.name for one in members
        ]
        wrong += [
            f"{FILE}: two districts have the {what} {one}; each is a district of its own"
            for one in dict.fromkeys(said)
            if said.count(one) > 1
        ]
    cores = budget.cores or os.cpu_count() or 1
    for one in members:
        if one.cores > cores or bytes_of(one.memory) > bytes_of(budget.memory):
            wrong.append(
                f"{FILE}: {one.name} asks for {one.cores} cores and {one.memory}, of a province's"
                f" {cores} and {budget.memory}; its night would never begin"
            )
    if wrong:
        raise ProvinceError(*wrong)
    return budget, members


def environment(member: Member, home: Path) -> dict[str, str]:
    """All a district's night is given of the world. Raises ProvinceError where its file may be
    read by others or is none.
    """
    given = {name: os.environ[name] for name in EVERY_PROGRAM if name in os.environ}
    if member.environment:
        file = home / member.environment
        try:
            mode, lines = file.stat().st_mode, file.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ProvinceError(f"{file}: {error.strerror}") from None
        if mode & 0o077:
            raise ProvinceError(f"{file} holds secrets and others can read it: chmod go= {file}")
        for number, line in enumerate(lines, 1):
            name, has, value = line.partition("=")
            if line.strip() and not line.startswith("#"):
                if not has or not name.strip().isidentifier():
                    raise ProvinceError(f"{file}, line {number}: it is no NAME=value")
                given[name.strip()] = value.strip()
    folder = (home / member.folder).resolve()
    if not (folder / ".dlt" / "config.toml").is_file():
        raise ProvinceError(
            f"{folder} is no district's folder: make init-district DISTRICT={folder}"
        )
    return given | {
        "HOMEROOM_DISTRICT": str(folder),
        "HOMEROOM_VAR": str(folder / "var"),
        "HOMEROOM_MEMORY": f"{max(1, bytes_of(member.memory) // 2 // 10**6)}MB",
        "HOME": _home_of(member.user) if member.user else os.environ.get("HOME", "/"),
    }


def _home_of(user: str) -> str:
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        raise ProvinceError(f"there is no user {user} on this machine") from None
    if os.geteuid() not in (0, found.pw_uid):
        raise ProvinceError(
            f"its nights run as {user}, which {paths.name_of(os.geteuid())} may not become: run the"
            " province as root, or as one user for all"
        )
    return found.pw_dir
