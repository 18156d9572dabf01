with students as (
    select * from {{ ref('students_remembered') }}
),

remembered as (
    {{ remembered(source('ledger_identity', 'section_students_last_seen'), like=['section_students']) }}
),

-- rows of an earlier night that nothing replaced carry an earlier date: they were over before the student vanished
final as (
    select remembered.*
    from remembered
    inner join students
        on
            remembered.student_number = students.student_number
            and remembered.last_seen_on = students.last_seen_on
)

select * from final
