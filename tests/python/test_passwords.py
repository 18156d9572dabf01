"""First passwords exist in clear nowhere but in the call that creates the account."""

from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyrage
import pytest

from reverse_etl import passwords
from reverse_etl.passwords import PasswordRecipientError, Passwords


@pytest.fixture
def district() -> pyrage.x25519.Identity:
    """The district's key pair; Homeroom is given the public half only."""
    return pyrage.x25519.Identity.generate()


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    return tmp_path / "var"


def lines(var: Path) -> list[dict[str, str]]:
    return [
        json.loads(line)
        for file in sorted((var / "passwords").iterdir())
        for line in file.read_text(encoding="ascii").splitlines()
    ]


def opened(line: dict[str, str], key: pyrage.x25519.Identity) -> str:
    return pyrage.decrypt(line["sealed"].encode("ascii"), [key]).decode("ascii")


def test_a_password_has_what_both_directories_ask_for():
    for _ in range(200):
        made = passwords.make()
        assert made.isascii()
        assert 8 <= len(made) <= 100
        assert any(c.islower() for c in made)
        assert any(c.isupper() for c in made)
        assert any(c.isdigit() for c in made)
        assert not set(made) & set("0Oo1lI")


def test_a_password_is_four_groups_of_four_and_never_without_one_of_its_kinds(monkeypatch):
    assert re.fullmatch(r"[A-Za-z2-9]{4}(-[A-Za-z2-9]{4}){3}", passwords.make())
    for kind in (passwords.LOWER, passwords.UPPER, passwords.DIGIT):
        drawn = iter(
            "".join(letter * 8 for letter in (set("aA2") - set(kind)) | {""} if letter)
            + "abcdABCD23456789"
        )
        with monkeypatch.context() as patch:
            patch.setattr(passwords.secrets, "choice", lambda letters, drawn=drawn: next(drawn))
            assert passwords.make() == "abcd-ABCD-2345-6789", "the first draw had none of one kind"
    assert not set(passwords.LOWER + passwords.UPPER + passwords.DIGIT) & set("0Oo1lI")
    assert (
        len(passwords.LOWER + passwords.UPPER + passwords.DIGIT)
        == 56
        == len(set(passwords.LOWER + passwords.UPPER + passwords.DIGIT))
    )


def test_a_password_is_on_disk_before_it_is_used(var, district, monkeypatch):
    synced: list[int] = []
    sync = os.fdatasync
    file = var / "passwords" / "run1.google.jsonl"
    monkeypatch.setattr(
        os, "fdatasync", lambda out: (sync(out), synced.append(file.read_bytes().count(b"\n")))
    )
    box = Passwords(str(district.to_public()), file)
    box.issue("c1", "p1")
    box.issue("c2", "p2")
    assert synced == [1, 2]


def test_what_is_closed_remembers_nothing_and_goes_on_after_a_whole_line(var, district):
    file = var / "sealed.jsonl"
    box = Passwords(str(district.to_public()), file)
    first = box.issue("c1", "p1")
    box.close()
    assert box.issue("c1", "p1") != first
    box.close()
    assert [line for line in file.read_text(encoding="ascii").splitlines() if not line] == []
    assert len(file.read_text(encoding="ascii").splitlines()) == 2


def test_no_two_accounts_get_the_same_password():
    assert len({passwords.make() for _ in range(2000)}) == 2000


def test_a_sealed_password_opens_with_the_districts_private_key(var, district, monkeypatch):
    monkeypatch.setenv("PASSWORDS__RECIPIENT", str(district.to_public()))
    box = Passwords.of_run("run1", "google")
    used = box.issue("c1", "p0123")
    box.close()
    (line,) = lines(var)
    assert (line["change_id"], line["subject"]) == ("c1", "p0123")
    assert opened(line, district) == used


def test_no_other_key_opens_it(var, district, monkeypatch):
    monkeypatch.setenv("PASSWORDS__RECIPIENT", str(district.to_public()))
    Passwords.of_run("run1", "google").issue("c1", "p0123")
    (line,) = lines(var)
    with pytest.raises(pyrage.DecryptError):
        opened(line, pyrage.x25519.Identity.generate())


def test_a_password_is_in_clear_nowhere_under_var(var, district, monkeypatch):
    monkeypatch.setenv("PASSWORDS__RECIPIENT", str(district.to_public()))
    box = Passwords.of_run("run1", "google")
    used = [box.issue(f"c{number}", f"p{number}") for number in range(5)]
    box.close()
    written = b"".join(path.read_bytes() for path in var.rglob("*") if path.is_file())
    assert written
    assert not [password for password in used if password.encode() in written]
    assert not any(password in repr(box) for password in used)


def test_only_the_owner_may_read_the_sealed_file(var, district, monkeypatch):
    monkeypatch.setenv("PASSWORDS__RECIPIENT", str(district.to_public()))
    Passwords.of_run("run1", "google").issue("c1", "p1")
    assert oct((var / "passwords" / "run1.google.jsonl").stat().st_mode & 0o777) == "0o600"
    assert oct((var / "passwords").stat().st_mode & 0o777) == "0o700"


def test_a_create_that_is_tried_again_uses_the_password_that_may_be_in_force(
    var, district, monkeypatch
):
    """The first attempt may have worked without our hearing of it: its password must stay the
    sealed one.
    """
    monkeypatch.setenv("PASSWORDS__RECIPIENT", str(district.to_public()))
    box = Passwords.of_run("run1", "google")
    first = box.issue("c1", "p1")
    assert box.issue("c1", "p1") == first
    assert len(lines(var)) == 1
    box.forget("c1")
    assert box.issue("c1", "p1") != first


def test_without_a_recipient_nothing_is_kept(var):
    box = Passwords.of_run("run1", "google")
    assert box.issue("c1", "p1")
    assert not (var / "passwords").exists()


def test_a_wrong_recipient_is_refused_before_any_account_is_made(monkeypatch):
    monkeypatch.setenv("PASSWORDS__RECIPIENT", "ssh-ed25519 AAAA")
    with pytest.raises(PasswordRecipientError, match="age-keygen"):
        Passwords.of_run("run1", "google")


def test_a_line_torn_by_a_kill_spoils_no_other(var, district):
    file = var / "passwords" / "run1.google.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text('{"change_id": "c0", "seal', encoding="ascii")
    box = Passwords(str(district.to_public()), file)
    used = box.issue("c1", "p1")
    assert opened(json.loads(file.read_text(encoding="ascii").splitlines()[-1]), district) == used


def test_many_threads_lose_no_line(var, district):
    box = Passwords(str(district.to_public()), var / "sealed.jsonl")
    with ThreadPoolExecutor(16) as pool:
        used = dict(
            zip(
                range(100),
                pool.map(lambda number: box.issue(f"c{number}", f"p{number}"), range(100)),
                strict=True,
            )
        )
    sealed = {
        line["change_id"]: opened(line, district)
        for line in map(json.loads, (var / "sealed.jsonl").read_text(encoding="ascii").splitlines())
    }
    assert sealed == {f"c{number}": password for number, password in used.items()}
