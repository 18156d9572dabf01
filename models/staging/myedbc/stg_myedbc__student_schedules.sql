with source as (
    select * from {{ source('myedbc', 'student_schedule') }}
),

renamed as (
    select
        -- ids
        {{ clean_text('source.student_number') }} as student_number,
        {{ clean_text('source.master_timetable_id') }} as master_timetable_id,
        {{ school_number('source.course_school_number') }} as course_school_number,
        {{ school_number('source.school_number') }} as school_number,
        {{ clean_text('source.course_code') }} as course_code,
        {{ staff_id('source.teacher_id') }} as teacher_id,

        -- names
        {{ clean_text('source.teacher_name') }} as teacher_name,

        -- codes
        {{ clean_text('source.school_year') }} as school_year,
        {{ clean_text('source.section_letter') }} as section_letter,
        {{ clean_text('source.semester') }} as semester,
        {{ clean_text('source.period') }} as period,

        -- flags
        {{ to_boolean('source.primary_teacher') }} as is_primary_teacher,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
)

select * from renamed
