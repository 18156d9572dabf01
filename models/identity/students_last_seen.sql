{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='student_number',
    database='ledger',
    full_refresh=false,
    on_schema_change='fail',
) }}

-- only rows of a good feed are kept: a row that is itself a memory must not refresh itself

with students as (
    select * from {{ ref('students') }}
),

final as (
    select
        students.student_number,
        students.legal_first_name,
        students.legal_middle_name,
        students.legal_last_name,
        students.usual_first_name,
        students.usual_last_name,
        students.date_of_birth,
        students.gender_code,
        students.grade_code,
        students.homeroom,
        students.homeroom_teacher_id,
        students.school_number,
        students.next_school_number,
        students.enrolment_status,
        students.admitted_on,
        students.withdrawn_on,
        students.email,
        students.home_phone,
        students.street_number,
        students.street_name,
        students.apartment,
        students.municipality,
        students.province,
        students.postal_code,
        students.may_call,
        students.last_seen_on,
        students.source_file,
        students.source_line
    from students
    where students.is_in_feed
)

select * from final
