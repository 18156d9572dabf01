{{ config(unique_key='student_number') }}

with enrolments as (
    select * from {{ ref('enrolments') }}
),

students as (
    select * from {{ ref('students') }}
),

final as (
    {{ last_seen('enrolments', 'students', 'student_number', leaving_out=['is_primary']) }}
)

select * from final
