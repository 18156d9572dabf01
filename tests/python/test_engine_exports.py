"""Reading exports out of dbt's documents: every setting as it is written, every mistake with its
file and key, every build judged.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from common import paths
from reverse_etl import exports
from reverse_etl.model import Column, Export, FileFormat, Limit

CONTACTS = """
models:
  - name: exp_crm__contacts
    config:
      meta:
        export:
          target: crm
          entity: contacts
          key: [contact_id]
          context: [branch, protected]
          subject: contact_id
          partition: branch
          hold: protected
    columns:
      - {name: contact_id, data_type: string, config: {meta: {field: externalId}}}
      - name: mail
        data_type: string
        config: {meta: {personal_data: contact, field: emails.work, role: login}}
      - {name: state, data_type: string, config: {meta: {role: switch, off_value: closed}}}
      - {name: branch, data_type: string}
      - {name: protected, data_type: string}
"""
CONTACTS_TWICE = CONTACTS + CONTACTS.split("models:")[1].replace("exp_crm__contacts", "exp_again")
CONTACTS_WRONG = CONTACTS.replace("key: [contact_id]", "keys: [contact_id]")

UID = "model.homeroom.exp_fake__users"
SIGNED = "test.homeroom.personal_data_is_signed_exp_fake__users_.1"


def node(meta: Any = None, columns: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    given = (
        {"target": "fake", "entity": "users", "key": ["id"]} | (meta or {})
        if isinstance(meta, dict | None)
        else meta
    )
    listed = {
        name: {"name": name, "data_type": "text", "config": {"meta": said}}
        for name, said in ({"id": {}, "name": {}, "school": {}} | (columns or {})).items()
    }
    return {
        "resource_type": "model",
        "name": "exp_fake__users",
        "schema": "exports",
        "alias": None,
        "patch_path": "homeroom://models/users.yml",
        "config": {"meta": {"export": given}},
        "columns": listed,
    } | more


def parsed(meta: Any = None, columns: dict[str, Any] | None = None, **more: Any) -> Export:
    one = node(meta, columns, **more)
    return exports.parsed(one, one["config"]["meta"]["export"], (("myedbc", "students"),))


def test_an_export_that_says_little_is_the_careful_kind() -> None:
    one = parsed()
    assert (one.model, one.relation, one.target, one.entity, one.key) == (
        "exp_fake__users",
        '"exports"."exp_fake__users"',
        "fake",
        "users",
        ("id",),
    )
    assert (one.on_absent, one.when_empty, one.context, one.partition, one.file, one.feeds) == (
        "ignore",
        "hold",
        (),
        None,
        None,
        (("myedbc", "students"),),
    )
    assert (one.references, one.after) == ({}, {})
    assert one.columns == tuple(Column(name, "text") for name in ("id", "name", "school"))
    assert parsed(alias="other", columns={}).relation == '"exports"."other"'


def test_an_export_that_says_all_is_taken_at_its_word() -> None:
    one = parsed(
        {
            "on_absent": "delete",
            "when_empty": "write",
            "context": ["school"],
            "partition": "school",
            "references": {"name": "groups"},
            "on_drift": "leave",
            "after": {"name": "google.users"},
            "limits": {"create": 3, "columns": {"name": "5%"}},
            "file": {"name": "a.csv", "header": False},
        },
        {
            "id": {"owner": "initial"},
            "name": {
                "on_drift": "take_over",
                "ignoring": ["case", "order"],
                "personal_data": "name",
                "header": "Name",
                "field": "name.full",
                "role": "login",
            },
            "school": {"owner": "theirs", "ignoring": "spaces"},
        },
    )
    assert (one.on_absent, one.when_empty, one.context, one.partition, one.references) == (
        "delete",
        "write",
        ("school",),
        "school",
        {"name": "groups"},
    )
    assert (one.after, one.limits.per_run, one.limits.columns) == (
        {"name": ("google", "users")},
        {"create": Limit(count=3)},
        {"name": Limit(share=0.05)},
    )
    assert one.file == FileFormat("a.csv", header=False)
    assert one.columns == (
        Column("id", "text", "initial", on_drift="leave"),
        Column(
            "name",
            "text",
            personal_data="name",
            header="Name",
            field="name.full",
            role="login",
            on_drift="take_over",
            ignoring=("case", "order"),
        ),
        Column("school", "text", "theirs", on_drift="leave", ignoring=("spaces",)),
    )


@pytest.mark.parametrize(
    ("meta", "columns", "words"),
    [
        ("users", {}, "meta.export must be a table of settings, not 'users'"),
        ({"keys": 1}, {}, "meta.export has no setting 'keys'; known are "),
        ({"target": ""}, {}, "meta.export.target is missing"),
        ({"entity": ""}, {}, "meta.export.entity is missing"),
        ({"key": []}, {}, "meta.export.key is missing"),
        ({"key": "id"}, {}, "meta.export.key is 'id'; it must be a list of columns"),
        ({"context": "school"}, {}, "meta.export.context is 'school'; it must be a list"),
        (
            {"on_drift": "x"},
            {},
            "meta.export.on_drift is 'x'; it must be one of revert, leave, take_over",
        ),
        ({"when_empty": "x"}, {}, "meta.export.when_empty is 'x'; it must be one of hold, write"),
        (
            {"on_absent": "x"},
            {},
            "meta.export.on_absent is 'x'; it must be one of ignore, suspend, remove, delete",
        ),
        ({"key": ["x"]}, {}, "meta.export.key names column 'x', which the model does not list"),
        ({"context": ["x"]}, {}, "meta.export.context names column 'x'"),
        ({"references": {"x": "users"}}, {}, "meta.export.references names column 'x'"),
        ({"after": {"x": "a.b"}}, {}, "meta.export.after names column 'x'"),
        ({"partition": "x"}, {}, "meta.export.partition names column 'x'"),
        ({"subject": "x"}, {}, "meta.export.subject names column 'x'"),
        ({"hold": "x"}, {}, "meta.export.hold names column 'x'"),
        (
            {"hold": "name"},
            {},
            "meta.export.hold is 'name', which is no context column; a hold is never sent",
        ),
        ({}, {"name": {"role": "x"}}, "column name: role is 'x'; it must be one of login, switch"),
        ({}, {"name": {"role": "switch"}}, "column name: off_value is None and role 'switch'; a"),
        ({}, {"name": {"off_value": True}}, "column name: off_value is True and role ''; a column"),
        ({}, {"name": {"role": "switch", "off_value": [1]}}, "column name: off_value is [1]"),
        (
            {},
            {"name": {"role": "deleted"}, "school": {"role": "deleted"}},
            "columns name, school have role deleted; one column may",
        ),
        (
            {"context": ["name"]},
            {"name": {"role": "login"}},
            "column name: role login is for a column that is not context",
        ),
        (
            {},
            {"name": {"role": "adopt"}},
            "column name: role adopt is for a column that is context",
        ),
        *(
            (
                {"context": ["name"]},
                {"name": {says: value}},
                f"column name: has {says} and would not be sent, for it is named in context",
            )
            for says, value in (("header", "Name"), ("field", "a.b"), ("max_length", 3))
        ),
        (
            {"file": {"name": "a.csv"}},
            {"name": {"owner": "theirs"}},
            "column name: owner is theirs, and a file has no value of theirs to keep",
        ),
        ({"limits": {"columns": {"x": 1}}}, {}, "meta.export.limits.columns names column 'x'"),
        (
            {"limits": {"per_partition": {"columns": {"x": 1}}}},
            {},
            "meta.export.limits.per_partition.columns names column 'x'",
        ),
        (
            {"key": ["name", "id"], "context": ["name", "id"]},
            {},
            "meta.export.context holds key column 'id'; a key is always sent",
        ),
        (
            {"after": {"name": "google"}},
            {},
            "meta.export.after.name is 'google'; write target.entity, for example crm.contacts",
        ),
        ({"after": {"name": ".users"}}, {}, "meta.export.after.name is '.users'"),
        ({}, {"name": {"owners": "x"}}, "meta.export, column name has no setting 'owners'"),
        ({}, {"name": {"owner": "x"}}, "column name: owner is 'x'; it must be one of ours"),
        ({}, {"name": {"on_drift": "x"}}, "column name.on_drift is 'x'"),
        (
            {},
            {"name": {"ignoring": ["case", "x"]}},
            "column name: ignoring is ['case', 'x']; it may name case",
        ),
        (
            {"file": {"header": True}},
            {},
            "meta.export.file.name is missing: it says what the vendor calls the file",
        ),
        ({"file": {"name": "a", "zip": "b"}}, {}, "meta.export.file has no setting 'zip'"),
        ({"file": {"name": 3}}, {}, "meta.export.file.name is 3, which does not fit"),
        (
            {"file": {"name": "a", "delimiter": ";;"}},
            {},
            "meta.export.file.delimiter is ';;', which does not fit",
        ),
        (
            {"file": {"name": "a", "delimiter": ""}},
            {},
            "meta.export.file.delimiter is '', which does not fit",
        ),
        *(
            (
                {"file": {"name": "a", name: "x"}},
                {},
                f"meta.export.file.{name} is 'x'; it must be one of",
            )
            for name in ("quoting", "encoding", "line_end", "when_empty")
        ),
    ],
)
def test_a_mistake_is_told_with_its_file_and_its_key(meta: Any, columns: dict, words: str) -> None:
    with pytest.raises(exports.ExportError) as caught:
        parsed(meta, columns)
    assert str(caught.value).startswith("models/users.yml: meta.export")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("quoting", ["minimal", "all", "none"]),
        ("encoding", ["utf-8", "utf-8-sig"]),
        ("line_end", ["crlf", "lf"]),
        ("when_empty", ["skip", "send"]),
        ("delimiter", [",", "\t"]),
    ],
)
def test_a_file_may_be_of_every_documented_form(name: str, values: list[str]) -> None:
    for value in values:
        assert getattr(parsed({"file": {"name": "a", name: value}}).file, name) == value


# ---------------------------------------------------------------- what a build says of them


def read(*nodes: dict[str, Any], **status: str) -> exports.Exports:
    tests = {
        SIGNED: {
            "resource_type": "test",
            "name": "signed",
            "attached_node": UID,
            "depends_on": {"nodes": [UID]},
        }
    }
    every = {
        f"model.homeroom.{one['name']}" if one["resource_type"] == "model" else one["uid"]: one
        for one in nodes
    } or {UID: node()}
    said = {UID: "success", SIGNED: "pass"} | {
        name.replace("__", "."): value for name, value in status.items()
    }
    return exports.read(
        {"nodes": tests | every, "sources": {}, "parent_map": {}},
        {"results": [{"unique_id": name, "status": value} for name, value in said.items()]},
    )


def judged(status: dict[str, str], extra: dict[str, Any] | None = None) -> str:
    tests = {
        SIGNED: {
            "resource_type": "test",
            "name": "signed",
            "attached_node": UID,
            "depends_on": {"nodes": [UID]},
        }
    } | (extra or {})
    manifest = {"nodes": {UID: node()} | tests, "sources": {}, "parent_map": {}}
    found = exports.read(
        manifest,
        {
            "results": [
                {"unique_id": name, "status": value}
                for name, value in ({UID: "success", SIGNED: "pass"} | status).items()
            ]
        },
    )
    return found.refused[0][1].reason if found.refused else "" if found.good else "unreadable"


def test_of(name: str, **more: Any) -> dict[str, Any]:
    return {
        f"test.homeroom.{name}.2": (
            {
                "resource_type": "test",
                "name": name,
                "attached_node": UID,
                "depends_on": {"nodes": [UID]},
            }
            | more
        )
    }


test_of.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["name", "birth", "contact", "address", "family"])
def test_the_key_of_an_object_never_tells_who_somebody_is_and_a_files_is_shown_as_a_stand_in(
    kind: str,
) -> None:
    columns = {"mail": {"personal_data": kind}}
    meta: dict[str, Any] = {"key": ["id", "mail"]}
    with pytest.raises(exports.ExportError, match="names column 'mail', which tells who"):
        exports.parsed(node(meta, columns), {"target": "fake", "entity": "users"} | meta)
    of_a_file = {"target": "fake", "entity": "users", "file": {"name": "a.csv"}} | meta
    assert exports.parsed(node(of_a_file, columns), of_a_file).shown_key == ("id", "~mail")
    for harmless in ("none", "key"):
        columns = {"mail": {"personal_data": harmless}}
        found = exports.parsed(node(meta, columns), {"target": "fake", "entity": "users"} | meta)
        assert found.shown_key == ("id", "mail")


def test_an_export_is_written_only_from_tonights_table_with_every_test_passed() -> None:
    assert judged({}) == ""
    assert 'model exp_fake__users is "error" in this run\'s build' in judged({UID: "error"})
    assert '"skipped"' in judged({UID: "skipped"})
    one = test_of("unique") | test_of("filled")
    assert judged({"test.homeroom.unique.2": "pass", "test.homeroom.filled.2": "warn"}, one) == ""
    assert judged(
        {"test.homeroom.unique.2": "fail", "test.homeroom.filled.2": "error"}, one
    ).startswith('2 of 3 tests of exp_fake__users did not pass (first: filled, "error"); ')
    assert '1 of 3 tests of exp_fake__users did not pass (first: unique, "not run")' in judged(
        {"test.homeroom.filled.2": "pass"}, one
    )


@pytest.mark.parametrize("status", ["success", "error", "skipped", None])
def test_a_file_is_written_only_where_it_is_known_how_many_it_leaves_out(
    status: str | None,
) -> None:
    """The model beside it counts them; of objects, and of other targets' files, it says nothing."""
    file = {"name": "users.csv"}
    uid = "model.homeroom.fake__left_out"
    counting = {"resource_type": "model", "name": "fake__left_out", "columns": {}, "config": {}}
    documents = {
        "manifest": {"nodes": {UID: node({"file": file}), uid: counting}, "sources": {}},
        "results": [{"unique_id": UID, "status": "success"}],
    }
    documents["manifest"]["parent_map"] = {}
    if status:
        documents["results"].append({"unique_id": uid, "status": status})

    def judged() -> tuple[int, str]:
        found = exports.read(documents["manifest"], {"results": documents["results"]})
        return len(found.good), "".join(one.reason for _, one in found.refused)

    if status == "success":
        assert judged() == (1, "")
    else:
        assert judged() == (
            0,
            f"model fake__left_out is {status or 'not built'} in this run's build, so how many"
            ' exp_fake__users leaves out is not known; run "make build SELECT=+fake__left_out"',
        )
    documents["manifest"]["nodes"][UID] = node()
    assert judged() == (1, "")
    documents["manifest"]["nodes"][UID] = node({"file": file, "target": "other"})
    assert judged() == (1, "")


def test_a_test_belongs_to_the_model_it_stands_under_or_to_all_it_reads() -> None:
    failed = {"test.homeroom.odd.2": "fail"}
    assert "first: odd" in judged(failed, test_of("odd", attached_node=None))
    assert (
        judged(
            failed,
            test_of("odd", attached_node=None, depends_on={"nodes": ["model.homeroom.other"]}),
        )
        == ""
    )
    assert judged(failed, test_of("odd", attached_node="model.homeroom.other")) == ""
    assert judged(failed, test_of("odd", config={"enabled": False})) == ""
    assert "first: odd" in judged(failed, test_of("odd", config={"enabled": True}))
    assert "first: odd" in judged(failed, test_of("odd", config={}))
    assert judged(failed, test_of("odd", resource_type="unit_test")) == ""


def test_nothing_is_written_that_nobody_signed_for_where_there_is_a_register() -> None:
    register = {"resource_type": "seed", "name": "privacy_register"}
    nodes = {UID: node(), "seed.homeroom.privacy_register": register}
    manifest = {"nodes": nodes, "sources": {}, "parent_map": {}}
    found = exports.read(manifest, {"results": [{"unique_id": UID, "status": "success"}]})
    assert (found.good, len(found.refused), found.unreadable) == ((), 1, ())
    assert "lacks the test personal_data_is_signed" in found.refused[0][1].reason
    missing = exports.read(manifest, {"results": []})
    assert '"not built"' in missing.refused[0][1].reason
    register["name"] = "another_seed"
    found = exports.read(manifest, {"results": [{"unique_id": UID, "status": "success"}]})
    assert [one.model for one in found.good] == ["exp_fake__users"]


def test_a_model_that_is_no_export_or_nothing_at_all_is_passed_over() -> None:
    plain = node() | {"name": "plain", "config": {"meta": {}}}
    seed = node() | {"name": "seed", "resource_type": "seed", "uid": "seed.homeroom.seed"}
    found = read(node(), plain, seed)
    assert [one.model for one in found.good] == ["exp_fake__users"]
    old = node() | {
        "config": {},
        "meta": {"export": {"target": "fake", "entity": "users", "key": ["id"]}},
    }
    assert [one.model for one in read(old).good] == ["exp_fake__users"]


def test_an_unreadable_export_is_known_by_what_of_it_can_be_read() -> None:
    (lost,) = read(node({"keys": 1})).unreadable
    assert (lost.model, lost.target, lost.entity) == ("exp_fake__users", "fake", "users")
    (blank,) = read(node("text")).unreadable
    assert (blank.target, blank.entity) == ("", "")
    twin = node() | {
        "name": "exp_fake__users_again",
        "patch_path": None,
        "original_file_path": "models/again.sql",
    }
    found = read(node(), twin)
    assert [one.model for one in found.good] == ["exp_fake__users"]
    assert (
        found.unreadable[0].reason
        == "models/again.sql: fake users is already the export of exp_fake__users; one model per"
        " entity"
    )


def test_an_export_rests_on_every_feed_however_far_up() -> None:
    manifest = {
        "parent_map": {"a": ["b", "c"], "b": ["s1", "c"], "c": ["s2", "s3", "s4", "a"]},
        "sources": {
            "s1": {"schema": "raw_myedbc", "name": "x", "identifier": "students"},
            "s2": {"schema": "raw_hr", "name": "staff", "identifier": None},
            "s3": {"schema": "ledger", "name": "y", "identifier": "y"},
            "s9": {"schema": "raw_hr", "name": "other", "identifier": "other"},
        },
    }
    assert exports.feeds(manifest, "a") == (("hr", "staff"), ("myedbc", "students"))
    assert exports.feeds(manifest, "s1") == ()


def test_an_export_rests_on_no_feed_by_way_of_what_it_does_without_or_of_another_kind() -> None:
    models = {
        "crm": {"rests": {"without": ["lists"], "by": "population"}},
        "pupils": {"kind": "student"},
        "employees": {"kind": "staff"},
        "classes": {"part": "lists"},
        "both": {},
    }
    manifest = {
        "parent_map": {
            "crm": ["pupils", "employees", "classes", "both"],
            "pupils": ["raw.pupils", "classes"],
            "employees": ["raw.staff", "classes"],
            "classes": ["raw.classes"],
            "both": ["raw.schools"],
        },
        "nodes": {
            name: {
                "resource_type": "model",
                "name": f"exp_{name}__users",
                "schema": "exports",
                "columns": {
                    one: {"name": one, "data_type": "string"} for one in ("id", "population")
                },
                "config": {
                    "meta": {
                        "export": {
                            "target": "crm",
                            "entity": "users",
                            "key": ["id"],
                            "subject": "id",
                            "context": ["population"],
                            **said,
                        }
                    }
                    if name == "crm"
                    else {"rests": said}
                },
            }
            for name, said in models.items()
        },
        "sources": {
            f"raw.{name}": {"schema": "raw_sis", "name": name, "identifier": name}
            for name in ("pupils", "staff", "classes", "schools")
        },
    }

    def named(feeds: tuple[tuple[str, str], ...]) -> list[str]:
        return [feed for _, feed in feeds]

    one = exports.of_manifest(manifest, "crm")
    assert named(one.feeds) == ["pupils", "schools", "staff"]
    assert {kind: named(feeds) for kind, feeds in one.feeds_of.items()} == {
        "staff": ["schools", "staff"],
        "student": ["pupils", "schools"],
    }
    settings = manifest["nodes"]["crm"]["config"]["meta"]["export"]
    settings["rests"] = {"as": "student"}
    assert named(exports.of_manifest(manifest, "crm").feeds) == ["classes", "pupils", "schools"]
    for wrong in (
        {"without": ["list"]},
        {"as": "teacher"},
        {"by": "colour"},
        {"kind": "staff"},
        {"without": "lists"},
        "lists",
    ):
        settings["rests"] = wrong
        with pytest.raises(exports.ExportError):
            exports.of_manifest(manifest, "crm")


def test_a_column_rests_alone_on_the_feeds_of_its_parts_and_no_other_row_does() -> None:
    said = {"families": {"part": "families"}, "lists": {"part": "lists"}}
    columns: dict[str, dict] = {"id": {}, "phone": {}, "mother": {}, "bus": {}}
    columns["mother"] = {"rests": ["families"]}
    columns["phone"] = {"rests": ["families", "lists"]}
    settings = {"target": "crm", "entity": "users", "key": ["id"], "context": ["bus"]}
    manifest = {
        "parent_map": {
            "crm": ["families", "lists", "raw.pupils"],
            "families": ["raw.parents", "raw.pupils", "raw.rooms"],
            "lists": ["raw.rooms", "raw.classes"],
        },
        "nodes": {
            "crm": {
                "resource_type": "model",
                "name": "exp_crm__users",
                "schema": "exports",
                "columns": {
                    name: {"name": name, "config": {"meta": meta}} for name, meta in columns.items()
                },
                "config": {"meta": {"export": settings}},
            },
            **{
                name: {"resource_type": "model", "config": {"meta": {"rests": one}}}
                for name, one in said.items()
            },
        },
        "sources": {
            f"raw.{name}": {"schema": "raw_sis", "name": name, "identifier": name}
            for name in ("pupils", "parents", "rooms", "classes")
        },
    }
    one = exports.of_manifest(manifest, "crm")
    assert [feed for _, feed in one.feeds] == ["classes", "parents", "pupils", "rooms"]
    assert one.columns_on == {
        ("sis", "classes"): ("phone",),
        ("sis", "parents"): ("phone", "mother"),
        ("sis", "rooms"): ("phone", "mother"),
    }
    for wrong in (
        {"mother": {"rests": "families"}},
        {"mother": {"rests": ["parents"]}},
        {"mother": {"rests": ["families"], "owner": "theirs"}},
        {"mother": {"rests": ["families"], "role": "login"}},
        {"id": {"rests": ["families"]}},
        {"bus": {"rests": ["families"]}},
    ):
        for name, meta in {**columns, **wrong}.items():
            manifest["nodes"]["crm"]["columns"][name]["config"]["meta"] = meta
        with pytest.raises(exports.ExportError):
            exports.of_manifest(manifest, "crm")


def test_before_the_build_an_export_says_the_same_as_after_it(tmp_path: Path) -> None:
    (tmp_path / "crm").mkdir()
    (tmp_path / "crm" / "exp_crm__contacts.yml").write_text(CONTACTS)
    (tmp_path / "crm" / "_notes.yml").write_text("version: 2\n")
    (tmp_path / "exp_other__rows.yml").write_text(CONTACTS.replace("crm", "other"))
    found = exports.declared("crm", tmp_path)
    assert list(found) == ["contacts"]
    one = found["contacts"]
    assert (one.relation, one.key, one.subject, one.partition, one.hold) == (
        '"exports"."exp_crm__contacts"',
        ("contact_id",),
        "contact_id",
        "branch",
        "protected",
    )
    assert one.columns == (
        Column("contact_id", "string", field="externalId"),
        Column("mail", "string", personal_data="contact", field="emails.work", role="login"),
        Column("state", "string", role="switch", off_value="closed"),
        Column("branch", "string"),
        Column("protected", "string"),
    )
    assert exports.declared("nobody", tmp_path) == {}


def test_what_the_yaml_declares_is_what_the_shipped_exports_ask() -> None:
    users = exports.declared("google")["users"]
    assert (users.of_role("login").name, users.of_role("switch").off_value) == (
        "primary_email",
        True,
    )
    assert {e.subject for e in exports.declared("portfolio").values()} == {"person_id", None}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: [", "cannot be read as YAML of dbt"),
        ("just a text", "cannot be read as YAML of dbt"),
        ("models: 3", "cannot be read as YAML of dbt"),
        (CONTACTS_TWICE, "crm contacts is already the export of exp_crm__contacts; one model per"),
        (CONTACTS_WRONG, "meta.export has no setting 'keys'"),
    ],
)
def test_a_yaml_that_cannot_be_followed_is_named_before_the_build(
    tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "exp_crm__contacts.yml"
    file.write_text(text)
    with pytest.raises(exports.ExportError) as caught:
        exports.declared("crm", tmp_path)
    assert words in str(caught.value)
    assert str(file) in str(caught.value)


def test_the_reference_of_keys_names_every_key_there_is_and_no_other() -> None:
    page = (paths.root() / "docs" / "add-a-target.md").read_text(encoding="utf-8")
    _, _, rest = page.partition("## Every key of an export")
    of_export, _, of_column = rest.partition("\n## ")[0].partition("of a column.")
    for text, known in ((of_export, exports.KNOWN), (of_column, exports.COLUMN_KNOWN)):
        rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
        assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(known)
