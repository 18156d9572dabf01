"""Where a source's files are, and what a spreadsheet did to its numbers: rule by rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from common import paths, settings
from common.sftp import Place
from ingestion import fetch, numbers, table
from ingestion.configured import FilesSource
from ingestion.model import SourceUnreachableError

HERE = FilesSource(kind="files")


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("sftp://me@host/in/today", ("host", 22, "me", "/in/today")),
        ("sftp://me@host:2222/~/in", ("host", 2222, "me", "in")),
        ("sftp://me@host", ("host", 22, "me", "")),
        ("sftp://me@host/", ("host", 22, "me", "")),
        ("sftp://district%5Cme@host/a%20b", ("host", 22, "district\\me", "/a b")),
    ],
)
def test_a_place_is_read_from_its_location(location, place):
    host, port, user, folder = place
    assert fetch.sftp_place("sis", location, HERE) == Place(host, port, user, "", "", folder, 30.0)
    given = fetch.sftp_place(
        "sis", location, FilesSource(kind="files", key_file="k", known_hosts="h", timeout=5)
    )
    assert given == Place(host, port, user, "k", "h", folder, 5.0)


@pytest.mark.parametrize("location", ["sftp://host/in", "sftp://me:secret@host/in", "sftp:///in"])
def test_a_location_without_a_user_or_with_a_password_is_refused_without_repeating_it(location):
    with pytest.raises(
        SourceUnreachableError,
        match=r"sources\.sis\.location must read sftp://user@host:port/folder, without a password",
    ) as told:
        fetch.sftp_place("sis", location, HERE)
    assert "secret" not in str(told.value)


def test_a_folder_is_absolute_or_below_the_state_or_below_the_project(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "state"))
    assert fetch.local_folder("/srv/drop") == Path("/srv/drop")
    assert fetch.local_folder("var/inbox/a") == tmp_path / "state" / "inbox" / "a"
    assert fetch.local_folder("drop") == paths.root() / "drop"
    assert fetch.local_folder("variety") == paths.root() / "variety"
    for location, says in (
        ("", "location is missing"),
        (str(tmp_path / "nowhere"), "is not there; check sources.sis.location"),
    ):
        with (
            pytest.raises(SourceUnreachableError, match=says),
            fetch.place("sis", FilesSource(kind="files", location=location)),
        ):
            pass


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("502031.0", "502031"),
        ("502031.000", "502031"),
        ("5.02031E+05", "502031"),
        ("5.02031e5", "502031"),
        ("9E+2", "900"),
        ("502031", "502031"),
        ("0012", "0012"),  # a leading zero is kept where nothing was touched
        ("502031.5", "502031.5"),
        ("12.5E+3", "12.5E+3"),
        ("E100", "E100"),
        ("", ""),
        ("1.234567890123E+12", "1234567890123"),
    ],
)
def test_a_number_a_spreadsheet_touched_is_given_back_and_no_other_text_is_changed(text, number):
    with table.connected() as connection:
        query = (
            f"select {numbers.touched('value')}, {numbers.repaired('value')} from (values (?)) as"
            " given(value)"
        )
        assert connection.execute(query, [text]).fetchone() == (text != number, number)


@pytest.mark.parametrize(
    ("text", "rounded"),
    [
        ("5.02E+05", True),
        ("5.02031E+05", False),
        ("5.02031E+06", True),
        ("5E0", False),
        ("5E+01", True),
        (" 5.02E5 ", True),
        ("502", False),
        ("5.02E+005", False),
    ],
)
def test_a_number_with_fewer_digits_than_it_has_is_anybodys(text, rounded):
    assert numbers.is_rounded(text) is rounded


@pytest.mark.parametrize(
    ("number", "wrong"),
    [
        ("120164447", False),
        ("120164446", True),
        ("12016444", True),
        ("1201644470", True),
        ("12016444x", True),
        ("", False),
        (None, None),
        ("999999998", False),
    ],
)
def test_nine_digits_have_a_check_digit_and_empty_is_nobodys(number, wrong):
    """The last: every digit that is doubled is a nine, which counts as nine again; 8 + 4 · 9 + 4 ·
    9 is eighty.
    """
    with table.connected() as connection:
        assert connection.execute(
            f"select {numbers.wrong_check_digit('value')} from (values (?::varchar)) as"
            " given(value)",
            [number],
        ).fetchone() == (wrong,)


# ---------------------------------------------------------------- settings


def test_settings_of_the_environment_go_before_files_table_by_table(monkeypatch):
    written = {"a": {"b": {"c": 1, "d": 2}, "e": 3}, "f": 4}
    monkeypatch.setattr(settings, "_files", lambda *_: written)
    for name, value in {
        "A__B__C": "9",
        "A__NEW": '["x"]',
        "F__G": "true",
        "H__": "1",
        "__I": "1",
        "A__TEXT": "not = toml",
        "A__EMPTY": "",
    }.items():
        monkeypatch.setenv(name, value)
    every = settings.everything()
    assert every["a"] == {
        "b": {"c": 9, "d": 2},
        "e": 3,
        "new": ["x"],
        "text": "not = toml",
        "empty": "",
    }
    assert (every["f"], "h" in every, "" in every) == ({"g": True}, False, False)
    assert settings._files()["a"]["b"]["c"] == 1
    assert settings.section("a", "b") == {"c": 9, "d": 2} and settings.section("x", "y") == {}
    with pytest.raises(settings.SettingsError, match=r"a\.e is 3; it must be a table, \[a\.e\]"):
        settings.section("a", "e")
