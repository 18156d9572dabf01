-- accounts without our key are not ours and are left out: what is not seen here is never touched

with

source as (

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
        coalesce(cast(source.account_enabled as boolean), false) as account_enabled
    from source
    where source.person_id is not null

)

select * from renamed
