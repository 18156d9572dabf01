with tonight as (
    select * from {{ ref('intake_barred_ways') }}
),

student_guardians as (
    select * from {{ ref('student_guardians') }}
),

guardians as (
    select * from {{ ref('guardians') }}
),

-- who vanished has no line tonight
barred as (
    select
        student_guardians.student_number,
        student_guardians.lives_with_student,
        guardians.email,
        guardians.home_phone,
        guardians.mobile_phone,
        guardians.work_phone
    from student_guardians
    inner join guardians
        on student_guardians.guardian_id = guardians.guardian_id
    where student_guardians.is_barred
),

ways as (
    select
        tonight.student_number,
        tonight.way
    from tonight
    union all
    select
        barred.student_number,
        lower(barred.email) as way
    from barred
    union all
    select
        barred.student_number,
        barred.mobile_phone as way
    from barred
    union all
    select
        barred.student_number,
        barred.work_phone as way
    from barred
    union all
    select
        barred.student_number,
        barred.home_phone as way
    from barred
    -- the telephone of the home in which the child lives with that person is the home's
    where not coalesce(barred.lives_with_student, false)
),

final as (
    select distinct
        ways.student_number,
        ways.way
    from ways
    where ways.way is not null
)

select * from final
