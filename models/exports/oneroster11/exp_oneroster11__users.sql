with students as (
    select * from {{ ref('rostered_students') }}
),

staff as (
    select * from {{ ref('rostered_staff') }}
),

places as (
    select * from {{ ref('rostered_places') }}
),

people as (
    select
        students.person_id,
        'student' as role,
        students.address,
        students.usual_first_name as given_name,
        students.usual_last_name as family_name,
        students.legal_middle_name as middle_name,
        students.usual_first_name,
        students.usual_last_name,
        students.student_number as identifier,
        students.grade,
        students.school_number,
        students.source
    from students
    where students.has_account
    union all
    -- staff who neither teach nor administer are left out: the standard has no role for them
    select
        staff.person_id,
        staff.role,
        staff.address,
        staff.first_name as given_name,
        staff.last_name as family_name,
        cast(null as {{ dbt.type_string() }}) as middle_name,
        staff.first_name as usual_first_name,
        staff.last_name as usual_last_name,
        staff.staff_id as identifier,
        cast(null as {{ dbt.type_string() }}) as grade,
        staff.school_number,
        staff.source
    from staff
    where staff.role <> 'staff'
),

schools_of as (
    select
        places.person_id,
        {{ listagg('places.school_number', ',') }} as school_numbers
    from places
    group by places.person_id
),

final as (
    select
        people.person_id as sourced_id,
        cast(null as {{ dbt.type_string() }}) as status,
        cast(null as {{ dbt.type_string() }}) as date_last_modified,
        'true' as enabled_user,
        schools_of.school_numbers as org_sourced_ids,
        people.role,
        people.address as username,
        cast(null as {{ dbt.type_string() }}) as user_ids,
        people.given_name,
        people.family_name,
        cast(null as {{ dbt.type_string() }}) as middle_name,
        people.identifier,
        people.address as email,
        cast(null as {{ dbt.type_string() }}) as sms,
        cast(null as {{ dbt.type_string() }}) as phone,
        cast(null as {{ dbt.type_string() }}) as agent_sourced_ids,
        people.grade as grades,
        cast(null as {{ dbt.type_string() }}) as password,
        people.person_id,
        people.source,
        people.school_number
    from people
    inner join schools_of on people.person_id = schools_of.person_id
)

select * from final
