-- accounts without our key are not ours and are left out: what is not seen here is never touched

with

source as (

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

        -- flags
        coalesce(cast(source.suspended as boolean), false) as suspended
    from source
    where source.person_id is not null

)

select * from renamed
