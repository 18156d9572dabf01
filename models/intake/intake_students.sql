with enrolments as (
    select * from {{ ref('stg_myedbc__student_enrolments') }}
),

demographics as (
    select * from {{ ref('stg_myedbc__student_demographics') }}
),

grades as (
    select * from {{ ref('grades') }}
),

night as (
    select * from {{ source('homeroom', 'night') }}
),

-- a student in either feed is in the feed: one that lags behind the other must not look like a child who left
joined as (
    select
        coalesce(enrolments.student_number, demographics.student_number) as student_number,
        coalesce(enrolments.school_number, demographics.school_number) as school_number,
        coalesce(enrolments.home_school_number, demographics.home_school_number) as home_school_number,
        enrolments.next_school_number,
        coalesce(enrolments.homeroom_teacher_id, demographics.homeroom_teacher_id) as homeroom_teacher_id,
        coalesce(enrolments.homeroom_teacher_name, demographics.homeroom_teacher_name) as homeroom_teacher_name,
        coalesce(enrolments.legal_first_name, demographics.legal_first_name) as legal_first_name,
        demographics.legal_middle_name,
        coalesce(enrolments.legal_last_name, demographics.legal_last_name) as legal_last_name,
        coalesce(enrolments.usual_first_name, demographics.usual_first_name) as usual_first_name,
        coalesce(enrolments.usual_last_name, demographics.usual_last_name) as usual_last_name,
        coalesce(enrolments.homeroom, demographics.homeroom) as homeroom,
        enrolments.email,
        demographics.home_phone,
        demographics.street_number,
        demographics.street_name,
        demographics.apartment,
        demographics.municipality,
        demographics.province,
        demographics.postal_code,
        upper(demographics.gender_code) as gender_code,
        upper(coalesce(enrolments.grade, demographics.grade)) as grade,
        enrolments.enrolment_status as status_text,
        coalesce(enrolments.withdraw_date_text, demographics.withdraw_date_text) as withdraw_date_text,
        -- no word from the family is no refusal
        coalesce(demographics.may_call, true) as may_call,
        coalesce(enrolments.date_of_birth, demographics.date_of_birth) as date_of_birth,
        coalesce(enrolments.admitted_on, demographics.admitted_on) as admitted_on,
        coalesce(enrolments.withdrawn_on, demographics.withdrawn_on) as withdrawn_on,
        coalesce(enrolments.source_file, demographics.source_file) as source_file,
        coalesce(enrolments.source_line, demographics.source_line) as source_line
    from enrolments
    full outer join demographics
        on
            enrolments.student_number = demographics.student_number
            and enrolments.school_number = demographics.school_number
),

with_status as (
    select
        joined.*,
        grades.grade_code,
        {{ enrolment_status('joined.status_text', 'joined.withdraw_date_text', 'night.as_of') }} as enrolment_status,
        coalesce(lower(joined.status_text), '') <> 'active no primary' as can_be_primary
    from joined
    cross join night
    left join grades on joined.grade = grades.grade_text
),

ranked as (
    select
        with_status.*,
        {{ enrolment_rank('with_status.enrolment_status') }} as status_rank
    from with_status
    where with_status.student_number is not null and with_status.school_number is not null
),

-- a school that lists a student twice means one enrolment: the better status, then the later admission
one_per_enrolment as (
    {{ first_row_per('ranked', 'student_number, school_number', 'status_rank, admitted_on desc nulls last, source_line') }}
),

final as (
    select
        'myedbc' as source_system,
        one_per_enrolment.student_number,
        one_per_enrolment.school_number,
        one_per_enrolment.home_school_number,
        one_per_enrolment.next_school_number,
        one_per_enrolment.legal_first_name,
        one_per_enrolment.legal_middle_name,
        one_per_enrolment.legal_last_name,
        -- a person with one name has it as the last name: no usual first name is filled in from anywhere
        coalesce(one_per_enrolment.usual_first_name, one_per_enrolment.legal_first_name) as usual_first_name,
        coalesce(one_per_enrolment.usual_last_name, one_per_enrolment.legal_last_name) as usual_last_name,
        one_per_enrolment.date_of_birth,
        one_per_enrolment.gender_code,
        one_per_enrolment.grade_code,
        one_per_enrolment.homeroom,
        one_per_enrolment.homeroom_teacher_id,
        one_per_enrolment.homeroom_teacher_name,
        one_per_enrolment.enrolment_status,
        one_per_enrolment.can_be_primary,
        one_per_enrolment.admitted_on,
        one_per_enrolment.withdrawn_on,
        one_per_enrolment.email,
        one_per_enrolment.home_phone,
        one_per_enrolment.street_number,
        one_per_enrolment.street_name,
        one_per_enrolment.apartment,
        one_per_enrolment.municipality,
        one_per_enrolment.province,
        one_per_enrolment.postal_code,
        one_per_enrolment.may_call,
        one_per_enrolment.source_file,
        one_per_enrolment.source_line
    from one_per_enrolment
)

select * from final
