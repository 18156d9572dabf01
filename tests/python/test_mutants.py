"""The mutants themselves: each kind of fault is put where it belongs, and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.mutants import shipped, sql
from tests.mutants.kinds import Mutant

MODEL = """\
-- who left, and = is not code here
with people as (
    select
        a.person_id,
        coalesce(a.name, b.name, '') as shown,
        max(a.seen_on) as seen_on
    from {{ ref('a') }} as a
    left join b on a.id = b.id and b.is_open
    where a.days >= 5 and (a.kind = 'x' or not a.is_held)
    group by 1, 2

    union all

    select distinct c.person_id, c.shown, c.seen_on from c
),

latest as (
    {{ deduplicate('people', 'person_id, shown', 'seen_on desc nulls last, shown') }}
)

select case when latest.shown = '' then 1 else 2 end as rank from latest
"""


def made(kind: str, text: str = MODEL) -> set[tuple[str, str]]:
    return {
        (" ".join(one.before.split()), " ".join(one.after.split()))
        for one in sql.mutants("models/m.sql", text)
        if one.kind == kind
    }


@pytest.mark.parametrize(
    ("kind", "faults"),
    [
        (
            "condition dropped",
            {
                ("a.id = b.id", "true"),
                ("b.is_open", "true"),
                ("a.days >= 5", "true"),
                ("(a.kind = 'x' or not a.is_held)", "true"),
                ("a.kind = 'x'", "false"),
                ("not a.is_held", "false"),
                ("latest.shown = ''", "true"),
            },
        ),
        ("and and or", {("and", "or"), ("or", "and")}),
        ("comparison", {(">=", ">"), ("=", "<>")}),
        ("join", {("left", "inner")}),
        ("default dropped", {(", ''", "")}),
        ("function", {("max", "min")}),
        ("distinct", {("distinct", "")}),
        ("union", {("union all", "union")}),
        ("negation", {("not", "")}),
        (
            "order",
            {
                ("seen_on desc nulls last", "seen_on nulls last"),
                ("seen_on desc nulls last", "seen_on desc nulls first"),
                ("shown", "shown desc"),
            },
        ),
        (
            "order dropped",
            {
                ("seen_on desc nulls last, shown", "shown"),
                ("seen_on desc nulls last, shown", "seen_on desc nulls last"),
            },
        ),
        ("key dropped", {("person_id, shown", "shown"), ("person_id, shown", "person_id")}),
        ("otherwise dropped", {("else 2", "")}),
    ],
)
def test_each_kind_of_fault_is_put_where_it_belongs_in_sql(kind: str, faults: set[tuple[str, str]]):
    assert made(kind) == faults


@pytest.mark.parametrize(
    ("rows", "every_row"),
    [("'keys'", "select * from keys"), ("ref('a')", "select * from {{ ref('a') }}")],
)
def test_whose_key_is_in_question_is_let_through_where_a_model_leaves_them_out(
    rows: str, every_row: str
):
    call = "{{ without_doubted(" + rows + ", 'staff', 'staff_key') }}"
    assert made("condition dropped", f"with final as (\n    {call}\n)\nselect * from final\n") == {
        (call, every_row)
    }


def test_a_branch_of_a_union_and_a_neighbouring_column_are_faults_too():
    dropped = {
        before.split("select")[0] or before.rsplit(" ", 2)[-2:][0]
        for before, _ in made("branch dropped")
    }
    assert dropped == {"union all ", "union"}
    assert {
        ("a.person_id", "coalesce(a.name, b.name, '') as person_id"),
        ("c.shown", "c.seen_on as shown"),
    } <= made("column")


def test_numbers_and_words_change_and_comments_do_not():
    assert {("5", "6"), ("5", "4"), ("2", "3")} <= made("number")
    assert ("'x'", "'x~'") in made("text")
    assert all(one.line > 1 for one in sql.mutants("models/m.sql", MODEL))


SETTINGS = """\
models:
  - name: exp_x
    description: |
      Never more than 5: this is prose.
    config:
      contract: {enforced: true}
      meta:
        export:
          key: [person_id]
          limits: {create: 2%, delete: 10}
    data_tests:
      - key:
          arguments: {columns: [person_id]}
    columns:
      - name: person_id
        config: {meta: {personal_data: key, owner: ours}}
        constraints: [{type: not_null}]

unit_tests:
  - name: left_alone
"""


def test_limits_classes_contracts_and_tests_of_a_model_are_faults_and_prose_is_not():
    found = {
        (one.kind, " ".join(one.before.split()), one.after)
        for one in shipped.mutants("models/x.yml", SETTINGS)
    }
    assert found == {
        ("contract", "true", "false"),
        ("setting", "person_id", "person_id~"),
        ("setting", "2%", "3%"),
        ("setting", "10", "11"),
        ("setting dropped", "create: 2%,", ""),
        ("test dropped", "data_tests: - key: arguments: {columns: [person_id]}", ""),
        ("class", "key", "none"),
        ("owner", "ours", "theirs"),
        ("test dropped", "constraints: [{type: not_null}]", ""),
    }


def test_each_row_and_cell_of_a_seed_is_a_fault():
    found = [
        (one.kind, one.before, one.after)
        for one in shipped.mutants("seeds/x.csv", 'grade,open,note\n07,true,"a, b"\n')
    ]
    assert sorted(found) == sorted(
        [
            ("row dropped", '07,true,"a, b"\n', ""),
            ("cell", "07", "8"),
            ("cell", "true", "false"),
            ("cell", '"a, b"', '"a, b~"'),
        ]
    )


def test_a_mutant_is_put_into_the_text_it_was_made_from_and_no_other():
    one = Mutant("f.sql", 7, 8, "2", "1", 1, "number")
    assert one.applied_to("select 1") == "select 2"
    with pytest.raises(ValueError, match=r"f\.sql has changed"):
        one.applied_to("select 3")


# what decides nothing by itself: a list, a memory of all there is, a text made of other macros
BUILT_OF_WORDS = ("letter_map", "sections_last_seen", "portfolio_words", "try_cast")


def test_every_file_of_models_and_seeds_has_mutants_and_each_changes_it():
    top = Path(__file__).resolve().parents[2]
    for path in [*top.glob("models/**/*.sql"), *top.glob("macros/*.sql"), *top.glob("seeds/*.csv")]:
        text = path.read_text(encoding="utf-8")
        found = (sql if path.suffix == ".sql" else shipped).mutants(str(path), text)
        is_list = path.stem in BUILT_OF_WORDS or re.search(
            r"(of_targets|of_systems|last_seen|remembered)\(", text
        )
        assert found or text.count("\n") < 8 or is_list, path
        assert all(one.applied_to(text) != text for one in found)
