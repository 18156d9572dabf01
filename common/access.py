"""Access: who may read what. State is for the user of the nights alone; what is made to be read is
for a group of the machine, where the district names one.

In: the verb, the modes of the state folder and of the files that hold secrets, `[access]` of the
settings. Out: a umask that leaves nothing to others, whatever the caller's was; a refusal with the
command that mends it; the modes of the published copy and of the pages.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from common import paths, settings
from common.settings import Section, Text

# Verbs that only read, and only what is made to be read when the rest is closed to their caller.
READ = ("explain", "audit", "status", "show", "passwords")
SECRET_FILES = ("key_file", "credentials", "certificate")  # settings that name a file with a key
OTHERS = 0o077


NOBODY = 0xFFFFFFFF  # the kernel's user of a process that no log-in began


class TooOpenError(paths.NotOursError):
    """Others may read what they must not; the message says what, and what to type."""


class NoSuchGroupError(settings.SettingsError):
    """A group of [access] cannot be given anything; the message says what to type."""


class Access(Section):
    """[access]: groups of this machine that may read what is made to be read."""

    published: Text = ""
    """Who may read the published copy, and so run `explain`, `audit`, `status` and `show`."""
    pages: Text = ""
    """Who may read the pages and the metrics: the group of the district's web server."""


def typed_by() -> str:
    """Who types this, for the record: the user of the system, and who logged in or said `sudo` to
    be it. No word of the environment that anybody could type: `USER` is not asked, and `SUDO_USER`
    only stands beside the user that is.
    """
    me, behind = paths.name_of(os.getuid()), _behind()
    return f"{behind} (as {me})" if behind and behind != me else me


def _behind() -> str:
    try:  # set once, at log-in, by who may; https://man7.org/linux/man-pages/man8/pam_loginuid.8.html
        login = int(Path("/proc/self/loginuid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        login = NOBODY
    if login != NOBODY:
        return paths.name_of(login)
    by_sudo = os.environ.get("SUDO_USER", "")
    try:
        return pwd.getpwnam(by_sudo).pw_name if by_sudo else ""
    except KeyError:
        return ""


def private() -> None:
    """From now on, what this process and its children write is for its own user alone."""
    os.umask(OTHERS)


def begin(verb: str) -> None:
    """Before a verb does anything. Raises NotOursError, TooOpenError."""
    private()
    if verb in READ:
        paths.within_reach()
        return
    paths.ours()
    if verb != "check":  # which says it as a line of its own
        closed()


def closed() -> None:
    """Nobody else may read the state folder or a file of secrets. Raises TooOpenError."""
    if wrong := [*_open_state(), *_open_secrets()]:
        raise TooOpenError("; ".join(wrong))


def _open_state() -> Iterator[str]:
    folder, mode = paths.var(), stat.S_IMODE(paths.var().stat().st_mode)
    if not mode & OTHERS:
        return
    let_in = [place for place, group in _made_to_be_read() if group]
    if mode & OTHERS & ~_through():
        yield (f"{folder} holds people's records and others can read it: chmod -R go-rwx {folder}")
    else:
        for path in sorted(folder.iterdir()):
            if path not in let_in and not path.is_symlink() and path.stat().st_mode & OTHERS:
                yield f"{path} can be read by others: chmod -R go-rwx {path}"


def _open_secrets() -> Iterator[str]:
    nights = paths.var().stat().st_uid
    for path in (settings.home() / ".dlt" / "secrets.toml", *_secret_files()):
        try:
            found = path.stat()
        except OSError:  # not there, or not for us: whoever needs it says so
            continue
        mode = stat.S_IMODE(found.st_mode) & OTHERS
        if found.st_uid != nights:  # root's, and read through a group
            mode &= ~stat.S_IRGRP
        if mode:
            yield f"{path} holds a secret and others can read it: chmod go-rwx {path}"


def _secret_files() -> list[Path]:
    """Every file with a key that the settings name."""

    def named(table: Mapping[str, Any]) -> Iterator[str]:
        for key, value in table.items():
            if isinstance(value, Mapping):
                yield from named(value)
            elif key in SECRET_FILES and isinstance(value, str) and value:
                yield value

    try:
        return [settings.home() / name for name in sorted(set(named(settings.everything())))]
    except settings.SettingsError:  # said by whoever reads them
        return []


# ---------------------------------------------------------------- letting a group in


def share() -> None:
    """Give what is made to be read its group and modes, or close it where no group is named.
    Raises NoSuchGroupError, and OSError.
    """
    published, pages = _groups()
    for place, group in _made_to_be_read():
        for path in (place, *place.rglob("*")):
            if path.exists() and not path.is_symlink():
                _give(path, group)
    folder = paths.var()
    mode = 0o700 | _through()
    if stat.S_IMODE(folder.stat().st_mode) & OTHERS or mode != 0o700:
        if len({published, pages} - {""}) == 1:
            os.chown(folder, -1, _number(published or pages))
        folder.chmod(mode)


def _made_to_be_read() -> tuple[tuple[Path, str], ...]:
    """What is made to be read, and the group of each; '' for none."""
    published, pages = _groups()
    return ((paths.published().parent, published), (paths.pages(), pages), (paths.metrics(), pages))


def _give(path: Path, group: str) -> None:
    if group:
        os.chown(path, -1, _number(group))
    mode = stat.S_IMODE(path.stat().st_mode) & 0o700
    path.chmod(mode | (mode & 0o500) >> 3 if group else mode)


def _groups() -> tuple[str, str]:
    given, _ = settings.read_what_can_be(Access, "access")  # what is wrong in it is for check
    return given.published, given.pages


def _through() -> int:
    """How the state folder lets its readers pass, and list nothing: its group, where one group is
    named; everybody, where two are.
    """
    return (0, stat.S_IXGRP, stat.S_IXGRP | stat.S_IXOTH)[len({*_groups()} - {""})]


def _number(group: str) -> int:
    """A group by name, which whoever runs this may give to files. Raises NoSuchGroupError."""
    me = paths.name_of(os.geteuid())
    try:
        number = grp.getgrnam(group).gr_gid
    except KeyError:
        raise NoSuchGroupError(
            f"[access] names the group {group!r}, which this machine has not: sudo groupadd {group}"
        ) from None
    if os.geteuid() and number not in (os.getegid(), *os.getgroups()):
        raise NoSuchGroupError(
            f"[access] names the group {group}, and {me} is not in it, so cannot give it anything:"
            f" sudo usermod -aG {group} {me}"
        )
    return number


def check() -> str:
    """For a line of `make check`. Raises TooOpenError, SettingsError."""
    closed()
    given = settings.read(Access, "access")
    for group in filter(None, (given.published, given.pages)):
        _number(group)
    return (
        f"state is for {paths.name_of(paths.var().stat().st_uid)} alone; the published copy for"
        f" {given.published or 'nobody else'}, the pages for {given.pages or 'nobody else'}"
    )
