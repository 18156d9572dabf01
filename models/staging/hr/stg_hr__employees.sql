with source as (
    select * from {{ source('hr', 'employees') }}
),

renamed as (
    select
        -- ids
        {{ staff_id('source.staff_id') }} as staff_id,
        {{ school_number('source.school_number') }} as school_number,

        -- names
        {{ name_text('source.first_name') }} as first_name,
        {{ name_text('source.last_name') }} as last_name,
        {{ name_text('source.usual_first_name', optional=true) }} as usual_first_name,
        {{ clean_text('source.position') }} as position,
        {{ clean_text('source.email') }} as email,

        -- dates
        {{ parse_date('source.hire_date') }} as hired_on,
        {{ parse_date('source.end_date') }} as ended_on,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
)

select * from renamed
