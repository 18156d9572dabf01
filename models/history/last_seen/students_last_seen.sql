{{ config(unique_key='student_number') }}

with students as (
    select * from {{ ref('students') }}
),

final as (
    {{ last_seen('students', 'students', 'student_number', leaving_out=['is_in_feed', 'last_seen_on']) }}
)

select * from final
