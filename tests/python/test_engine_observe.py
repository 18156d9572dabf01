"""Observing and verifying: a target is read as a whole or its last observation stays, and green
means converged.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from engine_bench import GROUPS, MEMBERS, USERS, Bench, FakeTarget, Model, manifest, results, user

from common import findings, store
from reverse_etl import applied, exports
from reverse_etl import observe as observing
from reverse_etl import verify as verifying
from reverse_etl.model import Column, Export, Outcome

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "var")


def test_what_a_target_holds_is_landed_and_replaced_the_next_time(bench: Bench) -> None:
    for number in (1, 2):
        bench.platform.put("users", {"person_id": f"p{number}", "suspended": False})
    assert bench.observe() == 0
    rows = bench.ask(
        """select person_id, suspended, given_name, _json is not null, _observed_at is not null,
        _dlt_load_id is not null
                        from raw_fake.users order by 1"""
    )
    assert rows == [
        ("p1", "false", None, True, True, True),
        ("p2", "false", None, True, True, True),
    ]
    left = [path for path in (bench.run.folder.parents[1] / "dlt").rglob("*") if path.is_file()]
    assert left == [], "no working folder keeps who was observed"
    bench.platform.objects["users"].clear()
    assert bench.observe() == 0
    assert bench.ask("select count(*) from raw_fake.users") == [(0,)]
    seen = bench.run.read("observed.json")["fake"]
    assert (seen["status"], seen["entities"]["users"]) == ("ok", 0)


def test_a_target_that_breaks_half_way_keeps_its_last_observation_and_the_other_goes_on(
    bench: Bench,
) -> None:
    class Breaks(FakeTarget):
        def observe(self, entity: str) -> Iterator:
            if entity == "members":
                raise ConnectionError("https://admin.example/users?query=jane.doe")
            return super().observe(entity)

    bench.platform.put("users", {"person_id": "p1"})
    assert bench.observe() == 0
    bench.platform.put("users", {"person_id": "p2"})
    targets = {"fake": Breaks(bench.platform), "other": FakeTarget(bench.platform)}
    assert observing.observe(bench.run, ["fake", "other"], lambda name: targets[name]) == 3
    assert bench.ask("select person_id from raw_fake.users") == [("p1",)]
    assert bench.ask("select person_id from raw_other.users order by 1") == [("p1",), ("p2",)]
    seen = bench.run.read("observed.json")
    assert (seen["fake"]["status"], seen["other"]["status"]) == ("failed", "ok")
    (found,) = findings.read(bench.run)
    assert (found["level"], found["target"], "jane" in found["message"]) == (
        "critical",
        "fake",
        False,
    )


def test_a_target_that_cannot_be_reached_still_has_its_tables_for_the_first_build(
    tmp_path: Path,
) -> None:
    os.environ["HOMEROOM_VAR"] = str(tmp_path / "var")
    observing.ensure_tables({"fake": FakeTarget})
    bench = Bench(tmp_path / "var")
    columns = [row[0] for row in bench.ask("describe raw_fake.names_taken")]
    assert columns == [
        "address",
        "kind",
        "remote_id",
        "person_id",
        "_json",
        "_observed_at",
        "_dlt_load_id",
    ]


def test_a_platform_that_says_yes_and_does_nothing_is_not_green(bench: Bench) -> None:
    bench.target.faults = lambda change: (
        Outcome(change.change_id, "applied", 200) if change.key == ("p2",) else None
    )
    bench.desire(users=[user(1), user(2)])
    assert bench.whole_night() == 0
    assert bench.verify() == 3
    assert bench.run.read("verify.json")["fake"]["users"] == {
        "desired": 2,
        "observed": 1,
        "residual": {"create": 1},
        "reasons": {"answered as done, not so when read back": 1},
        "converged": 0.5,
        "equal": 1,
        "waiting": 0,
        "different": 1,
        "waiting_for": {},
        "subjects": {"create": {"": 1}},
        "accounts": True,
    }


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (("failed", 403, "forbidden", "role holder"), "role holder"),
        (("failed", 403, "forbidden", ""), "forbidden"),
        (("applied", 200, "", ""), "answered as done, not so when read back"),
    ],
)
def test_a_leaver_whose_account_cannot_be_closed_is_critical_and_named_whatever_the_share(
    bench: Bench, answer: tuple, why: str
) -> None:
    bench.desire(users=[user(n) for n in range(1, 40)])
    bench.whole_night(allow="create", why="first")
    status, code, reason, note = answer
    bench.target.faults = lambda change: (
        Outcome(change.change_id, status, code, reason, note=note)
        if change.key == ("p2",) or (change.key == ("p3",) and status == "failed")
        else None
    )
    bench.desire(
        users=[
            user(1),
            user(2, suspended=True, school_number="s1"),
            user(3, given_name="Zoe"),  # a change that fails, but closes nobody
            *(user(n) for n in range(4, 40)),
        ]
    )
    bench.whole_night()
    assert bench.verify(level=0.5) == 3
    (found,) = [one for one in findings.read(bench.run) if one["code"] == "still_open"]
    assert (found["level"], found["key"], found["values"]["why"]) == ("critical", "p2", why)
    bench.target.faults = lambda change: None
    bench.whole_night()
    assert bench.verify() == 0
    assert not [one for one in findings.read(bench.run) if one["code"] == "still_open"]


@pytest.fixture
def braked(tmp_path: Path) -> Bench:
    limits = {"create": 1000, "suspend": 2, "restore": 2}
    return Bench(tmp_path / "var", [replace(USERS, meta={**USERS.meta, "limits": limits})])


def leavers(bench: Bench, *gone: int, known: int = 40) -> None:
    """So many people have accounts, and these have left since."""
    bench.desire(users=[user(n) for n in range(1, known)])
    bench.whole_night(allow="create", why="first")
    bench.desire(users=[user(n, suspended=n in gone) for n in range(1, known)])


def open_still(bench: Bench) -> list[tuple[str, int, str]]:
    found = [one for one in findings.read(bench.run) if one["code"].startswith("still_open")]
    assert {one["level"] for one in found} <= {"critical"}
    return [(one["code"], one["values"]["count"], one["values"]["keys"]) for one in found]


def test_a_leaver_whose_closing_is_held_is_critical_until_it_is_done(braked: Bench) -> None:
    bench = braked
    leavers(bench, *range(2, 12))  # more than the limit lets close in a night
    assert bench.whole_night() == 2
    assert bench.verify() == 0, "it waits for a person, as the plan said"
    ((code, count, keys),) = open_still(bench)
    assert (code, count, keys) == ("still_open_held", 10, "p10, p11, p2, p3, p4")
    (found,) = [one for one in findings.read(bench.run) if one["code"] == code]
    assert "accounts of leavers are open: 10 are not closed" in found["message"]
    assert "limit" in found["message"]
    bench.whole_night(allow="suspend", why="they left")
    bench.verify()
    assert open_still(bench) == []


def test_a_leaver_whose_closing_was_planned_and_not_pushed_is_critical(bench: Bench) -> None:
    leavers(bench, 2)
    bench.new_night()
    bench.observe()
    bench.plan()  # and the push is refused, or ended before it
    assert bench.verify() == 3
    assert open_still(bench) == [("still_open_not_pushed", 1, "p2")]
    bench.push()
    bench.run.write("verify.json", {})
    before = len(findings.read(bench.run))
    assert bench.verify() == 0
    assert not [one for one in findings.read(bench.run)[before:] if "still_open" in one["code"]]


def test_an_opening_that_is_held_is_no_leaver_whose_account_is_open(braked: Bench) -> None:
    bench = braked
    bench.desire(users=[user(n, suspended=True) for n in range(1, 40)])
    bench.whole_night(allow="create", why="first")
    bench.desire(users=[user(n, suspended=n > 20) for n in range(1, 40)])
    assert bench.whole_night() == 2, "so many openings are held"
    bench.verify()
    assert open_still(bench) == []


def test_what_a_platform_lists_late_is_looked_at_again(bench: Bench) -> None:
    bench.desire(users=[user(1)])
    bench.whole_night()
    hidden = dict(bench.platform.objects["users"])
    bench.platform.objects["users"].clear()
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        bench.platform.objects["users"].update(hidden)

    assert (
        verifying.verify(
            bench.run, bench.night, lambda _: bench.observe(), pauses=(5.0, 20.0), sleep=sleep
        )
        == 0
    )
    assert waited == [5.0]


@pytest.mark.parametrize(
    ("away", "told"), [("since the push", ["not_verified"]), ("all night", [])]
)
def test_a_target_that_cannot_be_read_back_is_told_of_unless_that_was_known_and_nothing_was_written(
    bench: Bench, away: str, told: list[str]
) -> None:
    def nobody_answers() -> None:
        bench.run.write(
            "observed.json",
            {
                "fake": {
                    "status": "failed",
                    "observed_at": "",
                    "entities": {},
                    "read_calls": 6,
                    "error": "unreachable",
                }
            },
        )

    bench.desire(users=[user(1)])
    bench.observe()
    if away == "all night":
        nobody_answers()
    bench.plan()
    bench.push()
    assert verifying.verify(bench.run, bench.night, lambda _: nobody_answers(), pauses=()) == (
        3 if told else 0
    )
    assert [one["code"] for one in findings.read(bench.run) if one["level"] == "critical"] == told


# ---------------------------------------------------------------- what dbt's documents say


def load(*models: Model) -> exports.Exports:
    return exports.read(manifest(models), results(models))


def test_an_export_knows_its_key_owners_limits_references_and_feeds() -> None:
    read = load(replace(USERS, feeds=("students", "staff")), MEMBERS)
    users = next(e for e in read.good if e.entity == "users")
    assert (users.key, users.context, users.partition) == (
        ("person_id",),
        ("school_number", "source"),
        "school_number",
    )
    assert users.feeds == (("myedbc", "staff"), ("myedbc", "students"))
    assert [c.name for c in users.compared] == [
        "primary_email",
        "given_name",
        "org_unit_path",
        "suspended",
    ]
    assert [c.name for c in users.sent if c.owner == "initial"] == ["usage_location"]
    assert "nickname" not in [c.name for c in users.sent]


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"key": []}, "key is missing"),
        ({"key": "person_id"}, "must be a list"),
        ({"key": ["nobody"]}, "names column 'nobody'"),
        ({"context": ["person_id"]}, "a key is always sent"),
        ({"on_absent": "explode"}, "must be one of ignore, suspend, remove, delete"),
        ({"limits": {"crate": 1}}, "limits has no action 'crate'"),
        ({"file": {"nam": "x"}}, "file has no setting 'nam'"),
        ({"file": {"name": "x", "quoting": "some"}}, "file.quoting is 'some'"),
        ({"file": {"name": "x", "header": "yes"}}, "file.header is 'yes'"),
    ],
)
def test_meta_that_cannot_be_followed_refuses_its_export_with_file_and_key(
    meta: dict, words: str
) -> None:
    read = load(replace(USERS, meta={**USERS.meta, **meta}), GROUPS)
    assert [export.entity for export in read.good] == ["groups"]
    (refusal,) = read.unreadable
    assert refusal.reason.startswith("models/exp_fake__users.yml: meta.export")
    assert words in refusal.reason


def test_an_unknown_owner_of_a_column_is_refused() -> None:
    (refusal,) = load(replace(USERS, owners={"nickname": "nobody"})).unreadable
    assert "column nickname: owner is 'nobody'" in refusal.reason


def test_two_exports_of_one_entity_are_refused() -> None:
    class Twin(Model):
        name = "exp_fake__users_again"

    twin = Twin(USERS.entity, USERS.columns, USERS.meta, USERS.owners)
    (refusal,) = load(USERS, twin).unreadable
    assert "is already the export of exp_fake__users" in refusal.reason


def test_a_build_older_than_the_run_is_not_planned_from(bench: Bench) -> None:
    bench.desire(users=[user(1)])
    old = {**results(bench.models), "metadata": {"generated_at": "2020-01-01T00:00:00Z"}}
    bench.run.write("dbt/run_results.json", old)
    with pytest.raises(exports.ExportsMissingError, match="older than the run"):
        bench.plan()


# ---------------------------------------------------------------- the commands


def command(var: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOMEROOM_VAR": str(var), "HOMEROOM_RUN": "", "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, "-m", "reverse_etl", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_verbs_without_a_run_or_a_plan_say_what_to_run_and_exit_two(tmp_path: Path) -> None:
    for verb in ("push", "verify", "show"):
        ended = command(tmp_path / "var", verb)
        assert ended.returncode == 2, ended.stderr
        assert 'run "make plan"' in ended.stderr
    ended = command(tmp_path / "var", "plan", "--allow", "create")
    assert ended.returncode == 2
    assert "needs a reason" in ended.stderr


def test_a_target_or_a_run_there_is_none_of_is_refused_by_every_verb(tmp_path: Path) -> None:
    for verb in ("check", "observe", "plan", "show", "push", "verify"):
        ended = command(tmp_path / "var", verb, "--target", "gogle")
        assert (ended.returncode, ended.stdout) == (2, "")
        assert (
            "'gogle' is no target; configured are callout, google, microsoft, portfolio, transport"
            in ended.stderr
        )
    ended = command(tmp_path / "var", "show", "--run", "20270907T030000Z-0000")
    assert ended.returncode == 2 and "there is no run 20270907T030000Z-0000 under" in ended.stderr


def test_a_target_of_a_kind_nobody_knows_is_told_in_the_morning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGETS__GOOGLE__KIND", "gogle")
    ended = command(tmp_path / "var", "observe", "--target", "google")
    assert ended.returncode == 3
    [told] = findings.read(SimpleNamespace(folder=tmp_path / "var" / "runs" / "latest"))
    assert (told["level"], told["code"], told["target"]) == (
        "critical",
        "target_unreadable",
        "google",
    )
    assert (
        "[targets.google] kind is 'gogle'; it must be one of google, microsoft, files"
        in told["message"]
    )


def test_show_names_nobody_unless_asked(bench: Bench) -> None:
    bench.desire(users=[user(1, given_name="Jane")])
    bench.whole_night()
    bench.desire(users=[user(1, given_name="Janet")])
    bench.whole_night()
    classed = manifest(bench.models)
    node = classed["nodes"]["model.homeroom.exp_fake__users"]
    for name, column in node["columns"].items():
        column["config"]["meta"]["personal_data"] = "name" if name == "given_name" else "none"
    bench.run.write("dbt/manifest.json", classed)
    plain, named = (
        command(bench.run.folder.parent.parent, "show"),
        command(bench.run.folder.parent.parent, "show", "--names"),
    )
    assert plain.returncode == named.returncode == 0, plain.stderr
    assert (
        "update fake users p1 school 07474001 [applied]: changed in source: given_name"
        in plain.stdout
    )
    assert "Jane" not in plain.stdout
    assert "given_name: Jane -> Janet" in named.stdout


def test_what_a_target_says_in_an_exports_own_columns_needs_no_staging_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEROOM_PROJECT", str(tmp_path))
    export = Export(
        "exp_shop__items",
        '"exports"."exp_shop__items"',
        "shop",
        "items",
        ("code",),
        (
            Column("code"),
            Column("price", "decimal(9,2)"),
            Column("why"),
            Column("by", role="adopt"),
        ),
        context=("why", "by"),
    )
    shop = SimpleNamespace(
        raw_columns={"items": ("remote_id", "code", "price")}, exports={"items": export}
    )
    monkeypatch.setenv("HOMEROOM_VAR", str(tmp_path / "var"))
    observing.ensure_tables({"shop": shop})
    with store.connect() as connection:
        connection.execute(
            "insert into raw_shop.items (remote_id, code, price) values ('1', 'A', '1.5'), ('2',"
            " 'B', 'dear'), ('3', null, '2')"
        )
        assert connection.execute("from staging.stg_shop__items order by 1").fetchall() == [
            ("1", "A", Decimal("1.50")),
            ("2", "B", None),
        ]
        orphans = connection.execute("from staging.stg_shop__orphan_items").fetchall()
        assert orphans == [("3", None, Decimal("2.00"))]
        connection.execute("drop view staging.stg_shop__items")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "stg_shop__items.sql").write_text("select 1", encoding="utf-8")
    observing.ensure_tables({"shop": shop})
    with store.connect() as connection:  # the model says it
        assert applied.columns(connection, "staging.stg_shop__items") == {}
