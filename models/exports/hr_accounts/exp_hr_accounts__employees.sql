with staff as (
    select * from {{ ref('rostered_staff') }}
),

employees as (
    select * from {{ ref('intake_employees') }}
),

final as (
    select
        staff.staff_id,
        staff.address as email,
        staff.account_name,
        'E' || staff.staff_id as card_number,
        staff.school_number,
        staff.person_id,
        staff.source
    from staff
    -- whom human resources does not have is made by nobody but them
    inner join employees on staff.staff_id = employees.staff_id
)

select * from final
