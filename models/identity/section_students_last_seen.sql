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

with section_students as (
    select * from {{ ref('section_students') }}
),

students as (
    select * from {{ ref('students') }}
),

final as (
    select
        section_students.section_id,
        section_students.student_number,
        students.last_seen_on
    from section_students
    inner join students
        on section_students.student_number = students.student_number
    where students.is_in_feed
)

select * from final
