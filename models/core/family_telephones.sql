with students as (
    select * from {{ ref('students') }}
),

barred_ways as (
    select * from {{ ref('barred_ways') }}
),

final as (
    select
        students.student_number,
        students.home_phone
    from students
    left join barred_ways
        on
            students.student_number = barred_ways.student_number
            and students.home_phone = barred_ways.way
    where
        students.home_phone is not null
        and barred_ways.way is null
)

select * from final
