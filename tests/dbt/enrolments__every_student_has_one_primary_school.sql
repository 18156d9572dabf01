select students.student_number
from {{ ref('students') }} as students
left join {{ ref('enrolments') }} as enrolments
    on
        students.student_number = enrolments.student_number
        and students.school_number = enrolments.school_number
        and enrolments.is_primary
group by students.student_number
having count(enrolments.student_number) <> 1
