with staff as (
    select * from {{ ref('rostered_staff') }}
),

final as (
    select
        staff.school_name,
        staff.school_number,
        staff.first_name,
        cast(null as {{ dbt.type_string() }}) as middle_name,
        staff.last_name,
        'S' || staff.staff_number as staff_number,
        cast(null as {{ dbt.type_string() }}) as address,
        cast(null as {{ dbt.type_string() }}) as city,
        cast(null as {{ dbt.type_string() }}) as province,
        cast(null as {{ dbt.type_string() }}) as postal_code,
        cast(null as {{ dbt.type_string() }}) as phone,
        staff.address as email,
        'staff' as homeroom,
        cast('1900-01-01' as date) as date_of_birth,
        cast(null as {{ dbt.type_string() }}) as gender,
        cast(null as {{ dbt.type_string() }}) as preferred_first_name,
        cast(null as {{ dbt.type_string() }}) as preferred_last_name,
        staff.person_id,
        staff.source
    from staff
)

select * from final
