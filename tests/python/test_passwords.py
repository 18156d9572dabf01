"""First passwords exist in clear nowhere but in the call that creates the account, and on the sheet
of whoever opens them.
"""

from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyrage
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from reverse_etl import first_sheet, passwords
from reverse_etl.__main__ import passwords as passwords_verb
from reverse_etl.first_sheet import SheetError, Slip
from reverse_etl.passwords import PasswordRecipientError, Passwords


@pytest.fixture
def district() -> pyrage.x25519.Identity:
    """The district's key pair; Homeroom is given the public half only."""
    return pyrage.x25519.Identity.generate()


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    return tmp_path / "var"


def box_of(var: Path, key: pyrage.x25519.Identity, target: str = "google") -> Passwords:
    return Passwords(str(key.to_public()), var / "passwords", "run1", target)


def lines(var: Path) -> list[dict[str, str]]:
    return [
        json.loads(line)
        for file in sorted((var / "passwords").iterdir())
        for line in file.read_text(encoding="ascii").splitlines()
    ]


def opened(line: dict[str, str], key: pyrage.x25519.Identity) -> str:
    return json.loads(pyrage.decrypt(line["sealed"].encode("ascii"), [key]))["password"]


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
    file = var / "passwords" / "run1.district.jsonl"
    monkeypatch.setattr(
        os, "fdatasync", lambda out: (sync(out), synced.append(file.read_bytes().count(b"\n")))
    )
    box = box_of(var, district)
    box.issue("c1", "p1")
    box.issue("c2", "p2")
    assert synced == [1, 2]


def test_what_is_closed_remembers_nothing_and_goes_on_after_a_whole_line(var, district):
    file = var / "passwords" / "run1.district.jsonl"
    box = box_of(var, district)
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
    assert oct((var / "passwords" / "run1.district.jsonl").stat().st_mode & 0o777) == "0o600"
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
    file = var / "passwords" / "run1.district.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text('{"change_id": "c0", "seal', encoding="ascii")
    box = box_of(var, district)
    used = box.issue("c1", "p1")
    assert opened(json.loads(file.read_text(encoding="ascii").splitlines()[-1]), district) == used


def test_many_threads_lose_no_line(var, district):
    box = box_of(var, district)
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
        for line in map(
            json.loads,
            (var / "passwords" / "run1.district.jsonl").read_text(encoding="ascii").splitlines(),
        )
    }
    assert sealed == {f"c{number}": password for number, password in used.items()}


# ---------------------------------------------------------------- by the row of a rule

RECIPES = {
    "random": r"[A-Za-z2-9]{4}(-[A-Za-z2-9]{4}){3}",
    "passphrase": r"[A-Z][a-z]{3,6}(-[a-z]{4,7}){3}-[2-9]{2}",
    "{Word}{9999}": r"[A-Z][a-z]{3,6}[2-9]{4}",
    "{Word}-{word}-{9}": r"[A-Z][a-z]{3,6}-[a-z]{4,7}-[2-9]",
    "{word}.{word}!{99}": r"[a-z]{4,7}\.[a-z]{4,7}![2-9]{2}",
}


@pytest.mark.parametrize("recipe, form", RECIPES.items(), ids=RECIPES)
def test_a_password_is_made_as_its_row_says(recipe, form):
    made = {passwords.make(recipe) for _ in range(200)}
    assert len(made) > 190
    for one in made:
        assert re.fullmatch(form, one)
        kinds = [bool(re.search(kind, one)) for kind in ("[a-z]", "[A-Z]", "[0-9]", "[^A-Za-z0-9]")]
        assert sum(kinds) >= 3 and 8 <= len(one) <= 100 and one.isascii()


BAD = {
    "Welcome2026": "it is neither",  # everybody's would be the same
    "{first_name}{99}": "it is neither",  # nothing of a person makes a password
    "{Word}{99}": "have 6 to 9 characters",
    "{Word}--{99}": "guessed too easily: 1 of 32,704",
    "{Word}.{999}": "guessed too easily",
    "{999999}-{99}": "less than three",
    "{word}{9999}": "less than three",
    "{Word}{word}": "less than three",
    "{9}-{9}": "have 3 to 3 characters",
    "{word}" * 15 + "-{9}{Word}": "characters; 8 to 100",
    "{Word}-{word} {99}": "it is neither",
    "": "it is neither",
}


@pytest.mark.parametrize("recipe, why", BAD.items())
def test_a_recipe_that_is_easily_guessed_or_refused_is_named_and_makes_nothing(recipe, why):
    assert why in passwords.fault(recipe)
    with pytest.raises(passwords.PasswordError, match="no account was created"):
        passwords.make(recipe)


def test_the_words_are_short_and_each_is_another():
    words = passwords.words()
    assert len(words) == len(set(words)) > 500
    assert all(re.fullmatch("[a-z]{4,7}", word) for word in words)


@given(st.text(alphabet="{}Wword9-.!a ", max_size=24))
@hypothesis_settings(max_examples=25)
def test_whatever_a_rule_says_it_makes_a_good_password_or_none(recipe):
    if passwords.fault(recipe):
        with pytest.raises(passwords.PasswordError):
            passwords.make(recipe)
    else:
        made = passwords.make(recipe)
        assert 8 <= len(made) <= 100 and made.isascii()


# ---------------------------------------------------------------- a file per school, and its sheet

MIA = {"display_name": "Mia Łuk", "login": "mia.luk@x"}


@pytest.fixture
def key_file(tmp_path, district) -> Path:
    file = tmp_path / "key.txt"
    file.write_text(f"# created: today\n{district}\n", encoding="ascii")
    return file


def sheet_of(key_file: Path, *given: str) -> list[Slip]:
    return list(first_sheet.opened(first_sheet.files(*given), first_sheet.key(key_file)).slips)


def test_each_school_has_one_file_whatever_the_target(var, district, key_file):
    google, other = box_of(var, district), box_of(var, district, "microsoft")
    made = [
        google.issue("c1", "p1", "passphrase", "07474001", MIA),
        other.issue("c2", "p1", None, "07474001", MIA),
        google.issue("c3", "p2", None, "07474002", {"login": "b@x"}),
        google.issue("c4", "p3", None, None, {"login": "c@x"}),
    ]
    assert sorted(path.name for path in (var / "passwords").iterdir()) == [
        "run1.07474001.jsonl",
        "run1.07474002.jsonl",
        "run1.district.jsonl",
    ]
    slips = {(slip.partition, slip.target): slip for slip in sheet_of(key_file)}
    assert [slip.password for slip in sheet_of(key_file, "run1", "07474001")] == made[:2]
    assert slips["07474001", "google"] == Slip("07474001", "google", "p1", MIA, made[0])
    assert slips["", "google"].password == made[3]


def test_who_a_password_is_of_stands_sealed_too(var, district):
    box_of(var, district).issue("c1", "p1", None, "07474001", MIA)
    written = b"".join(path.read_bytes() for path in (var / "passwords").iterdir())
    assert b"mia" not in written.lower() and "Łuk".encode() not in written


def test_an_account_that_was_not_made_is_on_no_sheet(var, district, key_file):
    box = box_of(var, district)
    box.issue("c1", "p1")
    kept = box.issue("c2", "p2")
    box.forget("c1", used=False)
    box.forget("c2", used=True)
    box.forget("c3", used=False)
    assert [slip.password for slip in sheet_of(key_file)] == [kept]


def test_of_one_sealed_again_after_a_kill_the_last_is_in_force(var, district, key_file):
    box_of(var, district).issue("c1", "p1")
    again = box_of(var, district).issue("c1", "p1")
    assert [slip.password for slip in sheet_of(key_file)] == [again]


def test_the_newest_run_is_opened_unless_one_is_named(var, district, key_file):
    old = Passwords(str(district.to_public()), var / "passwords", "20260901T0", "google")
    new = Passwords(str(district.to_public()), var / "passwords", "20260902T0", "google")
    first, second = old.issue("c1", "p1"), new.issue("c2", "p2", None, "07474001")
    assert [slip.password for slip in sheet_of(key_file)] == [second]
    assert [slip.password for slip in sheet_of(key_file, "20260901T0")] == [first]


def test_a_damaged_line_is_counted_and_spoils_no_other(var, district, key_file):
    kept = box_of(var, district).issue("c1", "p1")
    with (var / "passwords" / "run1.district.jsonl").open("a", encoding="ascii") as file:
        file.write(
            '{"change_id": "c0", "seal\n{"target": "x", "change_id": "c9", "sealed": "no"}\n'
        )
    sheet = first_sheet.opened(first_sheet.files(), first_sheet.key(key_file))
    assert [slip.password for slip in sheet.slips] == [kept]
    assert "cut or damaged" in " ".join(sheet.remarks) or "another key" in " ".join(sheet.remarks)


def test_a_key_that_is_not_the_districts_opens_nothing_and_says_so(var, district, tmp_path):
    box_of(var, district).issue("c1", "p1")
    other = tmp_path / "other.txt"
    other.write_text(str(pyrage.x25519.Identity.generate()), encoding="ascii")
    with pytest.raises(SheetError, match="opens none of the 1"):
        sheet_of(other)
    other.write_text("not a key", encoding="ascii")
    with pytest.raises(SheetError, match="age-keygen"):
        sheet_of(other)


def test_a_key_under_a_passphrase_is_asked_for_it(var, district, tmp_path, monkeypatch):
    used = box_of(var, district).issue("c1", "p1")
    sealed = tmp_path / "key.age"
    sealed.write_bytes(pyrage.passphrase.encrypt(str(district).encode(), "long and secret"))
    monkeypatch.setattr("getpass.getpass", lambda _: "long and secret")
    assert [slip.password for slip in sheet_of(sealed)] == [used]
    monkeypatch.setattr("getpass.getpass", lambda _: "wrong")
    with pytest.raises(SheetError, match="does not open"):
        sheet_of(sealed)


def test_the_sheet_is_a_page_a_school_for_its_writer_alone_and_nowhere_in_the_state(
    var, district, key_file, tmp_path
):
    box = box_of(var, district)
    used = [
        box.issue("c1", "p1", None, "07474001", {"display_name": "<b>Mia</b>", "login": "m@x"}),
        box.issue("c2", "p2", None, "07474002", {"display_name": None, "login": "n@x"}),
    ]
    sheet = first_sheet.opened(first_sheet.files(), first_sheet.key(key_file))
    to = tmp_path / "sheet.html"
    first_sheet.write(sheet, to, "SD 74")
    page = to.read_text(encoding="utf-8")
    assert all(password in page for password in used)
    assert "&lt;b&gt;Mia" in page and page.count("<section>") == 2 and "None" not in page
    assert oct(to.stat().st_mode & 0o777) == "0o600"
    for wrong in (to, var / "passwords" / "sheet.html", tmp_path / "no" / "sheet.html"):
        with pytest.raises(SheetError):
            first_sheet.write(sheet, wrong, "SD 74")
    link = tmp_path / "link"
    link.symlink_to(var, target_is_directory=True)
    with pytest.raises(SheetError, match="state folder"):
        first_sheet.write(sheet, link / "sheet.html", "SD 74")


def test_the_verb_opens_one_school_on_the_terminal(var, district, key_file, capsys, monkeypatch):
    monkeypatch.setenv("HOMEROOM_RUN", "")
    box = box_of(var, district)
    used = box.issue("c1", "p1", None, "07474001", MIA)
    other = box.issue("c2", "p2", None, "07474002", MIA)
    passwords_verb(key=str(key_file), partition="07474001")
    said = capsys.readouterr().out
    assert used in said and other not in said and "Mia Łuk" in said and "display name" in said
    with pytest.raises(SystemExit) as ended:
        passwords_verb(key="")
    assert ended.value.code == 2
    assert "KEY=" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        passwords_verb(key=str(key_file), partition="07474009")
    assert "no sealed first passwords of 07474009" in capsys.readouterr().err
