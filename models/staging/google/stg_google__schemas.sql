with source as (
    select * from {{ source('google', 'schemas') }}
),

renamed as (
    select
        -- ids
        source.remote_id,
        source.schema_name,

        -- names
        source.field_name
    from source
)

select * from renamed
