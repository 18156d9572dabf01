"""`python -m reverse_etl check`: one line per target, what to do when one does not let us in, and never a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sftp_server import running

from common import settings
from demo import platforms as emulated
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
    assert set(said) == set(settings.section("targets"))
    assert "users can be read" in said["google"] and "users can be read" in said["microsoft"]
    assert "lets us in" in said["portfolio"]


def test_what_does_not_work_is_told_with_what_to_do_and_the_others_are_looked_at(looked, tmp_path, monkeypatch):
    monkeypatch.setenv("TARGETS__MICROSOFT__CLIENT_SECRET", CANARY)
    monkeypatch.setenv("TARGETS__PORTFOLIO__KEY_FILE", str(tmp_path / "nowhere"))
    monkeypatch.setenv("TARGETS__CALLOUT__USER", "")
    monkeypatch.setenv("TARGETS__LIBRARY__KIND", "shelves")
    credentials = tmp_path / "key.json"
    credentials.write_text(json.dumps({"type": "service_account", "private_key": CANARY}))
    monkeypatch.setenv("TARGETS__GOOGLE__CREDENTIALS", str(credentials))
    code, said = looked()
    assert code == 3
    assert "not usable: users could not be read" in said["microsoft"] and "check the credentials" in said["microsoft"]
    assert "private key file" in said["portfolio"]
    assert "user not set" in said["callout"]
    assert "it must be one of google, microsoft, files" in said["library"]
    assert "the service account key" in said["google"] and "cannot be read" in said["google"]
    assert "lets us in" in said["transport"]
    assert looked("transport")[0] == 0


def test_a_host_whose_key_is_not_pinned_is_told(looked, tmp_path, monkeypatch):
    (tmp_path / "files").mkdir()
    with running(tmp_path / "files", tmp_path / "keys") as server:
        for name, value in {"HOST": "127.0.0.1", "PORT": server.port, "USER": "homeroom", "KEY_FILE": server.key_file, "FOLDER": "."}.items():
            monkeypatch.setenv(f"TARGETS__TRANSPORT__{name}", str(value))
        (tmp_path / "known_hosts").write_text("")
        monkeypatch.setenv("TARGETS__TRANSPORT__KNOWN_HOSTS", str(tmp_path / "known_hosts"))
        code, said = looked("transport")
        assert (code, "nothing was read or sent" in said["transport"]) == (3, True)
        monkeypatch.setenv("TARGETS__TRANSPORT__KNOWN_HOSTS", str(server.known_hosts))
        assert looked("transport")[0] == 0
