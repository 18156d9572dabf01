-- who may stand in a vendor's list, said once for every list there is: a list says by `has_account` or `is_enrolled` which it means

with students as (
    select * from {{ ref('students') }}
),

records as (
    select * from {{ ref('person_records') }}
),

holders as (
    select * from {{ ref('account_holders') }}
),

vendor_grades as (
    select * from {{ ref('portfolio_grades') }}
),

school_names as (
    select * from {{ ref('school_names') }}
),

family_telephones as (
    select * from {{ ref('family_telephones') }}
),

night as (
    select {{ school_year('as_of') }} as school_year
    from {{ source('homeroom', 'run_context') }}
),

final as (
    select
        -- ids
        students.student_number,
        records.person_id,

        -- account
        holders.account_name,
        holders.address,
        coalesce(holders.is_in_groups, false) as has_account,

        -- names
        {{ first_name_or_placeholder('students.legal_first_name') }} as legal_first_name,
        students.legal_middle_name,
        coalesce(students.legal_last_name, '') as legal_last_name,
        {{ first_name_or_placeholder('students.usual_first_name') }} as usual_first_name,
        coalesce(students.usual_last_name, students.legal_last_name, '') as usual_last_name,

        -- what is known of them
        students.date_of_birth,
        students.gender_code,
        family_telephones.home_phone,
        students.street_number,
        students.street_name,
        students.apartment,
        students.municipality,
        students.province,
        students.postal_code,

        -- place
        students.school_number,
        coalesce(school_names.school_name, students.school_number) as school_name,
        students.grade_code,
        -- a grade the vendors have no code for is ungraded, never left blank
        coalesce(vendor_grades.grade, 'UG') as grade,
        students.homeroom,
        -- unknown for whoever is in no numbered grade
        case
            when vendor_grades.grade = 'KG' and students.grade_code <> 'EL' then night.school_year + 12
            when {{ regexp_like('vendor_grades.grade', '^(0[1-9]|1[0-2])$') }}
                then night.school_year + 12 - {{ try_cast('vendor_grades.grade', 'integer') }}
        end as graduation_year,
        students.next_school_number,
        students.may_call,
        students.enrolment_status = 'active' as is_enrolled,

        -- load
        records.source
    from students
    cross join night
    -- a number that was merged into another is the first one's person: the account it was given before is nobody's to list
    inner join records
        on
            students.student_number = records.source_key
            and records.population = 'student'
            and records.reason <> 'merged'
    left join holders on records.person_id = holders.person_id
    left join vendor_grades on students.grade_code = vendor_grades.grade_code
    left join school_names on students.school_number = school_names.school_number
    left join family_telephones on students.student_number = family_telephones.student_number
    where
        -- students without a school are left out: every vendor lists by school
        students.school_number is not null
        -- who left is left out of both: a vendor closes whoever is listed no longer
        and (students.enrolment_status = 'active' or holders.is_in_groups)
)

select * from final
