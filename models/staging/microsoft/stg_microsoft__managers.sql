-- of accounts of ours; a manager without our key is known by the platform's id

with source as (
    select * from {{ source('microsoft', 'managers') }}
),

users as (
    select * from {{ ref('stg_microsoft__users') }}
),

renamed as (
    select
        -- ids
        users.remote_id,
        users.person_id,
        coalesce(managers.person_id, source.manager_remote_id) as manager_id
    from source
    inner join users
        on source.person_id = users.person_id
    left join users as managers
        on source.manager_remote_id = managers.remote_id
)

select * from renamed
