with students as (
    select * from {{ ref('rostered_students') }}
),

staff as (
    select * from {{ ref('rostered_staff') }}
),

people as (
    select
        students.person_id,
        students.address,
        students.usual_first_name as first_name,
        students.usual_last_name as last_name,
        students.school_number,
        students.source
    from students
    where students.has_account
    union all
    select
        staff.person_id,
        staff.address,
        staff.first_name,
        staff.last_name,
        staff.school_number,
        staff.source
    from staff
),

final as (
    select
        people.person_id as sourced_id,
        people.address as username,
        people.first_name as given_name,
        people.last_name as family_name,
        cast(null as {{ dbt.type_string() }}) as password,
        cast(null as {{ dbt.type_string() }}) as active_directory_match_id,
        people.address as email,
        cast(null as {{ dbt.type_string() }}) as phone,
        cast(null as {{ dbt.type_string() }}) as sms,
        people.person_id,
        people.source,
        people.school_number
    from people
)

select * from final
