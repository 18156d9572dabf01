with source as (
    select * from {{ source('myedbc', 'school_details') }}
),

renamed as (
    select
        -- ids
        {{ school_number('source.school_number') }} as school_number,
        {{ clean_text('source.ministry_school_number') }} as ministry_school_number,

        -- names
        {{ clean_text('source.school_name') }} as school_name,

        -- codes
        {{ clean_text('source.school_configuration') }} as school_configuration,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
)

select * from renamed
