-- every account, ours or not, in the columns identity asks all targets for

with source as (
    select * from {{ source('microsoft', 'users') }}
),

renamed as (
    select
        -- ids
        source.remote_id,
        source.person_id,
        source.employee_id,

        -- names
        lower(source.user_principal_name) as address,
        source.given_name as first_name,
        source.surname as last_name,

        -- flags
        coalesce(cast(source.account_enabled as boolean), false) as is_open,
        coalesce(cast(source.is_admin as boolean), false) as is_admin,
        -- kept by an on-premises directory, which would undo what is written here
        coalesce(cast(source.is_synced as boolean), false) as is_synced
    from source
)

select * from renamed
