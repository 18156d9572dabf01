-- accounts without our key are not ours and are left out: what is not seen here is never touched. Deleted ones that can
-- still be restored are seen too, by the names they keep

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
        coalesce(cast(source.suspended as boolean), false) as suspended,
        coalesce(cast(source.archived as boolean), false) as archived,
        false as deleted
    from source
    where source.person_id is not null

),

deleted_names as (

    {{ deleted_accounts('google', 'renamed') }}

),

final as (

    select * from renamed

    union all

    select
        deleted_names.remote_id,
        deleted_names.person_id,
        null as primary_email,
        null as given_name,
        null as family_name,
        null as org_unit_path,
        null as suspended,
        null as archived,
        true as deleted
    from deleted_names

)

select * from final
