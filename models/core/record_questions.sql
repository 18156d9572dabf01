select * from {{ ref('student_questions') }}
union all
select * from {{ ref('staff_questions') }}
