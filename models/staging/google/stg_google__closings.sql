with source as (
    select * from {{ source('google', 'users') }}
),

renamed as (
    select
        -- ids
        source.remote_id,
        source.person_id,

        -- dates
        cast(left(source.suspension_time, 10) as date) as suspended_on,
        cast(left(source.archival_time, 10) as date) as archived_on
    from source
    where
        source.person_id is not null
        and (source.suspension_time is not null or source.archival_time is not null)
)

select * from renamed
