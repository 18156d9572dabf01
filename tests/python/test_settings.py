"""What a table of the settings may say: all that is wrong with it at once, where it stands, what
would be right, and never a secret.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from common import settings
from common.settings import (
    Never,
    Number,
    OneOrMore,
    Secret,
    Section,
    SettingsError,
    Share,
    Some,
    Text,
    Texts,
)


class Mail(Section):
    host: Text = ""
    port: Some | None = None
    password: Secret = ""
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: Text = Field("", alias="from")


class Bearer(Section):
    type: Literal["bearer"]
    token: Secret


class Key(Section):
    type: Literal["key"]
    where: Literal["header", "query"] = "header"


class House(Section):
    minutes: Number = 480
    retry: Number | Never = 15
    share: Share = 0.5
    rooms: OneOrMore = ()
    days: Texts = ()
    mail: Mail = Mail()
    steps: dict[str, Number] = Field(default_factory=dict)
    sign_in: Annotated[Bearer | Key, Field(discriminator="type")] | None = None
    kind: Text


RIGHT = {"kind": "k"}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Settings as somebody wrote them: (config.toml, secrets.toml)."""
    (tmp_path / ".dlt").mkdir()
    monkeypatch.setattr(settings, "home", lambda: tmp_path)

    def write(config: str, secrets: str = "") -> None:
        (tmp_path / ".dlt" / "config.toml").write_text(config, encoding="utf-8")
        (tmp_path / ".dlt" / "secrets.toml").write_text(secrets, encoding="utf-8")
        settings._files.cache_clear()

    yield write
    settings._files.cache_clear()


def wrong(**given: object) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        settings.parse(House, {**RIGHT, **given}, ("nowhere", "house"))
    return list(refused.value.wrong)


def test_what_is_right_is_taken_and_what_nobody_wrote_is_its_default():
    given = settings.parse(House, {**RIGHT, "retry": False, "share": 1, "rooms": "hall"}, ("h",))
    assert settings.parse(House, {**RIGHT, "retry": 0}, ("h",)).retry is not False, "0 is a number"
    assert (given.minutes, given.retry, given.share, given.rooms) == (480, False, 1.0, ("hall",))
    assert settings.parse(House, {"kind": 74, "rooms": [7]}, ("h",)).kind == "74"
    assert settings.parse(House, {"kind": 74, "rooms": [7]}, ("h",)).rooms == ("7",)
    assert settings.parse(Mail, {"from": "a@x.example"}, ("m",)).sender == "a@x.example"


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("minutes", "soon", "minutes is 'soon'; it must be a number, 0 or more"),
        ("minutes", -1, "minutes is -1; it must be a number, 0 or more"),
        ("minutes", True, "minutes is True; it must be a number, 0 or more"),
        ("minutes", float("nan"), "minutes is nan; it must be a number, 0 or more"),
        ("retry", True, "retry is True; it must be a number, 0 or more, or false"),
        ("share", 2, "share is 2; it must be a number between 0 and 1"),
        ("days", "x", "days is 'x'; it must be a list of texts"),
        ("days", ["x", True], "days has True; it must be a list of texts"),
        ("kind", True, "kind is True; it must be a text"),
        ("mail", 3, "mail is 3; it must be a table"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_with_what_would_be_right(key, value, says):
    assert wrong(**{key: value}) == [f"[nowhere.house] {says}"]


def test_everything_wrong_is_said_at_once_down_to_the_tables_inside():
    assert wrong(
        minuets=3, steps={"push": "a", "pull": 1}, mail={"port": "22", "form": "x", "security": "s"}
    ) == [
        "[nowhere.house.mail] port is '22'; it must be a whole number, 1 or more",
        "[nowhere.house.mail] security is 's'; it must be one of starttls, tls, none",
        (
            "[nowhere.house.mail] form: no such key; the nearest is from; known are from, host,"
            " password, port, security"
        ),
        "[nowhere.house.steps] push is 'a'; it must be a number, 0 or more",
        (
            "[nowhere.house] minuets: no such key; the nearest is minutes; known are days, kind,"
            " mail, minutes, retry, rooms, share, sign_in, steps"
        ),
    ]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"type": "cookie"}, "type is 'cookie'; it must be one of bearer, key"),
        ({}, "type is missing; it must be one of bearer, key"),
        ({"type": "bearer"}, "token is missing; it must be a text"),
        ({"type": "key", "where": "body"}, "where is 'body'; it must be one of header, query"),
        (
            {"type": "key", "token": "canary"},
            "token: no such key; the nearest is type; known are type, where",
        ),
    ],
)
def test_a_table_told_apart_by_one_key_is_judged_as_what_it_says_it_is(given, says):
    assert wrong(sign_in=given) == [f"[nowhere.house.sign_in] {says}"]


def test_what_must_be_there_and_is_not_is_told():
    with pytest.raises(SettingsError, match=r"\[h\] kind is missing; it must be a text"):
        settings.parse(House, {}, ("h",))


def test_a_secret_is_never_told_whatever_it_is():
    (said,) = wrong(mail={"password": ["canary"]})
    assert said == (
        "[nowhere.house.mail] password is a list (a secret, so not shown); it must be a text"
    )


def test_a_sentence_names_the_file_and_the_line_or_the_variable(written, monkeypatch):
    written(
        '# ours\n[house]\nkind = "k"\n\n[house.mail]  # by post\nport = "1"\nhots = "x"\n',
        '[house]\nminutes = "canary"\n[house.mail]\nport = "canary"\n',
    )
    monkeypatch.setenv("HOUSE__SHARE", "much")
    with pytest.raises(SettingsError) as refused:
        settings.read(House, "house")
    assert [one.partition(": [")[0] for one in refused.value.wrong] == [
        ".dlt/secrets.toml, line 2",
        "HOUSE__SHARE of the environment",
        ".dlt/secrets.toml, line 4",
        ".dlt/config.toml, line 7",
    ]
    assert "canary" not in str(refused.value), "whatever stands in secrets.toml is one"


def test_what_cannot_be_followed_may_be_left_out_and_the_rest_is_followed(written):
    written('[mail]\nhost = "h"\nprot = 25\nsecurity = "loud"\n')
    given, said = settings.read_what_can_be(Mail, "mail")
    assert (given.host, given.security, len(said)) == ("h", "starttls", 2)
    written("mail = 3\n")
    given, said = settings.read_what_can_be(Mail, "mail")
    assert given == Mail()
    assert said == [".dlt/config.toml, line 1: mail is 3; it must be a table, [mail]"]


def test_a_table_nobody_reads_is_told_with_the_nearest(written):
    written('[trsut]\nx = 1\n[runtime]\nlog_level = "WARNING"\n[night]\n')
    (said,) = settings.strangers()
    assert said.startswith(".dlt/config.toml, line 1: [trsut]: no such table; the nearest is trust")


def test_a_line_is_found_in_any_spelling_of_a_table():
    text = '[a."b c"]\nd = [\n  "x",\n]\ne.f = 1\n[[g]]\nh = 2\n'
    found = {
        path: settings.line_of(text, path)
        for path in (("a", "b c"), ("a", "b c", "d"), ("a", "b c", "e", "f"), ("g", "h"), ("z",))
    }
    assert list(found.values()) == [1, 2, 5, 7, 1]


def test_the_settings_that_ship_have_no_stranger():
    assert settings.strangers() == []
