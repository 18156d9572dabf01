with source as (
    select * from {{ source('google', 'schema_fields') }}
),

renamed as (
    select
        -- ids
        source.schema_name || '/' || source.field_name as remote_id,
        source.schema_name,
        source.field_name
    from source
)

select * from renamed
