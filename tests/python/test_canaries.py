"""What tells who somebody is, followed through bad nights: planted in the sources as words and
numbers nobody else uses, met by everything that goes wrong, and found only where it belongs.

The first night's rows are rejected, its targets refuse writes and quote the person, a model meets a
value it cannot read, and a step crashes with a row in its hands. The second night's files are
damaged, a heading line is a person, and the platforms answer with errors that quote.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import duckdb
import pyrage
import pytest
from conftest import District
from inbox import PASSWORD, Inbox, open_inbox

from demo.district import date_of
from demo.platforms import running
from demo.platforms.google import Google
from demo.platforms.http import Reply, Request
from demo.platforms.microsoft import Microsoft
from operations import page_rows
from reverse_etl import first_sheet

pytestmark = pytest.mark.long

# Of every column that tells who somebody is one word, in one row of it.
TELLING = re.compile(
    r"(?i)name|mail|teacher|street|address|apartment|community|municip|employ|prefix|lot|rural|box"
    r"|rr |concession|description|middle|band|country|language|custody|auth|proof|immigration"
)
PACKED = re.compile(r"(?<=>)\s*(?P<rows>H4sI[A-Za-z0-9+/=]{100,})\s*(?=<)")  # gzip's first bytes
NUMBERS = {  # headings, and a number nobody has
    r"(?i)^pen$": "717171701",
    r"(?i)home phone|^phone": "250-717-1702",
    r"(?i)cell": "250-717-1703",
    r"(?i)business phone$": "250-717-1704",
    r"(?i)care card": "7171717055",
    r"(?i)date of birth": "17-Jul-1917",
}
NUMBERED = r"717171701|717.?1702|717.?1703|717.?1704|7171717055|17-Jul-1917|1917-07-17"
PLANTED = re.compile(rf"(?i)qxz[a-z]{{2}}|{NUMBERED}")
# Where it belongs: what is landed, planned and sent, what it came in, and copies of that.
BELONGS = re.compile(
    r"(warehouse|ledger)\.duckdb.*|published/warehouse\.duckdb|archive/.*|backups/.*|demo/.*"
    r"|outbox/.*|inbox/.*|runs/[^/]+/(memory/.*|exports\.parquet)|replaced/.*|tmp/.*"
)
# A step that crashes with a row in its hands, in the process of that step alone.
CRASH = """
import sys
if {"reverse_etl", "verify"} <= set(sys.orig_argv):
    from reverse_etl import verify

    def crashes(*_, **__):
        # put together, for a line of code is quoted and is no row
        raise ValueError(str(("2734160", "Qxz" + "zz", "1917" + "-07-17", "250-717" + "-1702")))

    verify.verify = crashes
"""
BROKEN_MODEL = """{{ config(materialized='table') }}
select cast(legal_last_name as date) as d from {{ ref('students') }}"""


def word(number: int) -> str:
    return "Qxz" + "abcdefghij"[number // 10] + "abcdefghij"[number % 10]


def plant(extracts: Path) -> set[str]:
    """Put a word or number into each telling column; returns all that was put."""
    planted: set[str] = set()
    for path in sorted(extracts.iterdir()):
        rows = rows_of(path)
        if not re.search("(?i)student number|first name|user name", ",".join(rows[0])):
            continue
        for column, heading in enumerate(rows[0]):
            number = next(
                (value for said, value in NUMBERS.items() if re.search(said, heading)), ""
            )
            if not number and not TELLING.search(heading):
                continue
            value = number or word(len(planted) % 100)
            if "mail" in heading.lower():
                value = f"{value}@qxzme.example"
            # in rows that hold something there, else in any
            filled = [row for row in rows[1:] if len(row) == len(rows[0]) and row[column]]
            for row in (filled or rows[1:])[len(planted) % 7 :: 11][:3]:
                row[column] = value
            planted.add(value)
        write(path, rows)
    return planted


def encoding_of(path: Path) -> str:
    try:
        path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig" if path.read_bytes().startswith(b"\xef\xbb\xbf") else "utf-8"


def write(path: Path, rows: list[list[str]], end: str = "") -> None:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    path.write_text(out.getvalue() + end, encoding=encoding_of(path), newline="")


def rows_of(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_bytes().decode(encoding_of(path)), newline="")))


def spoil_rows(extracts: Path) -> None:
    """Rows with too many cells, too few, a quote nobody closes, values of the wrong kind."""
    for name, end in {
        "StudentDemographicInformation.csv": '"7474001","Qxzqa","Qxzqb"\r\n',
        "ParentInformation.csv": "7474001,8506487,Qxzqc,Qxzqd" + ",Qxzqe" * 60 + "\r\n",
        "EmergencyContactInformation.csv": '8506487,Qxzqf,"Qxzqg\r\n',
    }.items():
        write(extracts / name, rows_of(extracts / name), end)
    rows = rows_of(extracts / "StudentDemographicEnhanced.txt")
    for row in rows[3:6]:
        row[rows[0].index("Date of birth")] = "Qxzqh 17-Jul-1917"
    write(extracts / "StudentDemographicEnhanced.txt", rows)


def spoil_files(extracts: Path) -> None:
    """A heading line that is a person, a key twice with other names, a file cut inside a row."""
    path = extracts / "StudentDemographicEnhanced.txt"
    write(path, rows_of(path)[1:])
    path = extracts / "StaffInformation.csv"
    rows = rows_of(path)
    write(path, [*rows, [*rows[-1][:4], *["Qxzra Qxzrb"] * (len(rows[-1]) - 4)]])
    path = extracts / "ParentInformation.csv"
    rows = rows_of(path)
    write(path, [[*rows[0], "Qxzrc@qxzrd.example", "250-717-1702"], *rows[1:]])
    path = extracts / "StudentSchedule.csv"
    path.write_bytes(path.read_bytes()[:-9])


class Quotes:
    """Platforms that refuse what tells of a planted person, and quote it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.refused = 0
        for kind in (Google, Microsoft):
            patch.setattr(kind, "serve", self._instead(kind.serve))

    def _instead(self, real: Any) -> Any:
        def serve(platform: Any, request: Request) -> Reply:
            body = (request.body or b"").decode("utf-8", "replace")
            if request.method == "GET" or "token" in request.path or not PLANTED.search(body):
                return real(platform, request)
            self.refused += 1
            if request.path.endswith("/$batch"):
                asked = json.loads(body)["requests"]
                return Reply(200, {"responses": [_refusal(one["id"], one) for one in asked]})
            return Reply((400, 403, 412, 500)[self.refused % 4], _error(body))

        return serve


def _error(quoted: Any) -> dict[str, Any]:
    said = f"Invalid value: {quoted}"
    one = {"message": said, "reason": "invalid", "domain": "global", "location": str(quoted)}
    return {"error": {"code": "Request_BadRequest", "message": said, "errors": [one]}}


def _refusal(number: str, asked: dict[str, Any]) -> dict[str, Any]:
    return {"id": number, "status": 400, "headers": {}, "body": _error(json.dumps(asked))}


@pytest.fixture
def bad(two_nights: District, tmp_path: Path) -> District:
    """A copy of the district whose project has a model that meets a value it cannot read."""
    root = Path(shutil.copytree(two_nights.root, tmp_path / "checkout"))
    (root / "models" / "core" / "broken.sql").write_text(BROKEN_MODEL, encoding="utf-8")
    copied = two_nights.copy(tmp_path / "var")
    return District(copied.var, root)


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    (tmp_path / "inbox").mkdir()
    with open_inbox(tmp_path / "inbox") as opened:
        yield opened


def settings_of(inbox: Inbox, crash: Path, root: Path) -> dict[str, str]:
    """Everybody hears of everything, by every way there is."""
    smtp = {f"ALERTS__SMTP__{key.upper()}": str(value) for key, value in inbox.smtp.items()}
    return smtp | {
        "PYTHONPATH": f"{crash}:{root}",
        "HOMEROOM_AS_OF": date_of(2).isoformat(),
        "NIGHT__RETRY_AFTER_MINUTES": "false",
        "ALERTS__SMTP__PASSWORD": PASSWORD,
        "ALERTS__ROUTES__ALL__EMAIL": "operator@sd74.example",
        "ALERTS__ROUTES__ALL__LEVEL": "info",
        "ALERTS__ROUTES__ALL__SLACK": f"{inbox.web}/slack",
        "ALERTS__ROUTES__ALL__TEAMS": f"{inbox.web}/teams",
        "ALERTS__ROUTES__ALL__WEBHOOK": f"{inbox.web}/webhook",
        "ALERTS__INCIDENTS__KIND": "generic",
        "ALERTS__INCIDENTS__URL": f"{inbox.web}/incidents",
        "ALERTS__HEARTBEAT__URL": f"{inbox.web}/alive",
        "ALERTS__HEARTBEAT__FAILED_URL": f"{inbox.web}/failed",
        "ALERTS__WAIT_SECONDS": "0.05",
        "METRICS__OTLP": f"{inbox.web}/v1/metrics",
    }


# What people type after such a night, none of them asking for names.
LOOKS: tuple[tuple[str, ...], ...] = (
    ("operations", "status"),
    ("operations", "health"),
    ("operations", "report"),
    ("operations", "check"),
    ("operations", "alert"),
    ("operations", "explain", "8506487"),
    ("operations", "explain", "Qxzab"),
    ("reverse_etl", "show"),
    ("reverse_etl", "show", "--format", "csv"),
    ("reverse_etl", "show", "--status", "failed"),
    ("operations", "audit"),
    ("ingestion",),
    ("operations", "build"),
    ("reverse_etl", "plan"),
)


def unpacked(packed: re.Match[str]) -> str:
    """What a page's packed rows hold, for base64 spells any word of five letters by chance."""
    return json.dumps(page_rows.unpacked(packed["rows"]), ensure_ascii=False)


def leaks(said: dict[str, str]) -> dict[str, list[str]]:
    found = {where: sorted(set(PLANTED.findall(text)))[:5] for where, text in said.items()}
    return {where: words for where, words in found.items() if words}


def in_files(var: Path) -> dict[str, str]:
    return {
        str(path.relative_to(var)): PACKED.sub(
            unpacked, path.read_bytes().decode("utf-8", "replace")
        )
        for path in sorted(var.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and not BELONGS.fullmatch(str(path.relative_to(var)))
    }


def test_after_bad_nights_what_tells_who_somebody_is_stands_only_where_it_belongs(
    bad: District, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "crash").mkdir()
    (tmp_path / "crash" / "sitecustomize.py").write_text(CRASH, encoding="utf-8")
    given = settings_of(inbox, tmp_path / "crash", bad.root)
    quotes, said, extracts = Quotes(monkeypatch), {}, bad.var / "demo" / "extracts"
    with running(bad.var / "demo") as platforms:
        given = platforms.environment | given

        def typed(*command: str, **more: str) -> None:
            ended = subprocess.run(
                [sys.executable, "-m", *command],
                cwd=bad.root,
                env=bad.environment(**given, **more),
                capture_output=True,
                text=True,
                check=False,
                timeout=1800,
            )
            said[f"{len(said)} {' '.join(command)}"] = ended.stdout + ended.stderr

        lift = ("--allow", "update,rename,create,suspend,remove,drop", "--why", "a test")
        planted = plant(extracts)
        assert len(planted) >= 44 + len(NUMBERS), len(planted)
        typed("operations", "nightly", *lift)
        spoil_rows(extracts)
        typed("operations", "nightly", *lift)
        for look in LOOKS:
            typed(*look)
        spoil_files(extracts)
        typed("operations", "nightly", *lift)
    codes = {one["code"] for (run) in bad.summaries()[2:] for one in found(bad.var, run["run_id"])}
    assert quotes.refused > 5
    assert {"changes_failed", "model_failed", "step_failed", "feed_truncated"} <= codes, codes
    assert any(PLANTED.search(path.read_text("utf-8", "replace")) for path in extracts.iterdir())
    said |= {f"mail {at}": str(mail) for at, (_, mail) in enumerate(inbox.mails)}
    said |= {f"sent {at} {one[1]}": json.dumps(one) for at, one in enumerate(inbox.requests)}
    assert len(inbox.mails) >= 2 and {"/slack", "/teams", "/webhook", "/v1/metrics"} <= {
        one[1] for one in inbox.requests
    }
    # who asks for a word is told that word
    said = {
        name: text.replace("Qxzab", "") if "explain Qxzab" in name else text
        for name, text in said.items()
    }
    files = in_files(bad.var)
    assert {"metrics.prom", "pages/latest.html"} <= set(files)
    assert any(name.endswith("findings.jsonl") for name in files)
    assert leaks(said | files) == {}


def found(var: Path, run_id: str) -> list[dict[str, Any]]:
    text = (var / "runs" / run_id / "findings.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


# ---------------------------------------------------------------- secrets and first passwords


class Processes:
    """What every process of this machine was started with, looked at again and again."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._over = threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over.wait(0.2):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    self.seen.add(path.read_bytes())

    def __enter__(self) -> Self:
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._looking.join()


def in_tables(var: Path, wanted: str) -> list[str]:
    """The tables of every database that hold a text which fits."""
    found = []
    for file in sorted(var.rglob("*.duckdb")):
        with duckdb.connect() as memory:
            memory.execute(f"attach '{file}' as held (read_only)")
            tables = memory.execute(
                "select schema_name, table_name from duckdb_tables() where database_name = 'held'"
            ).fetchall()
            for schema, table in tables:
                (rows,) = memory.execute(
                    f'select count(*) from held."{schema}"."{table}" as t'
                    f" where regexp_matches(cast(t as varchar), '{wanted}')"
                ).fetchone() or (0,)
                found += [f"{file.name} {schema}.{table}"] * bool(rows)
    return found


def test_secrets_and_first_passwords_stand_nowhere_but_in_the_sealed_files(tmp_path: Path):
    lived = District(tmp_path / "var")
    key = pyrage.x25519.Identity.generate()
    with Processes() as processes:
        ended = lived.run(
            "demo", "run", "--students=60", "--seed=3", PASSWORDS__RECIPIENT=str(key.to_public())
        )
    sheet = first_sheet.opened(sorted((lived.var / "passwords").iterdir()), key)
    made = [slip.password for slip in sheet.slips]
    assert {slip.target for slip in sheet.slips} == {"google", "microsoft"}
    assert all(slip.shown for slip in sheet.slips), "a sheet says whose it is"
    (secret,) = (lived.var / "demo").rglob("microsoft-client-secret")
    wanted = "|".join(map(re.escape, [*made, secret.read_text()]))
    said = {"what was printed": ended.stdout + ended.stderr}
    files = {
        str(path.relative_to(lived.var)): path.read_bytes().decode("utf-8", "replace")
        for path in sorted(lived.var.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.suffix != ".duckdb"
    }
    where = [  # the emulated platforms know their own secret
        name
        for name, text in (said | files).items()
        if not name.endswith(secret.name) and re.search(wanted, text)
    ]
    assert where == []
    assert in_tables(lived.var, wanted) == []
    assert not [line for line in processes.seen if re.search(wanted.encode(), line)]
    # short names come up in sealed letters by chance; addresses cannot
    addresses = {v for slip in sheet.slips for v in slip.shown.values() if "@" in str(v)}
    sealed = "".join(path.read_text() for path in (lived.var / "passwords").iterdir())
    assert addresses
    assert not [one for one in addresses if one in sealed], "whose it is is sealed too"
