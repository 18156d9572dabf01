"""SFTP against a real server: whole files or none, and only with the host whose key is pinned."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sftp_server import Awkward, Server, cut_off, host_key_line, openssh, running, sshd

from common import paths, store
from common.sftp import Entry, SftpError, connect
from ingestion.__main__ import main


@pytest.fixture
def served(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    folder.mkdir()
    return folder


def test_files_are_listed_fetched_and_delivered(tmp_path: Path, served: Path) -> None:
    (served / "SchoolDetails.csv").write_bytes(b"School Number\r\n" * 100_000)
    (served / "half.csv.part").write_bytes(b"x")
    (served / "folder").mkdir()
    outgoing = tmp_path / "students.zip"
    outgoing.write_bytes(b"zip" * 700_000)
    with running(served, tmp_path / "keys") as server, connect(server.place()) as sftp:
        listed = sftp.list()
        assert [(entry.name, entry.size) for entry in listed] == [("SchoolDetails.csv", 1_500_000)]
        assert listed[0].modified_at.tzinfo is not None

        fetched = sftp.get("SchoolDetails.csv", tmp_path / "inbox" / "SchoolDetails.csv")
        assert fetched.read_bytes() == (served / "SchoolDetails.csv").read_bytes()

        receipt = sftp.put(outgoing, "students.zip")
        assert (receipt.name, receipt.size) == ("students.zip", 2_100_000)
        assert receipt.sha256 == hashlib.sha256(outgoing.read_bytes()).hexdigest()
        assert (sftp.size("students.zip"), sftp.size("nothing.zip")) == (2_100_000, None)
    assert (served / "students.zip").read_bytes() == outgoing.read_bytes()
    assert not list(served.glob("students.zip.part"))


def test_a_delivery_replaces_the_file_of_yesterday(tmp_path: Path, served: Path) -> None:
    (served / "students.csv").write_bytes(b"yesterday, and much longer than today")
    today = tmp_path / "students.csv"
    today.write_bytes(b"today")
    with running(served, tmp_path / "keys") as server, connect(server.place()) as sftp:
        sftp.put(today, "students.csv")
    assert (served / "students.csv").read_bytes() == b"today"


def test_a_server_without_posix_rename_still_gets_the_new_file(
    tmp_path: Path, served: Path
) -> None:
    (served / "students.csv").write_bytes(b"yesterday")
    today = tmp_path / "students.csv"
    today.write_bytes(b"today")
    with (
        running(
            served,
            tmp_path / "keys",
            awkward=Awkward(posix_rename=asyncssh.SFTPOpUnsupported("Operation unsupported")),
        ) as server,
        connect(server.place()) as sftp,
    ):
        sftp.put(today, "students.csv")
    assert sorted(path.name for path in served.iterdir()) == ["students.csv"]
    assert (served / "students.csv").read_bytes() == b"today"


@pytest.mark.parametrize(
    ("stores", "says"),
    [
        (lambda data: data[:-1], "250 bytes sent, 249 stored"),
        (lambda data: data + b"x", "250 bytes sent, 251 stored"),
        (lambda _: b"", "250 bytes sent, 0 stored"),
    ],
)
@pytest.mark.parametrize("rename", ["posix", "none"])
def test_a_delivery_of_which_not_every_byte_was_stored_leaves_the_file_of_yesterday(
    tmp_path: Path, served: Path, stores, says, rename
) -> None:
    """The server says it has them all; its disk is full, or it changed the line ends on the way."""
    (served / "students.csv").write_bytes(b"yesterday")
    today = tmp_path / "students.csv"
    today.write_bytes(b"today" * 50)
    with (
        running(
            served,
            tmp_path / "keys",
            stores=stores,
            awkward=Awkward(posix_rename=asyncssh.SFTPFailure("?") if rename == "none" else None),
        ) as server,
        connect(server.place()) as sftp,
    ):
        with pytest.raises(
            SftpError,
            match=(
                rf"students.csv was not delivered: {says}; ask the other side whether its disk is"
                r" full, then run again"
            ),
        ):
            sftp.put(today, "students.csv")
    assert {path.name: path.read_bytes() for path in served.iterdir()} == {
        "students.csv": b"yesterday"
    }


@pytest.mark.parametrize(
    "why", [asyncssh.SFTPPermissionDenied("the file is locked"), asyncssh.SFTPFailure("busy")]
)
def test_a_server_that_will_not_rename_keeps_the_file_of_yesterday_and_nothing_half_sent(
    tmp_path: Path, served: Path, why: asyncssh.SFTPError
) -> None:
    """Whatever it is asked by, it says no: nothing is removed to make room."""
    (served / "students.csv").write_bytes(b"yesterday")
    today = tmp_path / "students.csv"
    today.write_bytes(b"today")
    with (
        running(served, tmp_path / "keys", awkward=Awkward(posix_rename=why, rename=why)) as server,
        connect(server.place()) as sftp,
    ):
        with pytest.raises(
            SftpError, match=r"does not let us give it its name.*set temporary_name = false"
        ):
            sftp.put(today, "students.csv")
    assert {path.name: path.read_bytes() for path in served.iterdir()} == {
        "students.csv": b"yesterday"
    }


def test_files_are_listed_by_name_with_size_and_moment(tmp_path: Path, served: Path) -> None:
    for name, moment in (("b.csv", 1_790_000_000), ("a.csv", 1_700_000_000)):
        (served / name).write_bytes(name.encode() * (2 if name == "b.csv" else 1))
        os.utime(served / name, (moment, moment))
    (served / "link.csv").symlink_to("a.csv")
    with running(served, tmp_path / "keys") as server, connect(server.place()) as sftp:
        assert sftp.list() == [
            Entry("a.csv", 5, datetime.fromtimestamp(1_700_000_000, UTC)),
            Entry("b.csv", 10, datetime.fromtimestamp(1_790_000_000, UTC)),
        ]
        fetched = sftp.get("a.csv", tmp_path / "in" / "a.csv")
        assert (fetched, fetched.read_bytes()) == (tmp_path / "in" / "a.csv", b"a.csv")
    assert (
        str(server.place(folder="/extracts")) == f"sftp://homeroom@127.0.0.1:{server.port}/extracts"
    )


def test_a_folder_of_the_server_is_used(tmp_path: Path, served: Path) -> None:
    (served / "extracts").mkdir()
    (served / "extracts" / "a.csv").write_bytes(b"a")
    with running(served, tmp_path / "keys") as server:
        for folder in ("extracts", "/extracts"):
            with connect(server.place(folder=folder)) as sftp:
                assert [entry.name for entry in sftp.list()] == ["a.csv"]
                assert sftp.get("a.csv", tmp_path / "a.csv").read_bytes() == b"a"


def test_a_wrong_host_key_is_refused_before_anything_is_sent(tmp_path: Path, served: Path) -> None:
    with running(served, tmp_path / "keys") as server:
        other = tmp_path / "other_hosts"
        other.write_text(
            host_key_line(server.port, asyncssh.generate_private_key("ssh-ed25519")),
            encoding="ascii",
        )
        with (
            pytest.raises(SftpError, match="not the pinned one"),
            connect(server.place(known_hosts=str(other))),
        ):
            pass


def test_a_host_nobody_pinned_is_refused(tmp_path: Path, served: Path) -> None:
    empty = tmp_path / "no_hosts"
    empty.write_text("", encoding="ascii")
    with running(served, tmp_path / "keys") as server:
        with (
            pytest.raises(SftpError, match="no pinned key"),
            connect(server.place(known_hosts=str(empty))),
        ):
            pass
        with (
            pytest.raises(SftpError, match="no known_hosts file is set"),
            connect(server.place(known_hosts="")),
        ):
            pass


def test_an_unknown_user_key_and_a_missing_key_file_say_what_to_do(
    tmp_path: Path, served: Path
) -> None:
    stranger = tmp_path / "stranger"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(stranger)
    with running(served, tmp_path / "keys") as server:
        with (
            pytest.raises(SftpError, match="does not accept user homeroom"),
            connect(server.place(key_file=str(stranger))),
        ):
            pass
        missing = str(tmp_path / "nowhere")
        with (
            pytest.raises(SftpError, match="cannot be read"),
            connect(server.place(key_file=missing)),
        ):
            pass


def test_a_file_that_grows_while_it_is_read_is_not_kept(tmp_path: Path, served: Path) -> None:
    (served / "Students.csv").write_bytes(b"Student Number\r\n1\r\n")
    with (
        running(served, tmp_path / "keys", grow_while_read="Students.csv") as server,
        connect(server.place()) as sftp,
    ):
        with pytest.raises(SftpError, match="changed while it was read"):
            sftp.get("Students.csv", tmp_path / "inbox" / "Students.csv")
    assert list((tmp_path / "inbox").iterdir()) == []


def test_a_server_that_stops_answering_is_not_waited_for_for_ever(
    tmp_path: Path, served: Path
) -> None:
    (served / "Students.csv").write_bytes(b"Student Number\r\n1\r\n")
    with (
        running(served, tmp_path / "keys", silent=True) as server,
        connect(server.place(timeout=0.5)) as sftp,
    ):
        with pytest.raises(SftpError, match=r"no answer within 0\.5 s"):
            sftp.get("Students.csv", tmp_path / "inbox" / "Students.csv")


def test_names_that_would_leave_the_folder_are_refused(tmp_path: Path, served: Path) -> None:
    with running(served, tmp_path / "keys") as server, connect(server.place()) as sftp:
        for name in ("../passwd", "/etc/passwd", "a\\b", "", ".."):
            with pytest.raises(SftpError, match="not a plain file name"):
                sftp.size(name)


def test_a_host_that_is_not_there_and_a_missing_folder_say_what_to_do(
    tmp_path: Path, served: Path
) -> None:
    with running(served, tmp_path / "keys") as server:
        with (
            connect(server.place(folder="nowhere")) as sftp,
            pytest.raises(SftpError, match="check the folder"),
        ):
            sftp.list()
        gone = server.place()
    with pytest.raises(SftpError, match="could not connect"), connect(gone):
        pass


# ---------------------------------------------------------------- servers that are not OpenSSH's

TODAY = b"today" * 9_000  # three blocks
NO = st.builds(
    lambda kind, words: kind(words),
    st.sampled_from(
        [
            asyncssh.SFTPFailure,
            asyncssh.SFTPPermissionDenied,
            asyncssh.SFTPOpUnsupported,
            asyncssh.SFTPBadMessage,
        ]
    ),
    st.sampled_from(
        ["", "Failure", "nicht unterst\u00fctzt", "unknown command", "unsupported", "Error 50"]
    ),
)
SIZELESS = st.one_of(st.none(), st.just("no size"), NO)
AWKWARD = st.builds(
    Awkward,
    posix_rename=st.one_of(st.none(), NO),
    rename=st.one_of(st.none(), NO),
    stat=SIZELESS,
    listing=SIZELESS,
    remove=st.one_of(st.none(), NO),
    write=st.one_of(st.none(), st.none(), NO),
    close=st.one_of(st.none(), st.none(), NO),
    overwrites=st.booleans(),
    largest=st.sampled_from([1 << 14, 1 << 15, 1 << 18]),
    takes=st.one_of(st.none(), st.builds(list)),
)


@given(awkward=AWKWARD, yesterday=st.booleans(), left=st.booleans())
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_a_server_cannot_do_a_file_is_there_whole_or_yesterdays_is_and_it_is_said(
    tmp_path_factory: pytest.TempPathFactory, awkward: Awkward, yesterday: bool, left: bool
) -> None:
    tmp_path = tmp_path_factory.mktemp("awkward")
    served, today = tmp_path / "served", tmp_path / "students.csv"
    served.mkdir()
    today.write_bytes(TODAY)
    if yesterday:
        (served / "students.csv").write_bytes(b"yesterday")
    if left:  # by an upload that was killed
        (served / "students.csv.part").write_bytes(b"half")
    with (
        running(served, tmp_path / "keys", awkward=awkward) as server,
        connect(server.place()) as sftp,
    ):
        try:
            receipt = sftp.put(today, "students.csv")
        except SftpError as error:
            receipt = None
            assert "students.csv" in str(error)
        stays = {path.name: path.read_bytes() for path in served.iterdir()}
    taken = awkward.takes or []
    if receipt:
        assert not awkward.write
        assert not awkward.close, "a close that failed is no delivery"
        assert (receipt.size, receipt.sha256) == (len(TODAY), hashlib.sha256(TODAY).hexdigest())
        assert stays.get("students.csv") == TODAY or ("students.csv", TODAY) in taken
    elif awkward.takes is None:
        assert stays.get("students.csv") == (b"yesterday" if yesterday else None)
    # what a server can do by some way or other is done
    can_open = awkward.overwrites or not left or awkward.remove is None
    can_name = not awkward.rename or not awkward.posix_rename
    if can_open and can_name and not (awkward.write or awkward.close or awkward.takes is not None):
        assert receipt


@pytest.mark.parametrize("stat", ["no size", asyncssh.SFTPPermissionDenied("no")])
@pytest.mark.parametrize("listing", ["no size", asyncssh.SFTPPermissionDenied("no"), None])
def test_a_server_that_tells_no_size_is_delivered_to_and_read_from(
    tmp_path: Path, served: Path, stat, listing
) -> None:
    today = tmp_path / "students.csv"
    today.write_bytes(TODAY)
    digest = hashlib.sha256(TODAY).hexdigest()
    with (
        running(served, tmp_path / "keys", awkward=Awkward(stat=stat, listing=listing)) as server,
        connect(server.place()) as sftp,
    ):
        assert not sftp.holds("students.csv", len(TODAY), digest)
        assert sftp.put(today, "students.csv").size == len(TODAY)
        assert sftp.holds("students.csv", len(TODAY), digest)
        assert not sftp.holds("students.csv", len(TODAY), "0" * 64)
        assert sftp.get("students.csv", tmp_path / "back").read_bytes() == TODAY
        if not isinstance(listing, asyncssh.SFTPError):
            assert [entry.name for entry in sftp.list()] == ["students.csv"]


def test_a_file_that_changes_while_it_is_read_is_not_kept_where_no_size_is_told(
    tmp_path: Path, served: Path
) -> None:
    (served / "Students.csv").write_bytes(b"Student Number\r\n1\r\n")
    with (
        running(
            served,
            tmp_path / "keys",
            grow_while_read="Students.csv",
            awkward=Awkward(stat="no size", listing="no size"),
        ) as server,
        connect(server.place()) as sftp,
        pytest.raises(SftpError, match="changed while it was read"),
    ):
        sftp.get("Students.csv", tmp_path / "inbox" / "Students.csv")
    assert list((tmp_path / "inbox").iterdir()) == []


@pytest.mark.parametrize("fault", ["write", "close"])
@pytest.mark.parametrize("stat", [None, "no size"])
def test_a_write_or_a_close_that_fails_is_a_delivery_that_failed(
    tmp_path: Path, served: Path, fault: str, stat
) -> None:
    """The server's words are passed on, and yesterday's file stands."""
    (served / "students.csv").write_bytes(b"yesterday")
    today = tmp_path / "students.csv"
    today.write_bytes(TODAY)
    awkward = Awkward(**{fault: asyncssh.SFTPFailure("virus found"), "stat": stat})
    with (
        running(served, tmp_path / "keys", awkward=awkward) as server,
        connect(server.place()) as sftp,
        pytest.raises(SftpError, match=r"could not upload students\.csv: virus found"),
    ):
        sftp.put(today, "students.csv")
    assert {path.name: path.read_bytes() for path in served.iterdir()} == {
        "students.csv": b"yesterday"
    }


def test_a_watcher_that_takes_a_file_as_it_is_closed_is_given_it_under_its_own_name(
    tmp_path: Path, served: Path
) -> None:
    today = tmp_path / "students.csv"
    today.write_bytes(TODAY)
    for temporary_name, taken in (
        (True, [("students.csv.part", TODAY), ("students.csv", TODAY)]),
        (False, [("students.csv", TODAY)]),
    ):
        awkward = Awkward(takes=[])
        with (
            running(served, tmp_path / "keys", awkward=awkward) as server,
            connect(server.place(temporary_name=temporary_name)) as sftp,
        ):
            assert sftp.put(today, "students.csv").taken
        assert awkward.takes == taken


# ---------------------------------------------------------------- two servers, one wire that breaks


@pytest.fixture(params=["asyncssh", "openssh"])
def server(request: pytest.FixtureRequest, tmp_path: Path, served: Path) -> Iterator[Server]:
    if request.param == "openssh" and sshd() is None:
        pytest.skip("there is no sshd on this machine: install openssh-server to try the real one")
    with (openssh if request.param == "openssh" else running)(served, tmp_path / "keys") as there:
        yield there


def test_a_file_comes_and_goes_whole(server: Server, served: Path, tmp_path: Path) -> None:
    (served / "Students.csv").write_bytes(b"Student Number\r\n" * 50_000)
    outgoing = tmp_path / "out.csv"
    outgoing.write_bytes(b"today" * 50_000)
    with connect(server.place()) as sftp:
        assert [(entry.name, entry.size) for entry in sftp.list()] == [("Students.csv", 800_000)]
        assert (
            sftp.get("Students.csv", tmp_path / "inbox" / "Students.csv").read_bytes()
            == (served / "Students.csv").read_bytes()
        )
        for _ in range(2):  # the second replaces the first
            assert sftp.put(outgoing, "out.csv").size == 250_000
    assert (served / "out.csv").read_bytes() == outgoing.read_bytes()
    assert not list(served.glob("*.part"))


def test_a_host_that_shows_another_key_than_the_pinned_one_is_refused(
    server: Server, tmp_path: Path
) -> None:
    other = tmp_path / "other_hosts"
    other.write_text(
        host_key_line(server.port, asyncssh.generate_private_key("ssh-ed25519")), encoding="ascii"
    )
    with (
        pytest.raises(SftpError, match="not the pinned one"),
        connect(server.place(known_hosts=str(other))),
    ):
        pass


def test_a_wire_that_breaks_in_the_middle_of_a_file_leaves_the_last_good_rows(
    server: Server, served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source is read as in a night: three tries, then the feed is missing, and nothing half is
    kept.
    """
    heading = "staff_id,last_name,first_name\r\n"
    text = heading + "".join(f"{at},Ng,Zoë\r\n" for at in range(20_000))
    (served / "Employees.csv").write_text(text, encoding="utf-8", newline="")
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    monkeypatch.delenv("HOMEROOM_RUN", raising=False)
    after = [len(text) // 2, len(text) // 3]
    with cut_off(server, after) as wire:
        place = wire.place()
        location = f"sftp://{place.user}@127.0.0.1:{place.port}{place.folder or '/'}"
        facts = {
            "KIND": "files",
            "LAYOUT": "hr",
            "LOCATION": location,
            "KEY_FILE": place.key_file,
            "KNOWN_HOSTS": place.known_hosts,
            "WAIT_SECONDS": 0,
        }
        for name, value in facts.items():
            monkeypatch.setenv(f"SOURCES__HR__{name}", str(value))
        assert main(["--source", "hr"]) == 0, "the third try brought it"
        assert after == []

        (served / "Employees.csv").write_text(text + "20000,Li,\r\n", encoding="utf-8", newline="")
        after += [len(text) // 2] * 3
        assert main(["--source", "hr"]) == 3
    feed = json.loads((paths.runs() / "latest" / "feeds.json").read_text())[0]
    assert (feed["status"], feed["landed"]) == ("refused", 0)
    assert "its 20,000 rows of" in feed["message"]
    with store.connect() as connection:
        assert connection.execute(
            "select count(*), count(distinct _file) from raw_hr.employees"
        ).fetchone() == (20_000, 1)
    assert not list(paths.var().rglob("*.part"))
