-- accounts without our key: not ours until one is matched to a person, see identity.account_matches

with source as (
    select * from {{ source('google', 'users') }}
),

renamed as (
    select
        -- ids
        source.remote_id,
        source.person_id,

        -- names
        lower(source.primary_email) as primary_email,
        source.given_name,
        source.family_name,

        -- place
        source.org_unit_path,

        -- codes
        source.suspension_reason,

        -- flags
        coalesce(cast(source.suspended as boolean), false) as suspended,
        coalesce(cast(source.archived as boolean), false) as archived,
        false as deleted
    from source
    where source.person_id is null
)

select * from renamed
