with source as (
    select * from {{ source('myedbc', 'course_information') }}
),

renamed as (
    select
        -- ids
        {{ school_number('source.school_number') }} as school_number,
        {{ clean_text('source.course_code') }} as course_code,

        -- names
        {{ clean_text('source.title') }} as title,
        {{ clean_text('source.department') }} as department,

        -- codes
        {{ clean_text('source.grade_level') }} as grade_level,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
)

select * from renamed
