with staff as (
    select * from {{ ref('rostered_staff') }}
),

places as (
    select * from {{ ref('rostered_places') }}
),

members as (
    select * from {{ ref('rostered_members') }}
),

teaching as (
    select distinct members.person_id
    from members
    where members.role = 'teacher'
),

belonging as (
    select
        places.person_id,
        places.school_number
    from places
    union
    select
        members.person_id,
        members.school_number
    from members
    where members.role = 'teacher'
),

final as (
    select
        belonging.school_number as school_id,
        staff.person_id as teacher_id,
        staff.staff_number as teacher_number,
        staff.address as teacher_email,
        staff.first_name,
        staff.last_name,
        staff.title,
        staff.address as username,
        staff.person_id,
        staff.source
    from belonging
    inner join staff on belonging.person_id = staff.person_id
    left join teaching on staff.person_id = teaching.person_id
    where
        staff.role = 'teacher' or teaching.person_id is not null
)

select * from final
