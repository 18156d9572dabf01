with source as (
    select * from {{ source('oneroster', 'manifest') }}
),

renamed as (
    select
        -- ids
        {{ clean_text('source.property_name') }} as property_name,

        -- codes
        lower({{ clean_text('source.value') }}) as property_value,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
)

select * from renamed
