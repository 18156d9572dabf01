-- of accounts of ours, whatever is in it; what others wrote beside it is not seen

with source as (
    select * from {{ source('google', 'user_details') }}
),

users as (
    select * from {{ ref('stg_google__users') }}
),

renamed as (
    select
        -- ids
        users.remote_id,
        source.person_id,

        -- facts
        source.employee_id,
        source.job_title,
        source.department,
        source.cost_center,
        source.manager,
        source.location,
        source.building,
        source.school,
        source.grade,
        source.homeroom
    from source
    inner join users
        on source.person_id = users.person_id
)

select * from renamed
