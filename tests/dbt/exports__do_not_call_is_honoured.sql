select students.student_number
from {{ ref('students') }} as students
left join {{ ref('exp_callout__absences') }} as absences
    on students.student_number = absences.student_id
left join {{ ref('exp_callout__contacts') }} as contacts
    on students.student_number = contacts.student_id
where
    not coalesce(students.may_call, false)
    and (absences.student_id is not null or contacts.student_id is not null)
