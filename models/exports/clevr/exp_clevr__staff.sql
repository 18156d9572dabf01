with staff as (
    select * from {{ ref('rostered_staff') }}
),

final as (
    select
        substr(staff.school_number, 1, 3) as tenant_id,
        staff.person_id as proprietary_id,
        staff.staff_number as local_id,
        staff.school_number as primary_location,
        staff.last_name,
        staff.first_name,
        staff.address as email,
        staff.account_name as username,
        staff.person_id,
        staff.source
    from staff
)

select * from final
