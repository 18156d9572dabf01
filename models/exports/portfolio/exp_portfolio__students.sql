with students as (
    select * from {{ ref('students') }}
),

records as (
    select * from {{ ref('person_records') }}
),

holders as (
    select * from {{ ref('account_holders') }}
),

grades as (
    select * from {{ ref('portfolio_grades') }}
),

rules as (
    {{ portfolio_rules() }}
),

final as (
    select
        students.student_number as user_id,
        students.student_number,
        -- legal names here, usual names as preferred below: the vendor's own division
        {{ first_name_or_placeholder('students.legal_first_name') }} as first_name,
        students.legal_last_name as last_name,
        {{ date_text('students.date_of_birth') }} as date_of_birth,
        -- a grade the vendor has no code for is ungraded, never left blank
        coalesce(grades.grade, 'UG') as grade,
        case holders.state when 'preregistered' then 'PreReg' else 'Active' end as enroll_status,
        {{ portfolio_school('students.school_number') }} as school_code,
        students.homeroom,
        {{ portfolio_school('students.next_school_number') }} as pre_reg_school_code,
        students.usual_first_name as preferred_first_name,
        students.usual_last_name as preferred_last_name,
        -- kept for the vendor's column order; the district holds no such records
        cast(null as {{ dbt.type_string() }}) as community_hours,
        cast(null as {{ dbt.type_string() }}) as literacy_test_completed,
        holders.address as email_address,
        students.school_number,
        holders.person_id,
        holders.source
    from students
    cross join rules
    -- a number that was merged into another is the first one's person: the account it was given before is nobody's to list
    inner join records
        on
            students.student_number = records.source_key
            and records.population = 'student'
            and records.reason <> 'merged'
    inner join holders
        on records.person_id = holders.person_id
    left join grades
        on students.grade_code = grades.grade_code
    where
        -- students who left are left out: the vendor closes their portfolio when they are no longer listed
        (holders.is_in_groups or holders.state = 'preregistered')
        -- students without a school are left out: the vendor rosters by school
        and students.school_number is not null
)

select * from final
