"""What the other side answers: a return file, a folder of failed files, a log, a mailbox; whom it
did not take is told with the key and its words, and nothing of anybody else.
"""

from __future__ import annotations

import os
import re
import socketserver
import ssl
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import sftp_server
import trustme
import yaml
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from common import store
from common.findings import Finding
from reverse_etl import applied, exports
from reverse_etl.receipts import layout, places, read
from reverse_etl.receipts.layout import ReceiptError
from reverse_etl.receipts.read import told_of_nobody

EXPORT = {
    "target": "till",
    "entity": "patrons",
    "key": ["card"],
    "partition": "branch",
    "subject": "card",
    "file": {"name": "patrons.csv"},
}
CLASSES = {"card": "key", "number": "key", "first": "name", "last": "name", "branch": "none"}
PATRONS = [
    ("c1", "9001", "Zoë", "O'Brien", "b1"),
    ("c2", "9002", "May Ann", "De Vries", "b1"),
    ("c3", "9003", "Li", "Łukasik", "b2"),
]
DELIMITED = {
    "entity": "patrons",
    "files": ["*_return.csv"],
    "key": {"Patron No": "number"},
    "reason": "Message",
    "refused": {"column": "Result", "taken": ["OK"]},
    "owner": "library",
}


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one target of files and what it was last sent."""
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("HOMEROOM_PROJECT", str(tmp_path))
    for name in ("answers", "failed", "receipts", "out"):
        (tmp_path / name).mkdir()
    model = {
        "name": "exp_till__patrons",
        "config": {"meta": {"export": EXPORT}},
        "columns": [
            {"name": n, "data_type": "text", "config": {"meta": {"personal_data": c}}}
            for n, c in CLASSES.items()
        ],
    }
    folder = tmp_path / "models" / "exports" / "till"
    folder.mkdir(parents=True)
    (folder / "exp_till__patrons.yml").write_text(yaml.safe_dump({"models": [model]}), "utf-8")
    setting(
        monkeypatch,
        KIND="files",
        VIA="folder",
        FOLDER=str(tmp_path / "out"),
        RECEIPTS__FOLDER=str(tmp_path / "answers"),
    )
    say(tmp_path, DELIMITED)
    export = exports.declared("till")["patrons"]
    with store.connect() as connection:
        connection.execute("create schema if not exists exports")
        listed = ", ".join(f"{name} varchar" for name in CLASSES)
        connection.execute(f"create table {export.relation} ({listed})")
        applied.ensure(connection, export)
        for row in PATRONS:
            connection.execute(
                f"insert into {applied.table('till', 'patrons')} values (?, ?, ?, ?, ?, ?, 'r',"
                " now())",
                [row[0], *row],
            )
    return tmp_path


def setting(monkeypatch: pytest.MonkeyPatch, **said: str) -> None:
    for name, value in said.items():
        monkeypatch.setenv(f"TARGETS__TILL__{name}", value)


def say(house: Path, said: dict[str, Any]) -> None:
    (house / "receipts" / "till.yml").write_text(yaml.safe_dump(said), "utf-8")


def answer(house: Path, text: str, name: str = "p_return.csv", at: int = 0) -> None:
    path = house / "answers" / name
    path.write_bytes(text.encode("cp1252"))
    when = (datetime.now(UTC) - timedelta(hours=at)).timestamp()
    os.utime(path, (when, when))


def told(code: str = "receipt_row_refused") -> list[Finding]:
    return [one for one in read.read(["till"]) if one.code == code]


def test_a_row_of_a_return_file_that_was_not_taken_is_told_with_our_key_and_their_reason(
    house: Path,
) -> None:
    answer(
        house, "Patron No,Result,Message\r\n9001,OK,\r\n9002,ERROR,Card has expired\r\n9003,?,\r\n"
    )
    second, third = told()
    assert (second.key, second.entity, second.school_number) == ("c2", "patrons", "b1")
    assert (second.file, second.line, second.owner) == ("p_return.csv", 3, "library")
    assert "Card has expired" in second.message
    assert (third.key, third.values["why"]) == ("c3", "no reason is given")
    with store.connect() as connection:
        assert connection.execute(
            "select key, is_refused, reason from raw_till.receipts order by line"
        ).fetchall() == [
            ("c1", False, "no reason is given"),
            ("c2", True, "Card has expired"),
            ("c3", True, "no reason is given"),
        ]


def test_the_last_word_about_a_row_counts_and_is_told_every_night_until_there_is_another(
    house: Path,
) -> None:
    answer(house, "Patron No,Result,Message\n9001,ERROR,a\n9002,ERROR,b\n", "1_return.csv", at=5)
    answer(house, "Patron No,Result,Message\n9001,OK,\n", "0_return.csv", at=1)
    for _ in range(2):
        assert [(one.key, one.values["why"]) for one in told()] == [("c2", "b")]


def test_an_answer_older_than_its_days_is_read_no_more(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(house, "Patron No,Result,Message\n9001,ERROR,a\n", at=24 * 15)
    assert told() == []
    setting(monkeypatch, RECEIPTS__DAYS="20")
    assert [one.key for one in told()] == ["c1"]


def test_who_was_never_sent_is_counted_and_not_named(house: Path) -> None:
    answer(house, "Patron No,Result,Message\n7777,ERROR,a\n9001,ERROR,b\n")
    (one,) = told("receipt_of_nobody")
    assert (one.values["rows"], one.file or one.values["file"]) == (1, "p_return.csv")
    assert "7777" not in one.message
    assert [one.key for one in told()] == ["c1"]


FORMS = {
    "words": (
        {**DELIMITED, "refused": {"column": "Result", "words": ["REJ", "error"]}},
        "Patron No,Result,Message\n9001,Warn,x\n9002,Error,bad\n",
    ),
    "all that is listed": ({**DELIMITED, "refused": {}}, "Patron No,Message\n9002,bad\n"),
    "no heading": (
        {
            **DELIMITED,
            "header": False,
            "columns": ["Patron No", "Result", "Message"],
            "delimiter": "|",
        },
        "9001|OK|\n9002|E|bad\n",
    ),
    "fixed": (
        {
            **DELIMITED,
            "format": "fixed",
            "header": False,
            "positions": {"Patron No": "1-6", "Result": "7-8", "Message": "9-40"},
        },
        "9001  OK\r\n9002  E bad\r\n",
    ),
    "log": (
        {
            "entity": "patrons",
            "files": ["*.csv"],
            "format": "lines",
            "line": r"REJECTED (?P<card>\d+): (?P<why>.*)$",
            "key": {"card": "number"},
            "reason": "why",
        },
        "10:02 begin\n10:03 REJECTED 9002: bad\n10:04 end, 1 rejected\n",
    ),
    "two columns": (
        {
            **DELIMITED,
            "key": {"Patron No": "number", "Branch": "branch"},
            "refused": {"column": "Result", "taken": ["ok"]},
        },
        "Patron No,Branch,Result,Message\n9002,B1,E,bad\n9002,b2,E,other\n9001,b1,Ok,\n",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_answers_are_read_in_the_form_their_layout_says(house: Path, form: str) -> None:
    said, text = FORMS[form]
    say(house, said)
    answer(house, text)
    assert [(one.key, one.values["why"]) for one in told()] == [("c2", "bad")]


def test_a_file_of_ours_among_the_failed_is_told(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting(monkeypatch, RECEIPTS__FAILED_FOLDER=str(house / "failed"))
    assert told("receipt_file_refused") == []
    (house / "failed" / "patrons.csv").write_text("x", "utf-8")
    (one,) = told("receipt_file_refused")
    assert "patrons.csv lies among the files the other side did not take" in one.message


@pytest.mark.parametrize(
    ("said", "text", "words"),
    (
        (None, "", "receipts/till.yml is not there"),
        ({**DELIMITED, "shoe": 1}, "", "shoe: no such key"),
        ({**DELIMITED, "entity": "shoes"}, "", "no export is"),
        ({**DELIMITED, "key": {"Patron No": "shoe"}}, "", "column 'shoe', and the export has none"),
        ({**DELIMITED, "encoding": "shoe"}, "", "which is no encoding"),
        ({**DELIMITED, "format": "fixed", "positions": {"Patron No": "6-1"}}, "", '"1-6"'),
        ({**DELIMITED, "format": "lines", "line": "("}, "", "which is no pattern"),
        ({**DELIMITED, "format": "fixed"}, "", "there is no column 'Patron No'"),
        (DELIMITED, "Patron,Result,Message\n1,2,3\n", "it has no column 'Patron No'"),
    ),
)
def test_what_cannot_be_read_is_a_sentence_and_stops_nothing(
    house: Path, said: Any, text: str, words: str
) -> None:
    if said is None:
        (house / "receipts" / "till.yml").unlink()
    else:
        say(house, said)
    answer(house, text)
    (one,) = told("receipts_unread")
    assert words in one.message


def test_a_folder_that_is_not_there_is_a_sentence(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting(monkeypatch, RECEIPTS__FOLDER=str(house / "away"))
    (one,) = told("receipts_unread")
    assert "is the share mounted?" in one.message


def test_nothing_is_asked_where_no_receipts_are_named(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FOLDER",):
        monkeypatch.delenv(f"TARGETS__TILL__RECEIPTS__{name}")
    answer(house, "Patron No,Result,Message\n9001,ERROR,a\n")
    assert read.read(["till"]) == []


# ---------------------------------------------------------------- whose words


def test_no_name_and_no_address_stands_in_a_reason(house: Path) -> None:
    answer(
        house,
        "Patron No,Result,Message,Mail,Other\n"
        '9002,ERROR,"May Ann de vries (x.y@z.example), 250-555 0102: same as Zoë O\'Brien",'
        "x.y@z.example,250-555 0102\n",
    )
    (one,) = told()
    for word in ("May", "Ann", "vries", "y@z", "0102", "Zoë", "Brien"):
        assert word.casefold() not in one.message.casefold(), word
    assert "same as" in one.message


@given(
    st.lists(st.text("abcdéŁ' -", min_size=2, max_size=8), min_size=1, max_size=3),
    st.lists(st.sampled_from(["is", "not", "valid", "already", "there"]), max_size=4),
)
@settings(max_examples=25, deadline=None)
def test_whatever_somebody_is_called_no_word_of_it_is_told(
    names: list[str], words: list[str]
) -> None:
    reason = " ".join([words[0] if words else "x", *names, *words])
    said = read.WORD.findall(told_of_nobody(reason, names))
    kept = {word.casefold() for name in names for word in read.WORD.findall(name)}
    assert not {word.casefold() for word in said} & kept
    assert [word for word in words if word in said] == words


# ---------------------------------------------------------------- a mailbox


class Mailbox(socketserver.ThreadingTCPServer):
    """As much of IMAP4rev1 (RFC 3501) as a reader needs, over TLS; what it was asked is kept."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, mails: list[EmailMessage], context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.mails, self.context, self.asked = mails, context, list[str]()


class Session(socketserver.StreamRequestHandler):
    server: Mailbox

    def setup(self) -> None:
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self) -> None:
        self.say(b"* OK ready")
        while line := self.rfile.readline().decode().strip():
            tag, verb, *words = line.split(" ")
            self.server.asked.append(line.partition(" ")[2])
            verb = words[0] if verb == "UID" else verb
            if verb == "CAPABILITY":
                self.say(b"* CAPABILITY IMAP4rev1")
            if verb == "LOGIN" and words[1] != '"right"':
                self.say(f"{tag} NO [AUTHENTICATIONFAILED] no".encode())
                continue
            if verb == "EXAMINE":
                self.say(f"* {len(self.server.mails)} EXISTS".encode())
            if verb == "SEARCH":
                numbers = " ".join(str(n + 1) for n in range(len(self.server.mails)))
                self.say(f"* SEARCH {numbers}".encode())
            if verb == "FETCH":
                data = self.server.mails[int(words[1]) - 1].as_bytes()
                when = datetime.now(UTC).strftime("%d-%b-%Y %H:%M:%S +0000")
                head = f'* 1 FETCH (UID {words[1]} INTERNALDATE "{when}" BODY[]<0> {{{len(data)}}}'
                self.say(head.encode())
                self.wfile.write(data)
                self.say(b")")
            self.say(f"{tag} OK done".encode())
            if verb == "LOGOUT":
                return

    def say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")


@contextmanager
def mailbox(tmp_path: Path, *mails: EmailMessage) -> Iterator[Mailbox]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Mailbox([*mails], context) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()


def mail(text: str = "see below", **attached: str) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["Subject"] = "robot@vendor.example", "your file"
    made.set_content(text)
    for name, content in attached.items():
        made.add_attachment(
            content.encode(), maintype="text", subtype="csv", filename=name.replace("__", ".")
        )
    return made


def by_mail(monkeypatch: pytest.MonkeyPatch, server: Mailbox, house: Path, **more: str) -> None:
    setting(
        monkeypatch,
        RECEIPTS__VIA="imap",
        RECEIPTS__HOST="127.0.0.1",
        RECEIPTS__PORT=str(server.server_address[1]),
        RECEIPTS__USER="homeroom",
        RECEIPTS__PASSWORD="right",
        RECEIPTS__SENDER="robot@vendor.example",
        **more,
    )


def test_answers_by_mail_are_read_and_nothing_in_the_mailbox_is_changed(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attached = mail(p_return__csv="Patron No,Result,Message\n9002,E,bad\n", photo__png="x")
    with mailbox(house, mail(), attached) as server:
        by_mail(monkeypatch, server, house, RECEIPTS__CA_FILE=str(house / "ca.pem"))
        for _ in range(2):
            assert [(one.key, one.values["why"]) for one in told()] == [("c2", "bad")]
    asked = " ".join(server.asked)
    assert "EXAMINE" in asked and "BODY.PEEK" in asked and 'FROM "robot@vendor.example"' in asked
    assert not {"STORE", "SELECT", "EXPUNGE", "COPY", "MOVE"} & {*asked.split()}


def test_the_text_of_a_mail_is_a_log(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    say(house, {**FORMS["log"][0], "files": ["mail.txt"]})
    with mailbox(house, mail("Hello,\n\nREJECTED 9003: no branch\n")) as server:
        by_mail(monkeypatch, server, house, RECEIPTS__CA_FILE=str(house / "ca.pem"))
        assert [(one.key, one.values["why"]) for one in told()] == [("c3", "no branch")]


def test_a_mail_server_nobody_vouches_for_or_that_does_not_let_us_in_is_a_sentence(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mailbox(house, mail()) as server:
        by_mail(monkeypatch, server, house)
        (one,) = told("receipts_unread")
        assert "SSLCertVerificationError" in one.message
        assert server.asked == []
        by_mail(monkeypatch, server, house, RECEIPTS__CA_FILE=str(house / "ca.pem"))
        setting(monkeypatch, RECEIPTS__PASSWORD="wrong")
        (one,) = told("receipts_unread")
        assert "does not let us read" in one.message and "wrong" not in one.message


# ---------------------------------------------------------------- a server


def test_answers_on_the_server_files_go_to_are_fetched_by_sftp(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def of_server(place: Any, since: datetime, wanted: Any) -> Iterator[places.Found]:
        asked.append((place.folder, place.host, wanted("p_return.csv"), wanted("other.csv")))
        yield places.Found("p_return.csv", datetime.now(UTC), b"Patron No,Result\n9001,E\n")

    say(house, {**DELIMITED, "reason": ""})
    monkeypatch.setattr(places, "of_server", of_server)
    setting(
        monkeypatch,
        VIA="sftp",
        HOST="files.vendor.example",
        USER="u",
        PASSWORD="p",
        KNOWN_HOSTS="k",
        RECEIPTS__FOLDER="/return",
    )
    assert [one.key for one in told()] == ["c1"]
    assert asked == [("/return", "files.vendor.example", True, False)]


@pytest.mark.skipif(sftp_server.sshd() is None, reason="no OpenSSH server on this machine")
def test_answers_of_a_server_come_the_oldest_first_and_stay_there(tmp_path: Path) -> None:
    folder, keys = tmp_path / "there", tmp_path / "keys"
    folder.mkdir()
    keys.mkdir()
    now = datetime.now(UTC)
    for name, hours in (("b_return.csv", 5), ("a_return.csv", 1), ("c_return.csv", 999), ("x", 1)):
        (folder / name).write_text(name, "utf-8")
        when = (now - timedelta(hours=hours)).timestamp()
        os.utime(folder / name, (when, when))
    with sftp_server.openssh(folder, keys) as server:
        found = places.of_server(
            server.place(folder=str(folder)),
            now - timedelta(days=14),
            lambda name: name.endswith("_return.csv"),
        )
        assert [(one.name, one.data) for one in found] == [
            ("b_return.csv", b"b_return.csv"),
            ("a_return.csv", b"a_return.csv"),
        ]
    assert len([*folder.iterdir()]) == 4


def test_what_is_quoted_for_a_mail_server_stays_one_text() -> None:
    assert places._quoted('a"b\\c\r\n') == '"a\\"b\\\\c"'


def test_a_layout_may_be_that_of_another_target(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (house / "receipts" / "till.yml").rename(house / "receipts" / "common.yml")
    setting(monkeypatch, RECEIPTS__LAYOUT="common")
    answer(house, "Patron No,Result,Message\n9001,ERROR,a\n")
    assert [one.key for one in told()] == ["c1"]


def test_a_district_with_a_folder_of_its_own_has_its_layouts_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEROOM_DISTRICT", str(tmp_path))
    (tmp_path / "receipts").mkdir()
    say(tmp_path, DELIMITED)
    assert layout.load("till").entity == "patrons"


def test_the_layout_of_the_docs_can_be_followed(house: Path) -> None:
    text = (ROOT / "docs" / "receipts.md").read_text("utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.S)
    (house / "receipts" / "library.yml").write_text(textwrap.dedent(block), "utf-8")
    said = layout.load("library")
    (one, other) = layout.answers(said, b"Patron No,Result,Message\n1,OK,\n2,E,bad\n")
    assert (one.is_refused, other.is_refused, other.reason) == (False, True, "bad")
    for name in (*layout.Layout.model_fields, *places.Receipts.model_fields):
        assert f"`{name}`" in text or f"{name}:" in text, name
    with pytest.raises(ReceiptError, match="is not there"):
        layout.load("nothing")
