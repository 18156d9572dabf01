"""First passwords: made, sealed, used, forgotten.

A new account needs a first password and nobody may be able to read it afterwards but whoever opens
it for its owner. It is made here at the moment of the create, as the recipe of its row says (seed
`password_rules`, by the column of role `password`), sealed with age to the district's public key
(`[passwords] recipient`), written to `var/passwords/<run_id>.<partition>.jsonl`, a file for each,
*before* it is sent, and kept in memory only until the create has a certain outcome. The private key
lives elsewhere; `first_sheet` opens a file with it (`make passwords`). With no recipient the
password is made, used and forgotten: one then gets in by a reset or by single sign-on.

In: change id, subject, recipe, partition, and what the opener's sheet shows. Out: the password, to
the adapter only. It is never logged, journaled or planned; a recipe is, and says nothing of it.
"""

from __future__ import annotations

import functools
import json
import math
import os
import re
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyrage

from common import paths, settings
from common.settings import Section, Text

# Without characters that are mixed up on paper (0 O o, 1 l I), as first passwords are often printed
# and typed by the young.
LOWER = "abcdefghijkmnpqrstuvwxyz"
UPPER = "ABCDEFGHJKLMNPQRSTUVWXYZ"
DIGIT = "23456789"
GROUPS, LENGTH = 4, 4

# What a rule may say: one of these words, or a pattern of `{Word}`, `{word}`, `{99}` and signs.
RANDOM, PASSPHRASE = "random", "passphrase"
FOUR_WORDS = "{Word}-{word}-{word}-{word}-{99}"
PATTERN = re.compile(r"\{(?P<of>Word|word|9{1,8})\}|(?P<sign>[-.!_+=#*])")
# What directories take (8 to 100 characters, three of four kinds), and one of at least a million
# equally likely ones: where a directory locks after ten guesses, to find one takes years.
SHORTEST, LONGEST, KINDS, BITS = 8, 100, 3, 20

FOLDER, NO_PARTITION = "passwords", "district"


class Sealing(Section):
    """[passwords]: how first passwords are kept."""

    recipient: Text = ""
    """An age public key; empty: made, used once and kept nowhere."""


class PasswordError(Exception):
    """No first password can be made; the message says why and what to mend."""


class PasswordRecipientError(PasswordError):
    """The public key cannot be used; the message says what a right one looks like."""


class PasswordRecipeError(PasswordError):
    """A recipe makes no password, or one that is easily guessed; the message says which and why."""


@functools.cache
def words() -> tuple[str, ...]:
    """Short words, easily read: each as likely as any other."""
    return tuple(Path(__file__).with_name("first_words.txt").read_text("ascii").split())


def fault(recipe: str) -> str:
    """Why a recipe makes no good password; '' where it does."""
    if recipe in {RANDOM, PASSPHRASE}:
        return ""
    parts = list(PATTERN.finditer(recipe))
    if not parts or "".join(part[0] for part in parts) != recipe:
        return (
            f"it is neither {RANDOM}, {PASSPHRASE} nor a pattern of {{Word}}, {{word}}, {{99}} and"
            " the signs - . ! _ + = # *"
        )
    spelled = [part["of"] or part["sign"] for part in parts]
    short, long = (
        sum(each(map(len, words())) if one.isalpha() else len(one) for one in spelled)
        for each in (min, max)
    )
    if short < SHORTEST or long > LONGEST:
        return f"its passwords have {short} to {long} characters; {SHORTEST} to {LONGEST} are taken"
    # capitals, small letters, digits, signs
    kinds = ("Word" in spelled, "ord}" in recipe, "9" in recipe, any(p["sign"] for p in parts))
    if sum(kinds) < KINDS:
        return "it has less than three of capitals, small letters, digits and signs"
    bits = sum(
        math.log2(len(words())) if one.isalpha() else len(one) * math.log2(len(DIGIT))
        for one in spelled
        if one.isalpha() or one[0] == "9"
    )
    if bits < BITS:
        return f"it is guessed too easily: 1 of {2**bits:,.0f}, and 1 of {2**BITS:,} is the least"
    return ""


def make(recipe: str = RANDOM) -> str:
    """A password by a recipe. Raises PasswordRecipeError."""
    if why := fault(recipe):
        raise PasswordRecipeError(
            f"the first password would be made by {recipe!r}: {why}; mend the row of"
            " seeds/password_rules.csv; no account was created"
        )
    if recipe == RANDOM:
        return _random()
    return PATTERN.sub(_drawn, FOUR_WORDS if recipe == PASSPHRASE else recipe)


def _drawn(part: re.Match[str]) -> str:
    match part["of"]:
        case None:
            return part[0]
        case "Word":
            return secrets.choice(words()).capitalize()
        case "word":
            return secrets.choice(words())
        case digits:
            return "".join(secrets.choice(DIGIT) for _ in digits)


def _random() -> str:
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


def file_name(partition: str) -> str:
    """A partition as a part of a file's name; which it is, each line says inside."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", partition) or NO_PARTITION


class Passwords:
    """The first passwords of one run and target. Thread-safe; its text form shows nothing."""

    def __init__(self, recipient: str, folder: Path | None, run_id: str, target: str) -> None:
        """`recipient`: an age public key, '' to seal nothing; `folder`: where the files with the
        sealed lines are.
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
        self._folder, self._run_id, self._target = folder, run_id, target
        self._lock = threading.Lock()
        self._in_use: dict[str, tuple[str, str]] = {}  # change -> password, partition
        self._out: dict[str, int] = {}  # partition -> its open file

    @classmethod
    def of_run(cls, run_id: str, target: str) -> Passwords:
        """The passwords of a run as the settings want them."""
        return cls(
            settings.read(Sealing, "passwords").recipient, paths.var() / FOLDER, run_id, target
        )

    def issue(
        self,
        change_id: str,
        subject: str,
        recipe: str | None = None,
        partition: str | None = None,
        shown: Mapping[str, Any] | None = None,
    ) -> str:
        """The password of this create: a new one, or the same again while its outcome is not
        certain. `shown` is sealed with it, for the sheet of whoever hands it out. Raises
        PasswordError.
        """
        with self._lock:
            known = self._in_use.get(change_id)
        if known is None:
            known = make(recipe or RANDOM), partition or ""
            said = {"password": known[0], "shown": {**(shown or {})}}
            # Sealed before it is used: an account whose password nobody can open helps no one.
            self._seal(change_id, subject, known[1], said)
            with self._lock:
                self._in_use[change_id] = known
        return known[0]

    def forget(self, change_id: str, *, used: bool = True) -> None:
        """The create has a certain outcome: the clear text is not needed any more. Of one that was
        not `used` no account was made, and the file says so.
        """
        with self._lock:
            known = self._in_use.pop(change_id, None)
        if known and not used and self._recipient:
            self._write(known[1], {"change_id": change_id, "target": self._target, "unused": True})

    def close(self) -> None:
        """Forget everything and close the files."""
        with self._lock:
            self._in_use.clear()
            for out in self._out.values():
                os.close(out)
            self._out.clear()

    def __repr__(self) -> str:
        return f"Passwords(sealed={self._recipient is not None})"

    def _seal(self, change_id: str, subject: str, partition: str, said: Mapping[str, Any]) -> None:
        if self._recipient is None:
            return
        clear = json.dumps({**said, "partition": partition}, ensure_ascii=False).encode()
        sealed = pyrage.encrypt(clear, [self._recipient], armored=True).decode("ascii")
        line = {"change_id": change_id, "target": self._target, "subject": subject}
        self._write(partition, {**line, "sealed": sealed})

    def _write(self, partition: str, said: Mapping[str, Any]) -> None:
        """A line of the file of a partition, on the disk."""
        if self._folder is None:
            return
        with self._lock:
            if partition not in self._out:
                file = self._folder / f"{self._run_id}.{file_name(partition)}.jsonl"
                self._out[partition] = _open_after_whole_line(file)
            out = self._out[partition]
            # one write: other targets write to the same file
            os.write(out, (json.dumps(said) + "\n").encode("ascii"))
        # Outside the lock: creates that run at once then share one wait for the disk.
        os.fdatasync(out)


def _open_after_whole_line(file: Path) -> int:
    """Open for appending; the line a kill may have torn is ended, so that it spoils no other."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    out = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    size = os.fstat(out).st_size
    if size and os.pread(out, 1, size - 1) != b"\n":
        os.write(out, b"\n")
    return out
