"""Both emulated platforms: their faults, their record of requests, their state, the vendors' SFTP,
the demo's commands.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from googleapiclient.errors import HttpError
from platform_kit import PASSWORD, STAFF, STUDENTS, GoogleClient, GraphClient, refused

from common import sftp, store
from common.paths import root
from demo import past
from demo.holdings import holdings
from demo.nights import District, RefusedError, begin
from demo.places import Places
from demo.platforms import Platforms, running

# --- faults


def test_a_lost_reply_leaves_the_write_behind(
    platforms: Platforms, google: GoogleClient, graph: GraphClient
) -> None:
    platforms.set_faults(lose_reply_after_commit=1)
    with pytest.raises(httpx.RemoteProtocolError):
        graph.user("lost.reply")
    body = {
        "primaryEmail": f"lost.reply@{STUDENTS}",
        "name": {"givenName": "A", "familyName": "B"},
        "password": PASSWORD,
    }
    # httplib2 sends a request again by itself when a kept connection was closed without a reply:
    # the writer meets its own account
    assert refused(google.directory.users().insert(body=body))[:2] == (409, "duplicate")
    platforms.set_faults(lose_reply_after_commit=0)
    assert google.directory.users().get(userKey=f"lost.reply@{STUDENTS}").execute()
    assert graph.call("GET", f"/users/lost.reply@{STUDENTS}").status_code == 200


def test_a_dropped_write_is_answered_as_done_and_not_kept(
    platforms: Platforms, google: GoogleClient, graph: GraphClient
) -> None:
    platforms.set_faults(drop_writes=1)
    assert google.user("dropped.one")["id"]
    assert graph.user("dropped.one").status_code == 201
    platforms.set_faults(drop_writes=0)
    assert refused(google.directory.users().get(userKey=f"dropped.one@{STUDENTS}"))[0] == 404
    assert google.user("dropped.one")["id"], "the address was not taken either"
    assert graph.user("dropped.one").status_code == 201


def test_lists_lag_behind_while_reads_by_key_are_current(
    platforms: Platforms, google: GoogleClient, graph: GraphClient
) -> None:
    platforms.set_faults(read_lag_seconds=0.4)
    user = google.user("late.one")
    google.directory.users().update(
        userKey=f"liam.smith@{STUDENTS}", body={"suspended": True}
    ).execute()
    graph.user("late.one")

    def listed() -> tuple[int, int]:
        lists = (
            google.directory.users().list(customer="my_customer", maxResults=500).execute()["users"]
        )
        assert [one["suspended"] for one in lists if one["primaryEmail"].startswith("liam.")] == [
            len(lists) == 41
        ]
        return len(lists), len(graph.pages("/users?$top=999")[0])

    assert listed() == (40, 40)
    assert (
        google.directory.users().get(userKey=user["id"]).execute()
        and graph.call("GET", f"/users/late.one@{STUDENTS}").status_code == 200
    )
    time.sleep(0.5)
    assert listed() == (41, 41)


def test_faults_are_turned_over_http_while_the_platform_runs(
    platforms: Platforms, google: GoogleClient
) -> None:
    address = platforms.environment["TARGETS__GOOGLE__ADDRESS"] + "/_emulator/faults"
    assert httpx.post(address, json={"random_5xx": 1}).json()["random_5xx"] == 1
    assert refused(google.directory.users().get(userKey=f"liam.smith@{STUDENTS}"))[:2] == (
        503,
        "backendError",
    )
    assert httpx.post(address, json={"gremlins": 1}).status_code == 400
    assert httpx.post(address, json={"random_5xx": 0, "latency_seconds": 0.2}).status_code == 200
    began = time.monotonic()
    google.directory.users().get(userKey=f"liam.smith@{STUDENTS}").execute()
    assert time.monotonic() - began >= 0.2
    assert (
        httpx.post(address.replace("/faults", "/save")).status_code == 200
        and platforms.places.state_of("google").is_file()
    )


# --- the record, the state, the vendors


def test_every_request_is_recorded_with_production_names_and_without_secrets(
    platforms: Platforms, google: GoogleClient, graph: GraphClient
) -> None:
    google.user("recorded.one")
    group = graph.group("recorded").json()["id"]
    user = graph.user("recorded.one").json()["id"]
    graph.batch(
        (
            "PATCH",
            f"/groups/{group}",
            {"members@odata.bind": [f"{graph.address}/directoryObjects/{user}"]},
        ),
        ("GET", "/users", None),
    )
    httpx.get(platforms.environment["TARGETS__GOOGLE__ADDRESS"] + "/_emulator/faults")
    text = platforms.places.requests.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert all(set(line) == {"method", "url", "headers", "body"} for line in lines)
    assert [line["method"] + " " + line["url"].split("?")[0] for line in lines] == [
        (
            "POST"
            f" https://login.microsoftonline.com/{platforms.environment['TARGETS__MICROSOFT__AUTHORITY'].rsplit('/', 1)[1]}/oauth2/v2.0/token"  # noqa: E501
        ),
        "POST https://oauth2.googleapis.com/token",
        "POST https://admin.googleapis.com/admin/directory/v1/users",
        "PATCH https://graph.microsoft.com/v1.0/groups(uniqueName='recorded')",
        "POST https://graph.microsoft.com/v1.0/users",
        "POST https://graph.microsoft.com/v1.0/$batch",
    ]
    assert all(line["headers"]["authorization"] == "Bearer -" for line in lines[2:])
    assert lines[-1]["body"]["requests"][0]["body"]["members@odata.bind"] == [
        f"https://graph.microsoft.com/v1.0/directoryObjects/{user}"
    ]
    for secret in (
        PASSWORD,
        platforms.environment["TARGETS__MICROSOFT__CLIENT_SECRET"],
        google.credentials.token,
        "localhost",
    ):
        assert secret not in text
    assert ".-&" in lines[1]["body"], "the assertion is there without its signature"


def test_the_state_outlives_the_servers_and_names_what_is_not_ours(tmp_path: Path) -> None:
    with running(tmp_path) as platforms:
        GoogleClient(platforms).user("stays.here")
        group = GraphClient(platforms).group("stays").json()["id"]
    with running(tmp_path) as platforms:
        assert (
            GoogleClient(platforms)
            .directory.users()
            .get(userKey=f"stays.here@{STUDENTS}")
            .execute()
        )
        assert GraphClient(platforms).call("GET", f"/groups/{group}").status_code == 200
    tables = json.loads((tmp_path / "platforms" / "google.json").read_text(encoding="utf-8"))
    held = holdings("google", tables)
    assert {
        "group": f"jazz.band@{STAFF}",
        "member": f"liam.smith@{STUDENTS}",
        "role": "MEMBER",
    } in held["members"]
    assert len(held["users"]) == 41 and held["schemas"] == [] and PASSWORD not in json.dumps(tables)
    held = holdings(
        "microsoft",
        json.loads((tmp_path / "platforms" / "microsoft.json").read_text(encoding="utf-8")),
    )
    assert "stays" in {one.get("uniqueName") for one in held["groups"]}
    assert f"liam.smith@{STUDENTS}" in {one["userPrincipalName"] for one in held["members"]}


def test_both_tenants_hold_the_same_unmanaged_people_and_no_key_of_ours(
    platforms: Platforms,
) -> None:
    google = platforms.google.store["users"].values()
    microsoft = platforms.microsoft.store["users"].values()
    assert {user["primaryEmail"] for user in google} == {
        user["userPrincipalName"] for user in microsoft
    }
    assert not any("customSchemas" in user for user in google) and not any(
        "onPremisesExtensionAttributes" in user for user in microsoft
    )


def test_each_vendor_is_shut_into_its_own_folder_over_sftp(
    platforms: Platforms, tmp_path: Path
) -> None:
    (platforms.places.extracts / "SchoolDetails.csv").write_text("x", encoding="utf-8")
    prefix = "TARGETS__PORTFOLIO__"
    setting = {
        name.removeprefix(prefix): value
        for name, value in platforms.environment.items()
        if name.startswith(prefix)
    }

    def place(user: str, key_file: str, folder: str = "") -> sftp.Place:
        return sftp.Place(
            setting["HOST"], int(setting["PORT"]), user, key_file, setting["KNOWN_HOSTS"], folder
        )

    sent = tmp_path / "students.csv"
    key_file = setting["KEY_FILE"]
    with sftp.connect(place(setting["USER"], key_file, setting["FOLDER"])) as remote:
        for content in (b"first", b"second"):
            sent.write_bytes(content)
            remote.put(sent, "students.csv")
        assert [(entry.name, entry.size) for entry in remote.list()] == [("students.csv", 6)]
    with sftp.connect(place(setting["USER"], key_file, "/platforms")) as remote:
        assert remote.size("google.json") is None
    assert (platforms.places.received / "portfolio" / "students.csv").read_bytes() == b"second"
    with sftp.connect(place("myedbc", key_file)) as remote:
        assert [entry.name for entry in remote.list()] == ["SchoolDetails.csv"]
    stranger = (
        platforms.places.state / "keys" / "sftp_host_ed25519"
    )  # a good key that was let in nowhere
    for user, key_file in (("portfolio", str(stranger)), ("nobody", setting["KEY_FILE"])):
        with (
            pytest.raises(sftp.SftpError, match="does not accept user"),
            sftp.connect(place(user, key_file)),
        ):
            pass
    assert stat.S_IMODE(Path(setting["KEY_FILE"]).stat().st_mode) == 0o600


def test_many_threads_write_at_once_and_nothing_is_lost(platforms: Platforms) -> None:
    clients, failures = [GoogleClient(platforms) for _ in range(4)], []

    def work(number: int, client: GoogleClient) -> None:
        try:
            for count in range(15):
                client.user(f"crowd.{number}.n{count}")
        except HttpError as error:
            failures.append(error)

    threads = [
        threading.Thread(target=work, args=(number, client))
        for number, client in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(platforms.google.store["users"]) == 100


# --- the command


def test_the_serve_verb_prints_its_environment_and_saves_when_its_input_closes(
    tmp_path: Path,
) -> None:
    command = [
        sys.executable,
        "-m",
        "demo",
        "serve",
        "--state",
        str(tmp_path / "s"),
        "--requests",
        str(tmp_path / "requests.jsonl"),
    ]
    with subprocess.Popen(
        [*command, "--faults", '{"random_5xx": 1}'],
        cwd=root(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        environment = json.loads(child.stdout.readline())
        assert (
            httpx.get(environment["TARGETS__GOOGLE__ADDRESS"] + "/_emulator/faults").json()[
                "random_5xx"
            ]
            == 1
        )
        child.stdin.close()
        assert child.wait(30) == 0
    assert (tmp_path / "s" / "google.json").is_file() and (
        tmp_path / "s" / "microsoft.json"
    ).is_file()
    wrong = subprocess.run(
        [*command, "--faults", '{"gremlins": 1}'],
        cwd=root(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode == 2 and "gremlins" in wrong.stderr and "Traceback" not in wrong.stderr


def test_the_with_verb_runs_a_command_against_the_saved_state(tmp_path: Path) -> None:
    environment = os.environ | {"HOMEROOM_VAR": str(tmp_path)}

    def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "demo", *arguments],
            cwd=root(),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    before = demo("state", "google")
    assert before.returncode == 2 and "make demo" in before.stderr
    assert demo("again").returncode == 2
    (tmp_path / "demo").mkdir(exist_ok=True)
    (tmp_path / "demo" / "district.json").write_text(
        '{"students": 60, "seed": 1, "day": 0}', encoding="utf-8"
    )
    ran = demo(
        "with",
        "--",
        sys.executable,
        "-c",
        "import os, sys; print(os.environ['TARGETS__GOOGLE__ADDRESS']); sys.exit(3)",
    )
    assert ran.returncode == 3 and ran.stdout.startswith("http://127.0.0.1:")
    held = json.loads(demo("state", "google").stdout)
    assert (
        set(held) >= {"users", "groups", "members", "org_units", "schemas"}
        and len(held["users"]) == 40
    )


def test_the_demo_does_not_empty_a_folder_it_did_not_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path))
    (tmp_path / "warehouse.duckdb").write_bytes(b"a real district")
    with pytest.raises(RefusedError, match=r"warehouse\.duckdb"):
        begin(60, 1)
    assert (tmp_path / "warehouse.duckdb").read_bytes() == b"a real district"


def test_the_demo_begins_from_nothing_in_a_folder_of_its_own_and_leaves_the_inbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path))
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "SchoolDetails.csv").write_text("somebody's", encoding="utf-8")
    begin(60, 1).tomorrow().write()
    assert District.there() == District(60, 1, 1)
    (tmp_path / "warehouse.duckdb").write_bytes(b"made by the demo")
    assert begin(60, 2) == District.there() == District(60, 2, 0)
    assert (
        not (tmp_path / "warehouse.duckdb").exists()
        and (tmp_path / "inbox" / "SchoolDetails.csv").exists()
    )
    assert (tmp_path / "demo" / "extracts" / "SchoolDetails.csv").is_file() and (
        tmp_path / "demo" / "hr.sqlite"
    ).is_file()


def test_a_lived_in_district_stays_one_from_day_to_day_and_its_ledger_knows_whose_accounts_stand_there(  # noqa: E501
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path))
    begin(60, 1, lived_in=True).tomorrow().write()
    assert District.there() == District(60, 1, 1, lived_in=True)
    places = Places.within(tmp_path / "demo")
    past.fill(places, 60, 1, lived_in=True)
    known = {one.key: one for one in past.known(60, 1)}
    google, microsoft = (
        holdings(name, json.loads(places.state_of(name).read_text(encoding="utf-8")))
        for name in ("google", "microsoft")
    )
    closed = {
        user["customSchemas"]["Homeroom"]["person_id"]: user["suspended"]
        for user in google["users"]
        if "customSchemas" in user
    }
    assert closed == {key: not one.is_open for key, one in known.items()}
    enabled = {
        user["onPremisesExtensionAttributes"]["extensionAttribute15"]: user["accountEnabled"]
        for user in microsoft["users"]
        if "onPremisesExtensionAttributes" in user
    }
    assert enabled == {key: one.is_open for key, one in known.items()}
    with store.connect() as connection:
        names = connection.execute(
            "select person_id, account_name || '@' || domain from ledger.identity.accounts"
        ).fetchall()
        latest = connection.execute(
            "select person_id, arg_max(state, event_number) from ledger.identity.lifecycle_events"
            " group by 1"
        ).fetchall()
    assert dict(names) == {key: one.address for key, one in known.items()}
    assert dict(latest) == {key: one.state for key, one in known.items()}


def test_two_pasts_of_one_district_are_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "demo", "run", "--lived-in", "--accounts-before"]
    ended = subprocess.run(
        command,
        cwd=root(),
        env=os.environ | {"HOMEROOM_VAR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "--accounts-before or --lived-in" in ended.stderr
