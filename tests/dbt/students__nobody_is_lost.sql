with known as (
    select student_number from {{ ref('intake_students') }}
    union
    select student_number from {{ ref('students_remembered') }}
)

select known.student_number
from known
left join {{ ref('students') }} as students on known.student_number = students.student_number
where students.student_number is null
