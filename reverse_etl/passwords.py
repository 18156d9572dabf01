"""First passwords: made, sealed, used, forgotten.

A new account needs a first password and nobody may be able to read it afterwards but its owner.
It is made here at the moment of the create, sealed with age to the owner's public key
(`[passwords] recipient`), written to `var/passwords/<run_id>.<target>.jsonl` *before* it is sent,
and kept in memory only until the create has a certain outcome. The private key lives elsewhere;
`age -d` with it opens a line. With no recipient the password is made, used and forgotten: one
then gets in by a reset or by single sign-on.

In: change id and subject. Out: the password, to the adapter only. It is never logged, journaled
or planned.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from pathlib import Path

import pyrage

from common import paths, settings
from common.settings import Section, Text

# Without characters that are mixed up on paper (0 O o, 1 l I), as first passwords are often printed
# and typed by the young.
LOWER = "abcdefghijkmnpqrstuvwxyz"
UPPER = "ABCDEFGHJKLMNPQRSTUVWXYZ"
DIGIT = "23456789"
GROUPS, LENGTH = 4, 4


class Sealing(Section):
    """[passwords]: how first passwords are kept."""

    recipient: Text = ""
    """An age public key; empty: made, used once and kept nowhere."""


class PasswordRecipientError(Exception):
    """The public key cannot be used; the message says what a right one looks like."""


def make() -> str:
    """A password like `kT7m-Wq3x-Rb9d-hP4e`: 92 bits, ASCII, all four classes that directories
    ask for.
    """
    everything = LOWER + UPPER + DIGIT
    while True:
        letters = [secrets.choice(everything) for _ in range(GROUPS * LENGTH)]
        if all(any(letter in kind for letter in letters) for kind in (LOWER, UPPER, DIGIT)):
            return "-".join(
                "".join(letters[i : i + LENGTH]) for i in range(0, len(letters), LENGTH)
            )


class Passwords:
    """The first passwords of one run and target. Thread-safe; its text form shows nothing."""

    def __init__(self, recipient: str, file: Path | None) -> None:
        """`recipient`: an age public key, '' to seal nothing; `file`: where sealed lines are
        appended.
        """
        self._recipient = None
        if recipient:
            try:
                self._recipient = pyrage.x25519.Recipient.from_str(recipient)
            except pyrage.RecipientError:
                raise PasswordRecipientError(
                    '[passwords] recipient is not an age public key ("age1…", as "age-keygen"'
                    " prints it); no account was created"
                ) from None
        self._file = file
        self._lock = threading.Lock()
        self._in_use: dict[str, str] = {}
        self._out: int | None = None

    @classmethod
    def of_run(cls, run_id: str, target: str) -> Passwords:
        """The passwords of a run as the settings want them."""
        return cls(
            settings.read(Sealing, "passwords").recipient,
            paths.var() / "passwords" / f"{run_id}.{target}.jsonl",
        )

    def issue(self, change_id: str, subject: str) -> str:
        """The password of this create: a new one, or the same again while its outcome is not
        certain.
        """
        with self._lock:
            known = self._in_use.get(change_id)
        if known is None:
            known = make()
            # Sealed before it is used: an account whose password nobody can open helps no one.
            self._seal(change_id, subject, known)
            with self._lock:
                self._in_use[change_id] = known
        return known

    def forget(self, change_id: str) -> None:
        """The create has a certain outcome: the clear text is not needed any more."""
        with self._lock:
            self._in_use.pop(change_id, None)

    def close(self) -> None:
        """Forget everything and close the file."""
        with self._lock:
            self._in_use.clear()
            if self._out is not None:
                os.close(self._out)
                self._out = None

    def __repr__(self) -> str:
        return f"Passwords(sealed={self._recipient is not None})"

    def _seal(self, change_id: str, subject: str, password: str) -> None:
        if self._recipient is None or self._file is None:
            return
        sealed = pyrage.encrypt(password.encode("ascii"), [self._recipient], armored=True).decode(
            "ascii"
        )
        line = json.dumps({"change_id": change_id, "subject": subject, "sealed": sealed}) + "\n"
        with self._lock:
            if self._out is None:
                self._out = _open_after_whole_line(self._file)
            os.write(self._out, line.encode("ascii"))
        # Outside the lock: creates that run at once then share one wait for the disk.
        os.fdatasync(self._out)


def _open_after_whole_line(file: Path) -> int:
    """Open for appending; the line a kill may have torn is ended, so that it spoils no other."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    out = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    size = os.fstat(out).st_size
    if size and os.pread(out, 1, size - 1) != b"\n":
        os.write(out, b"\n")
    return out
