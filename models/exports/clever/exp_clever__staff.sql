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

final as (
    select
        places.school_number as school_id,
        staff.person_id as staff_id,
        staff.address as staff_email,
        staff.first_name,
        staff.last_name,
        staff.title,
        staff.address as username,
        staff.person_id,
        staff.source
    from places
    inner join staff on places.person_id = staff.person_id
    left join teaching on staff.person_id = teaching.person_id
    where
        staff.role <> 'teacher'
        and teaching.person_id is null
)

select * from final
