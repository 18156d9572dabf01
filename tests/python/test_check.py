"""`make check`: one line per target and per part of the settings, what to do when one is not right,
and never a secret.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from sftp_server import running

from common import paths, settings, store
from common.runs import Run
from demo import platforms as emulated
from ingestion.source import source_of
from operations import check as operations_check
from operations import night, preflight
from reverse_etl import check, configured

CANARY = "secret-canary-5"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with emulated.running(tmp_path_factory.mktemp("platforms")) as platforms:
        yield dict(platforms.environment)


@pytest.fixture
def looked(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    for name, value in environment.items():
        if name.startswith("TARGETS__"):
            monkeypatch.setenv(name, value)

    def look(*targets: str) -> tuple[int, dict[str, str]]:
        said: list[str] = []
        code = check.check(targets, lambda name: configured.adapter(name, "check"), said.append)
        assert CANARY not in "".join(said)
        return code, dict(line.split(": ", 1) for line in said)

    return look


def test_every_target_of_the_demo_lets_us_in(looked):
    code, said = looked()
    assert code == 0, said
    off = said.pop("off").partition(";")[0].split(", ")
    assert {*said, *off} == set(settings.section("targets"))
    assert "users can be read" in said["google"] and "users can be read" in said["microsoft"]
    assert "lets us in" in said["portfolio"]


def test_a_scope_that_is_missing_is_named_with_where_to_add_it(looked, monkeypatch):
    from demo.platforms import google as emulator

    lacks = emulator.SCOPE + "admin.directory.user.security"
    monkeypatch.setattr(emulator, "AUTHORIZED", emulator.AUTHORIZED - {lacks})
    code, said = looked("google")
    assert code == 3
    assert f"the scope {lacks} is not listed for the client id" in said["google"]
    assert "(users want it)" in said["google"] and "Domain-wide delegation" in said["google"]
    monkeypatch.setenv("TARGETS__GOOGLE__END_SESSIONS", "false")
    assert looked("google")[0] == 0, "who does not end sessions needs none"


def test_what_does_not_work_is_told_with_what_to_do_and_the_others_are_looked_at(
    looked, tmp_path, monkeypatch
):
    monkeypatch.setenv("TARGETS__MICROSOFT__CLIENT_SECRET", CANARY)
    monkeypatch.setenv("TARGETS__PORTFOLIO__KEY_FILE", str(tmp_path / "nowhere"))
    monkeypatch.setenv("TARGETS__CALLOUT__USER", "")
    monkeypatch.setenv("TARGETS__LIBRARY__KIND", "shelves")
    credentials = tmp_path / "key.json"
    credentials.write_text(json.dumps({"type": "service_account", "private_key": CANARY}))
    monkeypatch.setenv("TARGETS__GOOGLE__CREDENTIALS", str(credentials))
    code, said = looked()
    assert code == 3
    assert (
        "not usable: users could not be read" in said["microsoft"]
        and "put the secret's value under client_secret" in said["microsoft"]
    )
    assert "private key file" in said["portfolio"]
    assert "user not set" in said["callout"]
    assert "it must be one of google, microsoft, files" in said["library"]
    assert "the service account key" in said["google"] and "cannot be read" in said["google"]
    assert "lets us in" in said["transport"]
    assert looked("transport")[0] == 0


def test_a_host_whose_key_is_not_pinned_is_told(looked, tmp_path, monkeypatch):
    (tmp_path / "files").mkdir()
    with running(tmp_path / "files", tmp_path / "keys") as server:
        for name, value in {
            "HOST": "127.0.0.1",
            "PORT": server.port,
            "USER": "homeroom",
            "KEY_FILE": server.key_file,
            "FOLDER": ".",
        }.items():
            monkeypatch.setenv(f"TARGETS__TRANSPORT__{name}", str(value))
        (tmp_path / "known_hosts").write_text("")
        monkeypatch.setenv("TARGETS__TRANSPORT__KNOWN_HOSTS", str(tmp_path / "known_hosts"))
        code, said = looked("transport")
        assert (code, "nothing was read or sent" in said["transport"]) == (3, True)
        monkeypatch.setenv("TARGETS__TRANSPORT__KNOWN_HOSTS", str(server.known_hosts))
        assert looked("transport")[0] == 0


WRONG = {
    "access": (
        {"ACCESS__PUBLISHED": "readers-of-no-machine"},
        "[access] names the group 'readers-of-no-machine', which this machine has not",
    ),
    "settings": ({}, "[trsut]: no such table; the nearest is trust; known are district, trust,"),
    "folders": (
        {"SOURCES__MYEDBC__LOCATION": "var/inbox/myedcb"},
        "var/inbox/myedcb does not exist",
    ),
    "night": (
        {"NIGHT__MAXIMUM_MINUTES": "soon"},
        "[night] maximum_minutes is 'soon'; it must be a number, 0 or more",
    ),
    "schedule": (
        {"DISTRICT__TIME_ZONE": "America/Vancuver"},
        "[district] time_zone is 'America/Vancuver', which is no time zone",
    ),
    "parts": ({}, "[schedules.stock] evry: no such key; the nearest is every"),
    "backup": ({"BACKUP__FOLDER": "{file}/backups"}, "cannot be written to by this user"),
    "retention": (
        {"RETENTION__RUN_DAYS": "3"},
        "[retention] run_days: no such key; the nearest is runs_days; known are",
    ),
    "passwords": (
        {"PASSWORDS__RECIPIENT": "age2"},
        "[passwords] recipient is not an age public key",
    ),
    "alerts": (
        {"ALERTS__ROUTES__OPERATOR__MAIL": "a@sd74.example"},
        "[alerts.routes.operator] mail: no such key; the nearest is email",
    ),
    "serve": (
        {"SERVE__ONEROSTER__HOST": "0.0.0.0"},
        "[serve.oneroster.clients] names nobody who may read",
    ),
}


@pytest.mark.parametrize("part", [*WRONG, "none"])
def test_a_setting_of_the_night_that_cannot_be_followed_is_said_before_the_night(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    (tmp_path / "var" / "inbox" / "myedbc").mkdir(parents=True)
    (tmp_path / "file").write_text("", encoding="utf-8")
    given, sentence = WRONG.get(part, ({}, ""))
    for name, value in given.items():
        monkeypatch.setenv(name, value.format(file=tmp_path / "file"))
    if part == "parts":
        wrong = {"name": "stock", "targets": ["transport"], "evry": "day"}
        monkeypatch.setitem(settings._files(settings.home()), "schedules", [wrong])
    if part == "settings":
        monkeypatch.setattr(settings, "_files", lambda _: {"trsut": {}})
    said: list[str] = []
    assert operations_check.check(said.append) == (3 if part in WRONG else 0)
    assert [line.partition(":")[0] for line in said] == list(WRONG)
    assert [line.partition(":")[0] for line in said if "not usable" in line] == (
        [part] if part in WRONG else []
    )
    assert any(sentence in line for line in said)


@pytest.mark.parametrize("table", settings.TABLES)
def test_a_key_nobody_knows_is_refused_in_every_table(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    (tmp_path / "var" / "inbox" / "myedbc").mkdir(parents=True)
    of_one = {"sources": "SOURCES__MYEDBC__BOGUS", "targets": "TARGETS__TRANSPORT__BOGUS"}
    if table == "schedules":  # of which there are several
        wrong = {"name": "stock", "targets": ["transport"], "bogus": 1}
        monkeypatch.setitem(settings._files(settings.home()), "schedules", [wrong])
    else:
        monkeypatch.setenv(of_one.get(table, f"{table.upper()}__BOGUS"), "1")
    said: list[str] = []
    code = operations_check.check(said.append)
    if table == "sources":
        written = settings.section("sources", "myedbc")
        with pytest.raises(settings.SettingsError, match="bogus: no such key"):
            source_of("myedbc", written)
    elif table == "targets":
        look = lambda name: configured.adapter(name, "check")  # noqa: E731
        assert check.check(["transport"], look, said.append) == 3
        assert any("bogus: no such key" in line for line in said)
    else:
        assert code == 3
        assert any("bogus: no such key" in line for line in said)


def test_a_first_night_whose_folders_are_not_there_ends_at_once_with_every_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("TARGETS__TRANSPORT__VIA", "folder")
    monkeypatch.setenv("TARGETS__TRANSPORT__FOLDER", str(tmp_path / "bus"))
    monkeypatch.setattr(night, "_live", lambda *_, **__: pytest.fail("it began"))
    with pytest.raises(night.NightRefusedError) as refused:
        night.nightly()
    inbox = tmp_path / "var" / "inbox" / "myedbc"
    assert f"[sources.myedbc] location: {inbox} does not exist" in str(refused.value)
    assert f"[targets.transport] folder: {tmp_path / 'bus'} does not exist" in str(refused.value)
    assert Run.finished() == [] and not (tmp_path / "var" / "runs").exists()
    said: list[str] = []
    assert operations_check.check(said.append) == 3
    assert any(str(inbox) in line for line in said), "make check refuses what the night would"
    inbox.mkdir(parents=True)
    (tmp_path / "bus").mkdir()
    assert preflight.folders_missing() == []


ROOMS = ("ingestion", "reverse_etl", "operations")
BROKEN = {
    "cut off": (
        b'[sources.hr]\nurl = "postgresql://canary',
        "is no TOML: Unterminated string (at end of document)",
    ),
    "two lines as one": (
        b'[sources.hr]\nurl = "canary\n',
        "is no TOML: Illegal character '\\n' (at line 2, column 14)",
    ),
    "saved as UTF-16": ("[sources.hr]".encode("utf-16"), "is not UTF-8 (byte 1)"),
}


def typed(
    room: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: str = "check",
) -> tuple[int, str]:
    """`python -m <room> <verb>` in this process: its exit code and what it printed."""
    monkeypatch.setattr(sys, "argv", [room, verb])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(room, run_name="__main__", alter_sys=True)
    printed = capsys.readouterr()
    return ended.value.code, printed.out + printed.err


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
@pytest.mark.parametrize("how", BROKEN)
def test_a_file_of_settings_that_cannot_be_read_is_one_sentence_and_keeps_its_secrets(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    content, sentence = BROKEN[how]
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "secrets.toml").write_bytes(content)
    monkeypatch.setattr(settings, "home", lambda: tmp_path)
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    settings._files.cache_clear()
    try:
        for room in ROOMS:
            code, said = typed(room, monkeypatch, capsys)
            assert code in (1, 2, 3)
            assert f".dlt/secrets.toml {sentence}" in said
            assert "canary" not in said
    finally:
        settings._files.cache_clear()


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
@pytest.mark.parametrize("room", ROOMS)
def test_root_does_not_write_into_the_state_of_whom_the_nights_run_as(
    room: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    folder = tmp_path / "var"
    folder.mkdir()
    monkeypatch.setenv("HOMEROOM_VAR", str(folder))
    if os.geteuid() == 0:
        os.chown(folder, 65534, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
    code, said = typed(room, monkeypatch, capsys)
    assert code in (1, 2)
    assert (
        f"{folder} belongs to " in said
        and "what root writes there" in said
        and "type it as: sudo -u " in said
    )
    assert list(folder.iterdir()) == []


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
@pytest.mark.parametrize("room", ROOMS)
def test_whoever_may_not_write_there_is_told_whose_it_is(
    room: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "may not write there; type it as: sudo -u " in typed(room, monkeypatch, capsys)[1]


def test_a_database_left_behind_by_another_user_is_said_with_how_to_have_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))

    def refused(*_: object, **__: object):
        raise duckdb.IOException("whatever it says")

    with store.connect():
        pass
    monkeypatch.setattr(duckdb, "connect", refused)
    monkeypatch.setattr(store.os, "access", lambda *_: False)  # as of a file of another user's
    with (
        pytest.raises(
            store.StoreError,
            match=(
                r"warehouse.duckdb may not be opened by .* give the state folder back as a whole:"
                r" sudo chown -R "
            ),
        ),
        store.connect(),
    ):
        pass


def test_a_file_elsewhere_is_not_mended_by_giving_the_state_folder_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    assert "chown" in paths.whose(tmp_path / "var" / "runs")
    said = paths.whose(tmp_path / "extracts" / "StaffInformation.csv")
    assert "StaffInformation.csv may not be opened by " in said and "chown" not in said
