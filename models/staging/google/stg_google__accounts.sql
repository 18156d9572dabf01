-- every account, ours or not, in the columns identity asks all targets for

with source as (
    select * from {{ source('google', 'users') }}
),

renamed as (
    select
        -- ids
        source.remote_id,
        source.person_id,
        source.employee_id,

        -- names
        lower(source.primary_email) as address,
        source.given_name as first_name,
        source.family_name as last_name,

        -- flags
        not coalesce(cast(source.suspended as boolean), false) as is_open,
        coalesce(cast(source.is_admin as boolean), false)
        or coalesce(cast(source.is_delegated_admin as boolean), false) as is_admin,

        -- codes
        'member' as kind
    from source
)

select * from renamed
