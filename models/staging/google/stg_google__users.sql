-- accounts without our key are not ours and are left out: what is not seen here is never touched. Deleted ones that can
-- still be restored are seen too, by the names they keep

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
    where source.person_id is not null
),

-- its address is somebody's again: it cannot be had back, and who made the other by hand made it for the same person
made_anew as (
    select distinct gone.remote_id
    from {{ source('google', 'names_taken') }} as gone
    inner join {{ source('google', 'names_taken') }} as live
        on lower(gone.address) = lower(live.address)
    where gone.kind = 'deleted' and live.kind <> 'deleted'
),

deleted_names as (
    select
        names.person_id,
        min(names.remote_id) as remote_id
    from {{ source('google', 'names_taken') }} as names
    left join renamed
        on names.person_id = renamed.person_id
    left join made_anew
        on names.remote_id = made_anew.remote_id
    where
        names.kind = 'deleted'
        and names.person_id is not null
        and renamed.person_id is null
        and made_anew.remote_id is null
    group by names.person_id
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
        null as suspension_reason,
        null as suspended,
        null as archived,
        true as deleted
    from deleted_names
)

select * from final
