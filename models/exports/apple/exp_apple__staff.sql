with staff as (
    select * from {{ ref('rostered_staff') }}
),

final as (
    select
        staff.person_id,
        staff.staff_number as person_number,
        staff.first_name,
        cast(null as {{ dbt.type_string() }}) as middle_name,
        staff.last_name,
        staff.address as email_address,
        staff.account_name as sis_username,
        staff.school_number as location_id,
        staff.source
    from staff
)

select * from final
