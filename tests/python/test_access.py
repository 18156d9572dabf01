"""Who may read what: every entry leaves nothing to others whatever the caller's umask, what others
could read is refused with the command that mends it, and a group is let in to what is made to be
read and to nothing else.

How another user of the machine fares on a server set up as the docs say: test_deploy.py.
"""

from __future__ import annotations

import grp
import os
import re
import runpy
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from night_kit import night

from common import access, paths, settings
from operations import alerts, page, publish, schedule
from operations import check as operations_check
from operations import report as reports

ROOMS = {
    "ingestion": ("ingest",),
    "reverse_etl": ("show", "plan"),
    "operations": ("status", "resume"),
    "demo": ("again",),
}


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    (tmp_path / "house" / ".dlt").mkdir(parents=True)
    monkeypatch.setattr(settings, "home", lambda: tmp_path / "house")
    settings._files.cache_clear()
    before = os.umask(0o077)
    os.umask(before)
    yield paths.var()
    os.umask(before)
    settings._files.cache_clear()


def typed(room: str, verb: str, monkeypatch: pytest.MonkeyPatch, capsys) -> tuple[object, str]:
    """`python -m <room> <verb>` in this process: its exit code and what it printed."""
    monkeypatch.setattr(sys, "argv", [room, verb])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(room, run_name="__main__", alter_sys=True)
    printed = capsys.readouterr()
    return ended.value.code, printed.out + printed.err


def others(folder: Path) -> dict[str, str]:
    """Everything under a folder that is not for its owner alone."""
    return {
        str(path): oct(path.stat().st_mode)
        for path in (folder, *folder.rglob("*"))
        if not path.is_symlink() and path.stat().st_mode & 0o077
    }


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
@pytest.mark.parametrize(("room", "verb"), [(room, verb) for room in ROOMS for verb in ROOMS[room]])
def test_every_entry_leaves_nothing_to_others_whatever_the_callers_umask(
    room: str, verb: str, monkeypatch: pytest.MonkeyPatch, capsys
):
    os.umask(0)
    typed(room, verb, monkeypatch, capsys)
    assert os.umask(0) == 0o077


def test_there_is_no_entry_that_is_not_tried_here():
    house = Path(access.__file__).parents[1]
    entries = {path.parent.name for path in house.glob("*/__main__.py")}
    assert entries == set(ROOMS)


def test_what_a_verb_writes_under_an_open_umask_is_for_its_user_alone(var: Path):
    words = ("-m", "operations", "pause", "--until=2027-09-07", "--why=summer")
    house = Path(access.__file__).parents[1]
    subprocess.run([sys.executable, *words], cwd=house, umask=0, check=True, capture_output=True)
    assert (var / "interventions.jsonl").is_file() and others(var) == {}


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
@pytest.mark.parametrize("mode", [0o750, 0o701, 0o710, 0o705, 0o777])
@pytest.mark.parametrize("room", ["ingestion", "reverse_etl", "operations"])
def test_a_state_folder_others_can_come_into_is_refused_with_the_command_that_mends_it(
    room: str, mode: int, var: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    var.chmod(mode)
    code, said = typed(room, ROOMS[room][-1], monkeypatch, capsys)
    assert code in (1, 2) and list(var.iterdir()) == []
    command = re.search(r"others can read it: (chmod .*)", said)[1]
    assert command == f"chmod -R go-rwx {var}"
    subprocess.run(command.split(), check=True)
    access.closed()


SECRETS = {
    ".dlt/secrets.toml": {},
    "keys/sftp": {"SOURCES__MYEDBC__KEY_FILE": "keys/sftp"},
    "keys/google.json": {"TARGETS__GOOGLE__CREDENTIALS": "keys/google.json"},
    "keys/graph.pem": {"TARGETS__MICROSOFT__CERTIFICATE": "keys/graph.pem"},
}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
@pytest.mark.parametrize("name", SECRETS)
def test_a_file_with_a_secret_others_can_read_is_refused(
    name: str, mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "house" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("")
    for setting, value in SECRETS[name].items():
        monkeypatch.setenv(setting, value)
    access.closed()
    file.chmod(mode)
    with pytest.raises(access.TooOpenError, match=rf"{file} .*: chmod go-rwx {file}"):
        access.closed()


def test_a_secret_of_roots_may_be_read_through_a_group_and_by_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "house" / ".dlt" / "secrets.toml"
    file.write_text("")
    file.chmod(0o640)
    nights = SimpleNamespace(stat=lambda: SimpleNamespace(st_uid=4711, st_mode=0o40700))
    with pytest.raises(access.TooOpenError, match="chmod go-rwx"):
        access.closed()
    monkeypatch.setattr(paths, "var", lambda: nights)
    access.closed()
    file.chmod(0o644)
    with pytest.raises(access.TooOpenError, match="chmod go-rwx"):
        access.closed()


def test_check_and_install_say_that_others_can_read_the_state(
    var: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    said: list[str] = []
    assert operations_check.check(said.append) == 0
    assert said[0].endswith("the published copy for nobody else, the pages for nobody else")
    var.chmod(0o755)
    said.clear()
    assert operations_check.check(said.append) == 3
    assert said[0].startswith("access: not usable: ") and f"chmod -R go-rwx {var}" in said[0]
    with pytest.raises(schedule.ScheduleError, match="chmod -R go-rwx"):
        schedule.install(tmp_path / "units", schedule.owner())


# ---------------------------------------------------------------- letting a group in


def groups() -> list[str]:
    """Two groups this process may give a file to, if there are two."""
    numbers = (
        [one.gr_gid for one in grp.getgrall() if one.gr_gid]
        if os.geteuid() == 0
        else sorted({os.getegid(), *os.getgroups()})
    )
    return [grp.getgrgid(number).gr_name for number in numbers[:2]]


def modes(var: Path) -> dict[str, tuple[str, str]]:
    """Mode and group of the folders of the state, and of what is not for the owner alone."""
    return {
        str(path.relative_to(var)): (f"{stat.S_IMODE(path.stat().st_mode):o}", path.group())
        for path in sorted(var.rglob("*"))
        if not path.is_symlink() and (path.stat().st_mode & 0o077 or path.parent == var)
    }


def lived(var: Path) -> None:
    """Two nights, their pages, and a file where the copy stands."""
    for number in range(2):
        run, summary = night(number)
        run.write("plan.json", {"plan_id": str(number)})
        page.write(run, summary)
    paths.published().parent.mkdir(exist_ok=True, mode=0o700)
    paths.published().write_text("")
    paths.published().chmod(0o400)
    paths.metrics().write_text("")
    publish.documents()


def test_with_no_group_named_nothing_is_for_anybody_else(var: Path):
    lived(var)
    reports.let_read()
    assert others(var) == {}


def test_a_group_is_let_in_to_the_copy_and_the_pages_and_what_is_closed_again_is_closed(
    var: Path, monkeypatch: pytest.MonkeyPatch
):
    (group, *_) = groups()
    lived(var)
    monkeypatch.setenv("ACCESS__PUBLISHED", group)
    reports.let_read()
    assert stat.S_IMODE(var.stat().st_mode) == 0o710 and var.group() == group
    found = modes(var)
    assert found.pop("published") == ("750", group)
    assert found.pop("published/warehouse.duckdb") == ("440", group)
    assert {mode for name, (mode, _) in found.items() if "/" not in name} == {"700", "600"}
    assert {name.split("/")[0] for name in found if "/" in name} == {"published"}
    access.closed()
    monkeypatch.setenv("ACCESS__PUBLISHED", "")
    with pytest.raises(access.TooOpenError):
        access.closed()
    reports.let_read()
    assert others(var) == {}


def test_two_groups_each_see_their_own_and_the_state_folder_lists_nothing(
    var: Path, monkeypatch: pytest.MonkeyPatch
):
    if len(groups()) < 2:
        pytest.skip("this user is in one group only")
    readers, web = groups()
    lived(var)
    monkeypatch.setenv("ACCESS__PUBLISHED", readers)
    monkeypatch.setenv("ACCESS__PAGES", web)
    reports.let_read()
    assert stat.S_IMODE(var.stat().st_mode) == 0o711
    found = modes(var)
    assert found["published"] == ("750", readers) and found["pages"] == ("750", web)
    assert found["pages/latest.html"] == found["metrics.prom"] == ("640", web)
    access.closed()
    (var / "ledger.duckdb").write_text("")
    (var / "ledger.duckdb").chmod(0o644)
    with pytest.raises(access.TooOpenError, match=f"{var}/ledger.duckdb can be read by others"):
        access.closed()


def test_a_group_that_is_not_there_hinders_no_report_and_is_said(
    var: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    lived(var)
    monkeypatch.setenv("ACCESS__PAGES", "readers-of-no-machine")
    reports.let_read()
    assert "sudo groupadd readers-of-no-machine" in capsys.readouterr().err
    assert others(var) == {}


def test_a_group_the_nights_user_is_not_in_is_said_with_how_to_join_it(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    monkeypatch.setattr(os, "getegid", lambda: 65534)
    monkeypatch.setattr(os, "getgroups", list)
    monkeypatch.setenv("ACCESS__PAGES", grp.getgrgid(0).gr_name)
    monkeypatch.setattr(access, "closed", lambda: None)
    with pytest.raises(access.NoSuchGroupError, match="sudo usermod -aG root "):
        access.check()


def test_beside_the_copy_stand_the_documents_of_the_latest_runs_and_of_no_others(
    var: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(publish.history, "NIGHTS", 2)
    for number in range(3):
        run, _ = night(number)
        run.write("plan.json", {"plan_id": str(number)})
        run.write("observed.json", {})
        (run.folder / "dbt").mkdir()
        (run.folder / "dbt" / "manifest.json").write_text("{}")
        publish.documents()
    kept = paths.published().parent / "runs"
    assert [path.name[:8] for path in sorted(kept.glob("2*"))] == ["20261002", "20261003"]
    assert (kept / "latest").resolve() == (kept / run.run_id).resolve()
    assert {path.name for path in (kept / run.run_id).iterdir()} == {*publish.DOCUMENTS, "dbt"}
    assert len(list(kept.rglob("manifest.json"))) == 1, "of the newest"


def test_who_may_read_the_copy_only_is_given_what_stands_beside_it(
    var: Path, monkeypatch: pytest.MonkeyPatch
):
    lived(var)
    (var / "incidents.json").write_text("[]")
    publish.documents()
    closed = (var / "runs", var / "incidents.json")
    monkeypatch.setattr(paths, "may_read", lambda path: path not in closed)
    assert paths.runs() == var / "published" / "runs"
    assert alerts.open_incidents() == []
    assert paths.incidents() == var / "published" / "incidents.json"


# ---------------------------------------------------------------- who it was


@pytest.mark.parametrize("name", ["USER", "LOGNAME", "USERNAME", "LNAME", "SUDO_USER", "WHO"])
def test_who_typed_it_is_the_user_of_the_system_and_no_free_word(
    monkeypatch: pytest.MonkeyPatch, name: str
):
    me = paths.name_of(os.getuid())
    for other in ("USER", "LOGNAME", "USERNAME", "LNAME", "SUDO_USER"):
        monkeypatch.delenv(other, raising=False)
    plain = access.typed_by()
    monkeypatch.setenv(name, "the superintendent")
    assert access.typed_by() == plain and (plain == me or plain.endswith(f"(as {me})"))


def test_who_logged_in_or_said_sudo_stands_beside_that_user(monkeypatch: pytest.MonkeyPatch):
    me = paths.name_of(os.getuid())
    another = next(one.pw_name for one in access.pwd.getpwall() if one.pw_name != me)
    number = access.pwd.getpwnam(another).pw_uid
    real = Path.read_text

    def logged_in(user: int) -> None:
        monkeypatch.setattr(
            Path,
            "read_text",
            lambda path, *given, **more: (
                str(user) if path.name == "loginuid" else real(path, *given, **more)
            ),
        )

    logged_in(access.NOBODY)
    monkeypatch.setenv("SUDO_USER", another)
    assert access.typed_by() == f"{another} (as {me})"
    logged_in(os.getuid())  # the kernel's word before the environment's
    assert access.typed_by() == me
    monkeypatch.delenv("SUDO_USER")
    logged_in(number)
    assert access.typed_by() == f"{another} (as {me})"
