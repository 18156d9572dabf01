{{ config(unique_key='student_number') }}

with student_guardians as (
    select * from {{ ref('student_guardians') }}
),

guardians as (
    select * from {{ ref('guardians') }}
),

students as (
    select * from {{ ref('students') }}
),

families as (
    select
        guardians.*,
        {{ all_but('student_guardians', ['guardian_id']) }}
    from student_guardians
    inner join guardians
        on student_guardians.guardian_id = guardians.guardian_id
),

final as (
    {{ last_seen('families', 'students', 'student_number') }}
)

select * from final
