"""The two database files: the warehouse, and the ledger attached to it.

DuckDB lets one process write at a time, so a connection is opened late, closed soon, and waited for when another
step still holds it. Whoever opens them to write brings them forward to this program's version (`versions`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from common import paths, versions
from common.runs import Run

WAIT_SECONDS = 30.0

LEDGER = """
create schema if not exists ledger.audit;
create schema if not exists ledger.identity;
create schema if not exists ledger.applied;

create table if not exists ledger.audit.runs (
    run_id text, started_at timestamptz, finished_at timestamptz, as_of date, status text, exit_code integer,
    git_commit text, version text, steps json);
create table if not exists ledger.audit.plans (
    plan_id text, run_id text, made_at timestamptz, digest text, target text, entity text, desired bigint,
    observed bigint, planned json, held json, allowed json);
create table if not exists ledger.audit.planned_changes (
    change_id text, plan_id text, run_id text, planned_at timestamptz, target text, entity text, key text,
    person_id text, school_number text, action text, remote_id text, old json, new json, reason text, hold text,
    source text, export_model text, seq bigint);
create table if not exists ledger.audit.outcomes (
    change_id text, run_id text, target text, status text, attempts integer, code integer, remote_id text,
    request_id text, started_at timestamptz, finished_at timestamptz, note text);
create table if not exists ledger.audit.deliveries (
    delivery_id text, run_id text, target text, file text, rows bigint, bytes bigint, sha256 text,
    delivered_at timestamptz, receipt text);
create table if not exists ledger.audit.drifts (
    plan_id text, run_id text, found_at timestamptz, target text, entity text, key text, person_id text,
    school_number text, column_name text, ours json, theirs json, policy text);
create table if not exists ledger.audit.releases (
    release_id text, released_at timestamptz, who text, why text, plan_id text, change_id text, target text,
    entity text, key text, action text, seal text);
create table if not exists ledger.audit.findings (
    finding_id text, run_id text, found_at timestamptz, level text, kind text, source text, feed text, target text,
    entity text, school_number text, key text, file text, line bigint, column_name text, message text, owner text,
    action text);
create table if not exists ledger.audit.source_files (
    run_id text, source text, feed text, file text, sha256 text, bytes bigint, modified_at timestamptz,
    read_at timestamptz, encoding text, rows_in bigint, landed bigint, rejected bigint, status text, message text,
    archived_as text);
alter table ledger.audit.source_files add column if not exists as_of date;
alter table ledger.audit.source_files add column if not exists age_days integer;
alter table ledger.audit.source_files add column if not exists hold text;
alter table ledger.audit.source_files add column if not exists held_schools json;
alter table ledger.audit.source_files add column if not exists schools json;
alter table ledger.audit.source_files add column if not exists content_on date;
alter table ledger.audit.source_files add column if not exists accepted boolean;
alter table ledger.audit.source_files add column if not exists doubt_since timestamptz;
alter table ledger.audit.source_files add column if not exists rejected_keys json;
create table if not exists ledger.identity.students_last_seen (
    student_number text, legal_first_name text, legal_middle_name text, legal_last_name text, usual_first_name text,
    usual_last_name text, date_of_birth date, gender_code text, grade_code text, homeroom text,
    homeroom_teacher_id text, school_number text, next_school_number text, enrolment_status text, admitted_on date,
    withdrawn_on date, email text, home_phone text, street_number text, street_name text, apartment text,
    municipality text, province text, postal_code text, may_call boolean, last_seen_on date, source_file text,
    source_line bigint);
create table if not exists ledger.identity.enrolments_last_seen (
    student_number text, school_number text, enrolment_status text, grade_code text, homeroom text, admitted_on date,
    withdrawn_on date, last_seen_on date);
create table if not exists ledger.identity.section_students_last_seen (
    section_id text, student_number text, last_seen_on date);
create table if not exists ledger.identity.staff_assignments_last_seen (
    staff_key text, school_number text, last_seen_on date);
create table if not exists ledger.identity.student_guardians_last_seen (
    student_number text, guardian_id text, first_name text, last_name text, email text, home_phone text,
    mobile_phone text, work_phone text, relationship text, contact_priority integer, is_guardian boolean,
    lives_with_student boolean, last_seen_on date);
create table if not exists ledger.identity.accounts (
    person_id text not null, account_name text not null primary key, domain text not null, base_name text not null,
    number integer not null, policy text not null, minted_on date not null, name_number integer not null,
    named_from text, alias_days integer, unique (person_id, name_number));
create table if not exists ledger.identity.lifecycle_events (
    person_id text not null, event_number integer not null, state text not null, reason text not null,
    since date not null, recorded_on date not null, run_id text, record text, rule text, primary key (person_id, event_number));
alter table ledger.identity.lifecycle_events add column if not exists record text;
alter table ledger.identity.lifecycle_events add column if not exists rule text;
create or replace view ledger.audit.changes as
    select
        planned.*,
        -- planned, and its run is over: somebody only looked, or the night was killed and a later one planned anew
        coalesce(outcome.status, case
            when planned.hold is not null then 'held' when run.run_id is not null then 'not pushed' else 'planned' end) as status,
        outcome.attempts, outcome.code, outcome.request_id, outcome.started_at, outcome.finished_at, outcome.note
    from ledger.audit.planned_changes as planned
    left join ledger.audit.outcomes as outcome using (change_id)
    left join (select distinct run_id from ledger.audit.runs) as run on run.run_id = planned.run_id;
create or replace view ledger.audit.dead_letters as
    -- what was tried last and failed, per object: nothing of it is lost, the next night's plan takes it up again
    with tried as (
        select changes.*, row_number() over (partition by target, entity, key order by finished_at desc, seq desc) as latest,
            max(case when status = 'applied' then finished_at end) over (partition by target, entity, key) as last_applied_at
        from ledger.audit.changes as changes where status in ('applied', 'failed'))
    select target, entity, key, arg_max(person_id, finished_at) as person_id, arg_max(action, finished_at) as action,
        arg_max(code, finished_at) as code, arg_max(note, finished_at) as note, arg_max(run_id, finished_at) as run_id,
        min(finished_at) as failing_since, max(finished_at) as last_tried_at, count(distinct run_id) as runs
    from tried
    where status = 'failed' and (last_applied_at is null or finished_at > last_applied_at)
    group by target, entity, key;
"""


class StoreUnusable(Exception):
    """The warehouse or the ledger cannot be used; the message says which file and what to do."""


class StoreBusy(StoreUnusable):
    """Another process holds the warehouse."""


class StoreDamaged(StoreUnusable):
    """A file is there and cannot be read. `path` is that file."""

    def __init__(self, path: Path, why: str) -> None:
        way_out = (
            'put its last copy back with "make restore FROM=latest"'
            if path == paths.ledger()
            else "the next night moves it aside and builds it again from the archive"
        )
        super().__init__(f"{path} cannot be read ({why}); {way_out}")
        self.path = path


@contextmanager
def connect(read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse with the ledger attached as `ledger` and its audit tables in place; times are UTC.

    Raises StoreBusy when another process keeps either file open for longer than WAIT_SECONDS, StoreDamaged when one cannot
    be read, StoreUnusable when a newer Homeroom has written to it or it cannot be brought forward.
    """
    connection = _opened(read_only)
    try:
        yield connection
    finally:
        connection.close()


def _opened(read_only: bool) -> duckdb.DuckDBPyConnection:
    if not paths.ledger().is_file() and next(paths.runs().glob("2*/summary.json"), None):
        # A new one would forget every name ever issued, and who is missing since when.
        raise StoreUnusable(
            f'the ledger {paths.ledger()} is gone, though runs were finished here: put its last copy back with "make restore FROM=latest"; '
            f"to begin anew on purpose, move {paths.runs()} away too"
        )
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        connection, path = None, paths.warehouse()
        try:
            temporary = paths.var() / "tmp"
            connection = duckdb.connect(str(path), read_only=read_only, config={"temp_directory": str(temporary)})
            connection.execute("set TimeZone = 'UTC'")
            mode = " (read_only)" if read_only else ""
            path = paths.ledger()
            connection.execute(f"attach '{str(path).replace(chr(39), chr(39) * 2)}' as ledger{mode}")
            _bring_forward(connection, read_only)
            return connection
        except (versions.TooNew, versions.MigrationFailed) as error:
            connection.close()
            raise StoreUnusable(str(error)) from error
        except duckdb.Error as error:
            if connection is not None:
                connection.close()
            if UNREADABLE.search(str(error)):
                raise StoreDamaged(path, _first_words(error)) from error
            if not isinstance(error, duckdb.IOException) or "lock" not in str(error).lower():
                raise
            if time.monotonic() > deadline:
                raise StoreBusy(
                    f"the warehouse {path} is held by {_holder(error)} for more than {WAIT_SECONDS:.0f} seconds; "
                    "let it finish, or end it, then run this one again"
                ) from error
            time.sleep(0.2)


# What DuckDB says of a file that is torn, foreign, or of a DuckDB newer than the one we pin.
UNREADABLE = re.compile(r"corrupt database|not a valid duckdb|version number|failed to deserialize|newer version of duckdb|checksum", re.I)


def _bring_forward(connection: duckdb.DuckDBPyConnection, read_only: bool) -> None:
    if read_only:
        for what in versions.TABLES:
            versions.check(connection, what)
        return
    versions.upgrade(connection, "warehouse")  # nothing in it that cannot be built again
    waiting = versions.check(connection, "ledger")  # before anything is written to a ledger that is not ours to write
    is_new = not connection.execute("select 1 from duckdb_tables() where database_name = 'ledger' limit 1").fetchone()
    copy = versions.copy_ledger(connection, waiting[0].version) if waiting and not is_new else None
    connection.execute(LEDGER)
    versions.upgrade(connection, "ledger", copy=copy)


def _first_words(error: duckdb.Error) -> str:
    return str(error).splitlines()[0].partition(":")[2].partition(":")[0].strip() or type(error).__name__


def _holder(error: duckdb.Error) -> str:
    """Which process has the lock, as DuckDB tells it."""
    found = re.search(r"PID (\d+)", str(error))
    return f"process {found[1]}" if found else "another process"


def begin_night(run: Run) -> None:
    """Write the one row models read instead of asking the clock: `raw_homeroom.night` (run_id, as_of, started_at, data_as_of, rolled_over_on).

    `data_as_of` is the day the records are of: before `as_of` in a rehearsal, the same day on every other night.
    `rolled_over_on` is the rollover a rehearsal has passed since.
    """
    with connect() as connection:
        connection.execute("create schema if not exists raw_homeroom")
        connection.execute("create or replace table raw_homeroom.night as select ? as run_id, ?::date as as_of, ?::timestamp as started_at, "
                           "?::date as data_as_of, ?::date as rolled_over_on",
                           [run.run_id, run.as_of.isoformat(), run.started_at.replace(tzinfo=None),
                            run.read("run.json").get("data_as_of", run.as_of.isoformat()), run.read("run.json").get("rolled_over_on")])  # fmt: skip
