with known as (
    select student_number from {{ ref('intake_students') }}
    union
    select student_number from {{ ref('students_remembered') }}
)

select known.student_number
from known
left join {{ ref('students') }} as students on known.student_number = students.student_number
-- a record nobody knows the owner of is nobody's yet
left join {{ ref('doubted_records') }} as doubted on doubted.population = 'student' and known.student_number = doubted.source_key
where students.student_number is null and doubted.source_key is null
