with students as (
    select * from {{ ref('rostered_students') }}
),

staff as (
    select * from {{ ref('rostered_staff') }}
),

people as (
    select
        students.person_id,
        'student' as role,
        students.address,
        students.legal_first_name as given_name,
        students.legal_last_name as family_name,
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

final as (
    select
        people.person_id as sourced_id,
        cast(null as {{ dbt.type_string() }}) as status,
        cast(null as {{ dbt.type_string() }}) as date_last_modified,
        'true' as enabled_user,
        people.address as username,
        cast(null as {{ dbt.type_string() }}) as user_ids,
        people.given_name,
        people.family_name,
        people.middle_name,
        people.identifier,
        people.address as email,
        cast(null as {{ dbt.type_string() }}) as sms,
        cast(null as {{ dbt.type_string() }}) as phone,
        cast(null as {{ dbt.type_string() }}) as agent_sourced_ids,
        people.grade as grades,
        cast(null as {{ dbt.type_string() }}) as password,
        cast(null as {{ dbt.type_string() }}) as user_master_identifier,
        people.usual_first_name as preferred_given_name,
        cast(null as {{ dbt.type_string() }}) as preferred_middle_name,
        people.usual_last_name as preferred_family_name,
        people.school_number as primary_org_sourced_id,
        cast(null as {{ dbt.type_string() }}) as pronouns,
        people.person_id,
        people.source
    from people
)

select * from final
