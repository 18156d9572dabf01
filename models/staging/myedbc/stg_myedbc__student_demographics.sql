with source as (
    select * from {{ source('myedbc', 'student_demographic_information') }}
),

renamed as (
    select
        -- ids
        {{ clean_text('source.student_number') }} as student_number,
        {{ school_number('source.school_number') }} as school_number,
        {{ school_number('source.home_school_number') }} as home_school_number,
        {{ staff_id('source.teacher_id') }} as homeroom_teacher_id,

        -- names
        {{ name_text('source.legal_first_name') }} as legal_first_name,
        {{ name_text('source.legal_middle_name', optional=true) }} as legal_middle_name,
        {{ name_text('source.legal_surname') }} as legal_last_name,
        {{ name_text('source.usual_first_name', optional=true) }} as usual_first_name,
        {{ name_text('source.usual_surname', optional=true) }} as usual_last_name,
        {{ clean_text('source.homeroom') }} as homeroom,
        {{ clean_text('source.teacher_name') }} as homeroom_teacher_name,

        -- contact
        {{ phone_digits('source.phone_number') }} as home_phone,
        {{ clean_text('source.street_number') }} as street_number,
        {{ clean_text('source.street_name') }} as street_name,
        {{ clean_text('source.apartment') }} as apartment,
        {{ clean_text('source.municipality') }} as municipality,
        {{ clean_text('source.province') }} as province,
        {{ clean_text('source.postal_code') }} as postal_code,

        -- codes
        {{ clean_text('source.gender') }} as gender_code,
        {{ clean_text('source.grade') }} as grade,

        -- flags
        {{ to_boolean('source.send_email_and_autodialer_calls') }} as may_call,
        {{ clean_text('source.custody_with_mother') }} as custody_with_mother,
        {{ clean_text('source.custody_with_father') }} as custody_with_father,
        {{ clean_text('source.is_in_care') }} as is_in_care,
        {{ clean_text('source.is_under_order') }} as is_under_order,

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
