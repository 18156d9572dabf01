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

with student_guardians as (
    select * from {{ ref('student_guardians') }}
),

students as (
    select * from {{ ref('students') }}
),

guardians as (
    select * from {{ ref('guardians') }}
),

final as (
    select
        student_guardians.student_number,
        student_guardians.guardian_id,
        guardians.first_name,
        guardians.last_name,
        guardians.email,
        guardians.home_phone,
        guardians.mobile_phone,
        guardians.work_phone,
        student_guardians.relationship,
        student_guardians.contact_priority,
        student_guardians.is_guardian,
        student_guardians.lives_with_student,
        students.last_seen_on
    from student_guardians
    inner join students
        on student_guardians.student_number = students.student_number
    inner join guardians
        on student_guardians.guardian_id = guardians.guardian_id
    where students.is_in_feed
)

select * from final
