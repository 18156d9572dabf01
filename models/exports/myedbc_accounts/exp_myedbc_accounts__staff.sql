with staff as (
    select * from {{ ref('rostered_staff') }}
),

known as (
    select * from {{ ref('stg_myedbc_accounts__staff') }}
),

final as (
    select
        staff.staff_id,
        staff.address as email,
        staff.school_number,
        staff.person_id,
        staff.source
    from staff
    -- whom the system does not have it is told nothing about: an import would make them
    inner join known on staff.staff_id = known.staff_id
)

select * from final
