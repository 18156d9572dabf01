with lines as (
    {{ records_of_systems('contacts') }}
),

contacts as (
    select * from {{ ref('intake_contacts') }}
),

-- every line of the person: of two telephones either reaches
barred as (
    select lines.*
    from lines
    inner join contacts
        on
            lines.student_number = contacts.student_number
            and lines.person_name = contacts.person_name
    where contacts.is_barred
),

ways as (
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
