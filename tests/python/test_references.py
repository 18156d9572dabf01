"""References between feeds: by whatever case and padding they are written they are joined, and what
points nowhere is counted, by feed. Expected values are worked out in Python, beside the SQL.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.runs import Run
from ingestion import land, layout
from ingestion.layout import Reference
from ingestion.model import Fetched, RefusedError, Trusted
from ingestion.tolerance import Tolerance
from ingestion.trust import Rules, check, check_references, keys_of

LAYOUT = """
[feeds.users]
files = ["users*"]
columns = ["id", "name"]
required = ["id"]
key = ["id"]
[feeds.enrollments]
files = ["enrollments*"]
columns = ["number", "user_id", "user_ids"]
required = ["number", "user_id"]
{references}
"""
LOOSE = 'references = { "user_id" = "users.id" }'
LISTED = 'counted_references = { "user_ids" = "users.id" }'
EXACT = LOOSE + '\nexact_references = ["user_id"]'
NIGHT = Run("a-night", Path(), date(2026, 9, 8), datetime(2026, 9, 8, 9, tzinfo=UTC))


def read(folder: Path, feed_name: str, rows: list[list[str]], references: str) -> Trusted:
    known = layout.parse("test", tomllib.loads(LAYOUT.format(references=references)))
    feed = next(one for one in known.feeds if one.name == feed_name)
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(
        [[column.heading for column in feed.columns], *rows]
    )
    path, data = folder / f"{feed_name}.csv", out.getvalue().encode()
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    file = Fetched(path.name, path, digest, len(data), datetime.now(UTC))
    return check("test", feed, file, Rules(), path.with_suffix(".clean"))


def looked_up(folder: Path, users: list[str], named: list[str], references: str) -> Trusted:
    parent = read(folder, "users", [[user, "x"] for user in users], references)
    rows = [[str(at), one.split(",")[0], one] for at, one in enumerate(named)]
    child = read(folder, "enrollments", rows, references)

    def known(reference: Reference) -> tuple[pa.Table, pa.Table]:
        keys = keys_of(parent, reference.parent_column)
        return keys, keys

    return check_references("test", child, known, Tolerance(orphan_share=1.0))


def landed(trusted: Trusted, column: str) -> list[str | None]:
    path = trusted.clean.with_suffix(".parquet")
    return pq.read_table(land._as_parquet(trusted, NIGHT, NIGHT.started_at, path))[
        column
    ].to_pylist()


def folded(key: str) -> str:
    return key.lstrip("0") if key.isdigit() and key.strip("0") else key.lower()


users = st.lists(
    st.one_of(
        st.from_regex(r"[a-cA-C]{1,2}-[0-9]{1,2}", fullmatch=True),
        st.from_regex(r"0{0,2}[1-9][0-9]{0,2}", fullmatch=True),
    ),
    min_size=1,
    max_size=8,
    unique=True,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(known=users, data=st.data())
def test_a_reference_is_joined_by_whatever_case_and_padding_and_the_others_are_counted(
    tmp_path: Path, known: list[str], data: st.DataObject
) -> None:
    def spelled(key: str) -> st.SearchStrategy[str]:
        padded = [key.zfill(6), f" {key} "] if key.isdigit() else []
        return st.sampled_from([key, key.upper(), key.lower(), *padded])

    named = data.draw(
        st.lists(
            st.one_of(st.sampled_from(known).flatmap(spelled), st.just("nobody-1")),
            min_size=1,
            max_size=12,
        )
    )
    trusted = looked_up(tmp_path, known, named, LOOSE)
    there = {folded(key) for key in known}
    nowhere = [at for at, one in enumerate(named) if folded(one.strip()) not in there]
    told = [one for one in trusted.findings if one.code == "rows_point_nowhere"]
    if nowhere:
        [finding] = told
        assert (finding.values["orphans"], finding.values["filled"]) == (len(nowhere), len(named))
        assert (finding.feed, finding.line) == ("enrollments", nowhere[0] + 2)
    else:
        assert told == []
    for one, found in zip(named, landed(trusted, "user_id"), strict=True):
        same = [key for key in known if folded(key) == folded(one.strip())]
        if len(same) == 1:
            assert (found or "").strip() == same[0]
        else:  # nobody, or one of several that are written alike
            assert found == one


def test_rows_may_name_others_of_their_own_feed_and_who_is_nobody_is_counted(
    tmp_path: Path,
) -> None:
    boss = 'counted_references = { "user_ids" = "enrollments.number" }'
    rows = [["A1", "x", ""], ["b2", "x", "a1"], ["c3", "x", "B2"], ["d4", "x", "nobody"]]
    child = read(tmp_path, "enrollments", rows, boss)
    keys = keys_of(child, "number")
    found = check_references("test", child, lambda _: (keys, keys), Tolerance())
    assert [(one.values["orphans"], one.line) for one in found.findings] == [(1, 5)]
    itself = 'counted_references = { "number" = "enrollments.number" }'
    with pytest.raises(layout.LayoutError, match="no other column"):
        read(tmp_path, "enrollments", rows, itself)


def test_where_case_counts_it_is_not_joined_and_told(tmp_path: Path) -> None:
    for references, orphans in ((LOOSE, 0), (EXACT, 25)):
        named = [f"User-{at}".lower() if at < 25 else f"User-{at}" for at in range(128)]
        trusted = looked_up(tmp_path, [f"User-{at}" for at in range(128)], named, references)
        told = [one.values["orphans"] for one in trusted.findings]
        assert told == ([orphans] if orphans else [])
        assert (landed(trusted, "user_id")[0] == "User-0") == (orphans == 0)


def test_each_value_of_a_list_is_a_reference_and_is_only_counted(tmp_path: Path) -> None:
    named = ["A1,b2", "a1, B2 ,zz", ""]
    trusted = looked_up(tmp_path, ["A1", "B2"], named, LISTED)
    assert [one.values["orphans"] for one in trusted.findings] == [1]
    assert landed(trusted, "user_ids")[:2] == ["A1,B2", "A1,B2,zz"]


def test_too_many_that_point_nowhere_refuse_the_feed_but_where_they_are_only_counted(
    tmp_path: Path,
) -> None:
    keys = pa.table({"value": ["a"]})
    strict = read(tmp_path, "enrollments", [["1", "x", "x"]], LOOSE)
    with pytest.raises(RefusedError, match="1 of 1 rows"):
        check_references("test", strict, lambda _: (keys, keys), Tolerance())
    loose = read(tmp_path, "enrollments", [["1", "x", "x"]], LISTED)
    found = check_references("test", loose, lambda _: (keys, keys), Tolerance())
    assert [one.code for one in found.findings] == ["rows_point_nowhere"]


@pytest.mark.parametrize("name", ["myedbc", "oneroster"])
def test_every_layout_that_ships_declares_what_its_columns_point_at(name: str) -> None:
    """Student numbers, school numbers and the ids of OneRoster, wherever they stand."""
    known = layout.load(name)
    homes = {
        "student_number": "student_demographic_enhanced",
        "school_number": "school_details",
        **{
            f"{one}_sourced_id{s}": home
            for one, home in {
                "org": "orgs",
                "school": "orgs",
                "user": "users",
                "class": "classes",
                "course": "courses",
                "term": "academic_sessions",
                "school_year": "academic_sessions",
                "primary_org": "orgs",
            }.items()
            for s in ("", "s")
        },
    }
    homes |= {
        "teacher_id": "staff_information",
        "course_code": "course_information",
        "course_school_number": "school_details",
        "next_school_code": "school_details",
        "agent_sourced_ids": "users of their own feed",
    }
    if name == "myedbc":
        homes["master_timetable_id"] = "class_information_enhanced"
    read = landed_of(name)
    undeclared = [
        (feed.name, column)
        for feed in known.feeds
        for column in read.get(feed.name, feed.landed if not feed.opt_in else ())
        if homes.get(column, feed.name) != feed.name
        and column not in {reference.column for reference in feed.references}
        and not (name == "oneroster" and column == "course_code")  # a word of the course itself
    ]
    assert undeclared == []


def landed_of(system: str) -> dict[str, set[str]]:
    """Feed -> the columns its staging model reads."""
    found = {}
    for model in (Path(__file__).parents[2] / "models" / "staging" / system).glob("*.sql"):
        text = model.read_text(encoding="utf-8")
        if feed := re.search(rf"source\('{system}', '([a-z_]+)'\)", text):
            found[feed[1]] = set(re.findall(r'source\."?([a-z_]+)', text))
    return found
