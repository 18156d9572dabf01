-- classes without our key are not ours and are left out: what is not seen here is never touched

with source as (
    select * from {{ source('microsoft', 'classes') }}
),

renamed as (
    select
        -- ids
        source.remote_id,
        source.class_id,

        -- names
        source.display_name,
        source.mail_nickname,

        -- codes
        source.class_code,
        source.external_name
    from source
    where source.class_id is not null
)

select * from renamed
