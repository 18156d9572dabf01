"""Many districts in one run: none sees another, one that fails takes nothing with it, the budget of
cores and memory holds, and one status, page and message say which needs a person, worst first.
Nights are stand-ins that write what a night writes; the whole, with real ones, is a long test.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import pytest

from common import paths
from operations import channels, province, province_page, province_settings

DISTRICTS = 10
NIGHT = """
import json, os, pathlib, signal, sys, time
var = pathlib.Path(os.environ["HOMEROOM_VAR"]); var.mkdir(parents=True, exist_ok=True)
(var / "environment.json").write_text(json.dumps(dict(os.environ)))
said = json.loads(os.environ["NIGHT"])
began = time.time()
held = bytearray(said.get("megabytes", 0) * 1000000)
time.sleep(said.get("sleeps", 0))
(var / "when.json").write_text(json.dumps([began, time.time(), sorted(os.sched_getaffinity(0))]))
if "signal" in said: os.kill(os.getpid(), said["signal"])
if "summary" in said:
    run = var / "runs" / "20260901T000000Z"; run.mkdir(parents=True, exist_ok=True)
    (run / "summary.json").write_text(json.dumps(said["summary"]))
    (run.parent / "latest").unlink(missing_ok=True); (run.parent / "latest").symlink_to(run.name)
    (var / "pages").mkdir(exist_ok=True); (var / "pages" / (run.name + ".html")).write_text("page")
print(said.get("says", ""), flush=True)
sys.exit(said.get("code", 0))
"""


def summary(**changed: Any) -> dict[str, Any]:
    target = {"applied": 7, "held": 0, "failed": 0, "skipped": 0}
    feed = {"source": "sis", "feed": "students", "status": "landed"}
    return {"as_of": "2026-09-01", "targets": [target], "feeds": [feed], "findings": {}} | changed


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A province's folder, in which this process works as the verb does."""
    script = tmp_path / "night.py"
    script.write_text(NIGHT, encoding="utf-8")
    monkeypatch.setattr(province, "command", lambda: [sys.executable, str(script)])
    monkeypatch.setattr(province, "GRACE", 0.5)
    for name in ("HOMEROOM_DISTRICT", "HOMEROOM_PROJECT", "HOMEROOM_VAR"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("A_SECRET_OF_THE_OPERATOR", "hush")
    return tmp_path / "bc"


def begun(home: Path, nights: dict[str, dict[str, Any]], top: str = "", **said: str) -> Path:
    """A folder with a district for each night, with an environment of its own."""
    text = f"[province]\n{top}\n"
    for name, night in nights.items():
        folder = home / name
        (folder / ".dlt").mkdir(parents=True)
        (folder / ".dlt" / "config.toml").touch()
        secrets = home / f"{name}.env"
        secrets.write_text(
            f"# of {name}\nNIGHT={json.dumps(night)}\nTARGETS__CRM__TOKEN=secret-of-{name}\n",
            "utf-8",
        )
        secrets.chmod(0o600)
        text += (
            f'[[districts]]\nname = "{name}"\nfolder = "{name}"\nenvironment = "{name}.env"\n'
            f"{said.get(name, '')}\n"
        )
    (home / "province.toml").write_text(text, encoding="utf-8")
    assert province_settings.enter(str(home)) == home
    return home


def by_name(found: list[province.Outcome]) -> dict[str, province.Outcome]:
    return {one.district: one for one in found}


def test_one_is_killed_one_has_a_bad_feed_and_the_others_converge(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {"source": "sis", "feed": "classes", "status": "refused"}
    nights: dict[str, dict[str, Any]] = {
        f"sd{number}": {"summary": summary()} for number in range(1, 6)
    }
    nights |= {
        "killed": {"signal": int(signal.SIGKILL)},
        "feed": {"code": 2, "summary": summary(feeds=[refused], findings={"critical": 1})},
        "locked": {"code": 2, "says": "another night is running"},
        "found": {"summary": summary(findings={"critical": 2})},
        "partly": {"code": 3, "summary": summary()},
    }
    (begun(home, nights) / ".dlt").mkdir()
    (home / ".dlt" / "config.toml").write_text(
        '[alerts]\n[alerts.routes.all]\nwebhook = "https://alerts.example/hook"\n', encoding="utf-8"
    )
    sent: list[channels.Message] = []
    monkeypatch.setitem(channels.CHANNELS, "webhook", lambda _to, message: sent.append(message))
    found = province.run(home)
    assert [(one.district, one.state) for one in found] == [
        ("locked", "refused"),
        ("killed", "killed"),
        ("partly", "partly"),
        ("feed", "waits"),
        ("found", "critical"),
        *((f"sd{number}", "well") for number in range(1, 6)),
    ]
    assert by_name(found)["feed"].sentence == "feed sis.classes refused; 1 critical findings"
    assert "another night is running" in by_name(found)["locked"].sentence
    assert f"make nightly DISTRICT={home}/killed goes on" in by_name(found)["killed"].sentence
    assert all(one.processor > 0 and one.memory > 0 for one in found)
    said = province.known()
    page = province_page.write(said).read_text("utf-8")
    assert "10 districts: 5 need a person" in page
    places = [page.index(f">{one.district}", page.index("<tbody>")) for one in found]
    assert places == sorted(places)  # worst first
    assert (home / "feed" / "var" / "pages" / "20260901T000000Z.html").as_uri() in page
    assert province_page.code(said["districts"]) == 3
    assert province_page.alert(said["districts"]) == 0
    assert [(one.subject, one.level) for one in sent] == [
        ("Homeroom: 10 districts: 5 need a person", "critical")
    ]
    assert sent[0].text.index("locked") < sent[0].text.index("killed") < sent[0].text.index("feed:")
    assert "sd1" not in sent[0].text


def test_no_district_sees_another_or_the_operators_own_secrets(home: Path) -> None:
    begun(home, {"one": {"summary": summary()}, "two": {"summary": summary()}})
    province.run(home)
    for name, other in (("one", "two"), ("two", "one")):
        given = json.loads((home / name / "var" / "environment.json").read_text("utf-8"))
        assert given["HOMEROOM_DISTRICT"] == str(home / name)
        assert given["HOMEROOM_VAR"] == str(home / name / "var")
        assert given["TARGETS__CRM__TOKEN"] == f"secret-of-{name}"
        assert given["HOMEROOM_MEMORY"] == "500MB"
        ours = {
            *province_settings.EVERY_PROGRAM,
            *("HOME", "HOMEROOM_DISTRICT", "HOMEROOM_VAR", "HOMEROOM_MEMORY"),
            *("NIGHT", "TARGETS__CRM__TOKEN"),
        }
        assert set(given) - ours <= {"LC_CTYPE"}  # which Python itself sets
        assert other not in json.dumps({key: one for key, one in given.items() if key != "PATH"})


def test_never_more_at_once_than_the_budget_holds_and_tenants_take_turns(home: Path) -> None:
    nights = {f"n{number}": {"sleeps": 0.4, "summary": summary()} for number in range(6)}
    begun(
        home,
        nights,
        'cores = 2\nmemory = "3GB"',
        n0='memory = "2GB"',
        n1='memory = "2GB"',
        n2='tenants = ["shared"]',
        n3='tenants = ["shared"]',
    )
    province.run(home)
    when = {
        name: json.loads((home / name / "var" / "when.json").read_text("utf-8")) for name in nights
    }

    def together(one: str, other: str) -> bool:
        return when[one][0] < when[other][1] and when[other][0] < when[one][1]

    assert not together("n0", "n1")  # 4GB of 3
    assert not together("n2", "n3")
    for name in nights:
        at_once = [other for other in nights if other != name and together(name, other)]
        for first in at_once:
            assert not [one for one in at_once if one != first and together(first, one)]
        assert len(when[name][2]) == 1  # and each keeps to the core it was given


def test_a_night_that_takes_longer_than_its_hours_is_ended_with_all_it_started(home: Path) -> None:
    begun(home, {"slow": {"sleeps": 60}}, "hours = 0.0003")
    began = time.monotonic()
    (found,) = province.run(home)
    assert time.monotonic() - began < 30
    assert (found.state, "longer than its hours" in found.sentence) == ("killed", True)


def test_a_district_is_next_planned_with_what_it_took(home: Path) -> None:
    begun(home, {"big": {"megabytes": 300, "sleeps": 1.5, "summary": summary()}})
    (found,) = province.run(home)
    assert 300_000_000 < found.memory < 1_000_000_000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[province]\n", "names no district"),
        ("[provinc]\n", r"\[provinc\] is no table of it"),
        ("[province]\ncoers = 2\n", "coers: no such key"),
        ('[province]\nmemory = "lots"\n', "write it as 4GB"),
        ('[[districts]]\nname = "a b"\nfolder = "x"\n', "name"),
        ('[[districts]]\nname = "a"\nfolder = "x"\n' * 2, "two districts have the name a"),
        (
            '[[districts]]\nname = "a"\nfolder = "x"\n[[districts]]\nname = "b"\nfolder = "./x"\n',
            "two districts have the folder",
        ),
        (
            '[province]\nmemory = "1GB"\n[[districts]]\nname = "a"\nfolder = "x"\nmemory = "2GB"\n',
            "its night would never begin",
        ),
        ("[province\n", "province.toml"),
    ],
)
def test_a_province_nobody_can_follow_is_said(home: Path, text: str, says: str) -> None:
    home.mkdir()
    (home / "province.toml").write_text(text, encoding="utf-8")
    with pytest.raises(province_settings.ProvinceError, match=says):
        province_settings.read(home)


def test_secrets_others_can_read_keep_that_district_alone_from_beginning(home: Path) -> None:
    begun(home, {"open": {"summary": summary()}, "shut": {"summary": summary()}})
    (home / "open.env").chmod(0o644)
    found = by_name(province.run(home))
    assert (found["open"].state, found["shut"].state) == ("refused", "well")
    assert found["open"].sentence.endswith(f"chmod go= {home / 'open.env'}")
    assert not (home / "open" / "var" / "environment.json").exists()


def published(home: Path, name: str, *statements: str) -> None:
    copy = home / name / "var" / "published" / "warehouse.duckdb"
    copy.parent.mkdir(parents=True)
    with duckdb.connect(str(copy)) as connection:
        connection.execute("create schema core")
        for statement in statements:
            connection.execute(statement)


def test_one_view_has_the_district_in_every_row_and_only_reads(home: Path) -> None:
    begun(home, {"one": {}, "two": {}, "none": {}})
    published(home, "one", "create table core.students as select '7' as number")
    published(
        home,
        "two",
        "create table core.students as select 'A' as grade, '8' as number",
        "create table core.buses as select 1 as bus",
    )
    connection, left_out = province_page.view(home, province_settings.read(home)[1])
    assert connection.execute(
        "select district, number, grade from core.students order by all"
    ).fetchall() == [("one", "7", None), ("two", "8", "A")]
    assert connection.execute("from core.buses").fetchall() == [("two", 1)]
    assert [line.split(":")[0] for line in left_out] == ["none is left out"]
    for statement in (
        "insert into of_one.core.students values ('9')",
        f"copy core.students to '{home}/out.csv'",
        f"from read_text('{home}/one.env')",
        "set enable_external_access = true",
    ):
        with pytest.raises(duckdb.Error):
            connection.execute(statement)


def test_the_verb_needs_a_folder_with_a_province_in_it(home: Path) -> None:
    for folder in ("", str(home)):
        with pytest.raises(province_settings.ProvinceError, match=r"there is no province\.toml"):
            province_settings.enter(folder)


def test_the_page_of_the_docs_is_a_province(home: Path) -> None:
    text = (paths.root() / "docs" / "province.md").read_text("utf-8")
    home.mkdir()
    (home / "province.toml").write_text(text.split("```toml\n")[1].split("```")[0], "utf-8")
    budget, members = province_settings.read(home)
    assert (budget.cores, [one.name for one in members]) == (8, ["sd74", "sd75", "sd76"])
    states = text.split("Worst first: ")[1].split(". The same")[0].replace("\n", " ")
    assert states.replace(" with", ", with") == ", ".join(province.STATES.values())


def test_the_commands_of_the_docs_end_as_they_say(home: Path) -> None:
    begun(home, {"one": {}})
    published(home, "one", "create table core.students as select '7' as number")
    (home / "var").mkdir(mode=0o700)

    def typed(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "operations", "province", *words, "--", str(home)],
            cwd=paths.root(),
            capture_output=True,
            text=True,
            check=False,
        )

    asked = typed("--ask", "select district, count(*) from core.students group by all order by all")
    assert (asked.returncode, "one" in asked.stdout) == (0, True), asked.stderr
    assert typed("--status").stdout == "no run of this province yet\n"
    said = {
        "ended_at": "",
        "districts": [asdict(province.Outcome("one", state="waits", sentence="5 changes held"))],
    }
    (home / "var" / "province.json").write_text(json.dumps(said), encoding="utf-8")
    status = typed("--status")
    assert (status.returncode, status.stdout.splitlines()[0]) == (2, "1 districts: 1 need a person")
    assert "5 changes held" in status.stdout


@pytest.mark.long
def test_ten_districts_one_killed_one_with_a_bad_feed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Real nights: ten districts of 50 people each on their own emulated platforms, two at once."""
    from contextlib import ExitStack

    from demo import past
    from demo.district import date_of
    from demo.nights import begin, folder, platforms
    from demo.places import Places
    from operations import init_district

    names = [f"sd{number:02}" for number in range(DISTRICTS)]
    begun(home, {name: {} for name in names}, 'cores = 2\nmemory = "4GB"')
    nights = [sys.executable, "-m", "operations", "nightly", "--allow", "create", "--why", "first"]
    monkeypatch.setattr(province, "command", lambda: nights)
    with ExitStack() as stack:
        for number, name in enumerate(names):
            (home / name / ".dlt" / "config.toml").unlink()
            (home / name / ".dlt").rmdir()
            monkeypatch.setenv("HOMEROOM_DISTRICT", str(home / name))
            init_district.begin()
            monkeypatch.setenv("HOMEROOM_VAR", str(home / name / "var"))
            today = begin(50, seed=number + 1)
            past.fill(Places.within(folder()), 50, number + 1, lived_in=False)
            given = stack.enter_context(platforms())
            given |= {"HOMEROOM_AS_OF": date_of(today.day).isoformat()}
            more = {key: one for key, one in given.items() if os.environ.get(key) != one}
            (home / f"{name}.env").write_text(
                "".join(f"{key}={one}\n" for key, one in more.items() if "\n" not in one), "utf-8"
            )
        extracts = home / "sd01" / "var" / "demo" / "extracts"
        bad = next(file for file in extracts.rglob("*") if "Demographic" in file.name)
        bad.write_bytes(bad.read_bytes()[: bad.stat().st_size // 3])
        province_settings.enter(str(home))
        kept_to = province._keep_to

        def kill_one(pid: int, cores: list[int]) -> None:
            kept_to(pid, cores)
            whose = Path(f"/proc/{pid}/environ").read_bytes()
            if f"{home}/sd02".encode() in whose:
                os.kill(pid, signal.SIGKILL)

        monkeypatch.setattr(province, "_keep_to", kill_one)
        found = by_name(province.run(home))
    with capsys.disabled():
        print(*province_page.lines(province.known()["districts"]), sep="\n")
    assert found["sd02"].state == "killed"
    assert found["sd01"].state != "well"
    assert "refused" in found["sd01"].sentence or "missing" in found["sd01"].sentence
    others = [one for name, one in found.items() if name not in ("sd01", "sd02")]
    assert all(one.code in (0, 2) and one.applied for one in others), others
