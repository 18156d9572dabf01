with source as (
    select * from {{ source('myedbc', 'student_period_absences') }}
),

renamed as (
    select
        -- ids
        {{ clean_text('source.student_number') }} as student_number,
        {{ school_number('source.school_number') }} as school_number,
        {{ clean_text('source.master_timetable_id') }} as master_timetable_id,
        {{ clean_text('source.course_code') }} as course_code,

        -- codes
        {{ clean_text('source.absence_category') }} as absence_category,
        {{ clean_text('source.absence_sub_allocation_code') }} as absence_sub_allocation_code,

        -- flags
        {{ to_boolean('source.authorized_absence_code') }} as is_authorized,

        -- dates
        {{ parse_date('source.absence_date') }} as absence_on,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
)

select * from renamed
