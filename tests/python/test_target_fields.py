"""Field tables, as the exports declare them: what is written is what is read back, whatever stands
in it.
"""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from target_kit import FIELDS, adapter

from reverse_etl.targets.fields import (
    Table,
    columns,
    field,
    from_api,
    mask,
    raw_batch,
    raw_batches,
    to_api,
)
from reverse_etl.targets.json_path import steps

MADE = {name: adapter(name, {}) for name in FIELDS}
TABLES = [
    (name, entity, table) for name, made in MADE.items() for entity, table in made.tables.items()
]
GOOGLE, MICROSOFT = (MADE[name].tables for name in ("google", "microsoft"))
# Names of people hold every letter there is; an empty text is read back as nothing, so it is not
# one of them.
TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1)
VALUES = st.one_of(st.none(), st.booleans(), TEXT)


def sendable(table: Table) -> list[str]:
    return [field.column for field in table if field.sent]


@st.composite
def rows(draw: st.DrawFn) -> tuple[str, Table, dict[str, object]]:
    name, entity, table = draw(st.sampled_from(TABLES))
    wanted = (
        draw(st.lists(st.sampled_from(sendable(table)), unique=True)) if sendable(table) else []
    )
    forms = {field.column: field.form for field in table if field.form}
    row = {
        column: draw(st.from_regex(forms[column], fullmatch=True) if column in forms else VALUES)
        for column in wanted
    }
    if "field_name" in row:
        row["field_name"] = "person_id"  # the only field of a schema that is ours
    return f"{name}.{entity}", standing(table), row


def standing(table: Table) -> Table:
    """The columns that stand in the target's objects."""
    return tuple(field for field in table if field.path)


def test_every_export_of_every_target_with_an_api_has_its_table():
    assert {(name, entity) for name, entity, table in TABLES if table} == {
        (name, entity) for name, made in MADE.items() for entity in made.exports
    }


@given(rows())
def test_what_is_sent_is_what_is_read_back(drawn):
    _, table, row = drawn
    through_the_wire = json.loads(json.dumps(to_api(table, row)))
    assert from_api(table, through_the_wire) == dict.fromkeys(columns(table)) | row


@pytest.mark.parametrize("table", [GOOGLE["users"], MICROSOFT["users"]])
@given(word=TEXT)
def test_a_text_without_the_form_of_our_key_is_read_as_none(table, word):
    (key,) = [field for field in table if field.form]
    read = from_api((key,), to_api((key,), {key.column: word}))
    is_ours = re.fullmatch(r"p[0-9a-f]{15}", word)
    assert read == {key.column: word if is_ours else None}


@given(rows())
def test_a_create_leaves_out_what_has_no_value(drawn):
    _, table, row = drawn
    sent = json.dumps(to_api(table, row, creating=True))
    assert "null" not in sent or "null" in json.dumps(list(row.values()))
    assert from_api(table, json.loads(sent)) == dict.fromkeys(columns(table)) | row


@given(rows())
def test_an_update_names_only_what_changes(drawn):
    _, table, row = drawn
    body = to_api(table, row)
    assert set(body) == {field.path[0] for field in table if field.column in row and field.sent}


@pytest.mark.parametrize(("name", "entity", "table"), TABLES)
def test_no_two_columns_share_a_field(name, entity, table):
    assert len({field.path for field in standing(table)}) == len(standing(table))
    assert len(set(columns(table))) == len(table)


def test_a_column_without_a_field_goes_in_no_body():
    """It is a reference, or stands in the address of the call."""
    assert to_api(GOOGLE["members"], {"group_id": "g", "person_id": "p", "role": "OWNER"}) == {
        "role": "OWNER"
    }


def test_what_the_platform_makes_itself_is_read_and_never_sent():
    assert to_api(GOOGLE["org_units"], {"org_unit_path": "/Staff", "name": "Staff"}) == {
        "name": "Staff"
    }
    assert to_api(GOOGLE["users"], {"deleted": False}) == {}
    assert from_api(GOOGLE["org_units"], {"orgUnitPath": "/Staff"})["org_unit_path"] == "/Staff"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("name.givenName", ("name", "givenName")),
        ("externalIds[namespace=homeroom].id", ("externalIds", "[namespace=homeroom]", "id")),
        ('emails[type eq "work"].value', ("emails", "[type=work]", "value")),
        ("", ()),
    ],
)
def test_a_field_is_a_path_as_json_or_scim_write_it(path, found):
    assert steps(path) == found


def test_an_entry_of_a_list_is_known_by_a_text_or_by_yes_and_no():
    table = (
        field("work", 'emails[type eq "work"].value'),
        field("main", "emails[primary=true].value"),
    )
    body = to_api(table, {"work": "a@x", "main": "b@x"})
    assert body == {"emails": [{"type": "work", "value": "a@x"}, {"primary": True, "value": "b@x"}]}
    assert from_api(table, body) == {"work": "a@x", "main": "b@x"}


def test_a_column_the_target_does_not_have_is_refused():
    with pytest.raises(KeyError, match="favourite_colour"):
        to_api(GOOGLE["users"], {"favourite_colour": "green"})


def test_a_change_of_one_name_leaves_the_other_alone():
    assert to_api(GOOGLE["users"], {"family_name": "Dhillon"}) == {
        "name": {"familyName": "Dhillon"}
    }


def test_clearing_a_value_is_said_to_the_target():
    assert to_api(MICROSOFT["users"], {"department": None}) == {"department": None}


def test_the_key_of_a_group_is_found_among_those_of_other_systems():
    group = {
        "externalIds": [
            {"namespace": "someone-else", "id": "x"},
            {"namespace": "homeroom", "id": "school-07474001-staff"},
        ]
    }
    assert from_api(GOOGLE["groups"], group)["group_id"] == "school-07474001-staff"


def test_a_schema_without_our_field_is_seen_as_such():
    assert (
        from_api(GOOGLE["schemas"], {"schemaName": "Homeroom", "fields": [{"fieldName": "other"}]})[
            "field_name"
        ]
        is None
    )


def test_an_empty_text_is_nothing():
    assert from_api(GOOGLE["groups"], {"description": ""})["description"] is None


def test_observed_objects_land_as_text_with_the_whole_object_beside():
    batch = raw_batch(
        MADE["google"].seen("users"),
        [
            {"id": "1", "primaryEmail": "a@sd74.example", "suspended": False},
            {"id": "2", "suspended": True},
        ],
    )
    assert batch.schema.names == [*columns(MADE["google"].seen("users")), "_json"]
    assert {str(field.type) for field in batch.schema} == {"string"}
    assert batch.column("suspended").to_pylist() == ["false", "true"]
    assert batch.column("primary_email").to_pylist() == ["a@sd74.example", None]
    assert json.loads(batch.column("_json")[1].as_py()) == {"id": "2", "suspended": True}


def test_a_target_that_holds_nothing_still_gives_its_table():
    (batch,) = raw_batches(MADE["microsoft"].seen("members"), [])
    assert batch.num_rows == 0
    assert batch.schema.names == ["group_remote_id", "member_remote_id", "_json"]


def test_many_small_pages_become_few_batches():
    pages = [[{"id": str(number), "group_remote_id": "g"}] for number in range(12_000)]
    assert [batch.num_rows for batch in raw_batches(MADE["microsoft"].seen("members"), pages)] == [
        10_000,
        2_000,
    ]


def test_a_list_call_asks_for_every_field_that_is_compared():
    assert mask(MADE["google"].seen("users")) == [
        "id",
        "customSchemas",
        "primaryEmail",
        "name",
        "orgUnitPath",
        "suspended",
        "archived",
        "deletionTime",
        "suspensionReason",
        "suspensionTime",
        "archivalTime",
        "externalIds",
        "isAdmin",
        "isDelegatedAdmin",
    ]
