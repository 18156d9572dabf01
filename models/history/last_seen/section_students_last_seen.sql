{{ config(unique_key='student_number') }}

with section_students as (
    select * from {{ ref('section_students') }}
),

students as (
    select * from {{ ref('students') }}
),

final as (
    {{ last_seen('section_students', 'students', 'student_number', leaving_out=['school_number']) }}
)

select * from final
