with source as (
    select * from {{ source('myedbc', 'student_demographic_enhanced') }}
),

renamed as (
    select
        -- ids
        {{ clean_text('source.student_number') }} as student_number,
        {{ school_number('source.school_number') }} as school_number,
        {{ school_number('source.home_school_number') }} as home_school_number,
        {{ school_number('source.next_school_code') }} as next_school_number,
        {{ staff_id('source.teacher_id') }} as homeroom_teacher_id,

        -- names
        {{ name_text('source.legal_first_name') }} as legal_first_name,
        {{ name_text('source.legal_surname') }} as legal_last_name,
        {{ name_text('source.usual_first_name', optional=true) }} as usual_first_name,
        {{ name_text('source.usual_surname', optional=true) }} as usual_last_name,
        {{ clean_text('source.homeroom') }} as homeroom,
        {{ clean_text('source.teacher_name') }} as homeroom_teacher_name,
        {{ clean_text('source.student_email_address') }} as email,

        -- codes
        {{ clean_text('source.grade') }} as grade,
        {{ clean_text('source.enrolment_status') }} as enrolment_status,

        -- dates
        {{ parse_date('source.date_of_birth') }} as date_of_birth,
        {{ parse_date('source.admission_date') }} as admitted_on,
        {{ parse_date('source.withdraw_date') }} as withdrawn_on,
        {{ clean_text('source.withdraw_date') }} as withdraw_date_text,

        -- load
        source._file as source_file,
        source._line as source_line,
        source._loaded_at as loaded_at
    from source
)

select * from renamed
