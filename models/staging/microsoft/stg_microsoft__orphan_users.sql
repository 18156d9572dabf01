-- accounts without our key: not ours until one is matched to a person, see identity.account_matches

with source as (
    select * from {{ source('microsoft', 'users') }}
),

renamed as (
    select
        -- ids
        source.remote_id,
        source.person_id,

        -- names
        lower(source.user_principal_name) as user_principal_name,
        source.mail_nickname,
        lower(source.mail) as mail,
        source.display_name,
        source.given_name,
        source.surname,

        -- codes
        source.usage_location,
        source.department,
        source.job_title,

        -- flags
        coalesce(cast(source.account_enabled as boolean), false) as account_enabled,
        false as deleted
    from source
    where source.person_id is null
)

select * from renamed
