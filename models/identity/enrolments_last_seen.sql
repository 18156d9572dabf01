{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='student_number',
    database='ledger',
    full_refresh=false,
    on_schema_change='fail',
) }}

-- rows of students in tonight's feed only: a row that is itself a memory must not refresh itself. A student's rows of an
-- earlier night that nothing replaced carry an earlier date, by which readers leave them out

with enrolments as (
    select * from {{ ref('enrolments') }}
),

students as (
    select * from {{ ref('students') }}
),

final as (
    select
        enrolments.student_number,
        enrolments.school_number,
        enrolments.enrolment_status,
        enrolments.grade_code,
        enrolments.homeroom,
        enrolments.admitted_on,
        enrolments.withdrawn_on,
        students.last_seen_on
    from enrolments
    inner join students
        on enrolments.student_number = students.student_number
    where students.is_in_feed
)

select * from final
