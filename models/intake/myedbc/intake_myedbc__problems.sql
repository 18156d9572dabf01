with enrolments as (
    select * from {{ ref('stg_myedbc__student_enrolments') }}
),

staff as (
    select * from {{ ref('stg_myedbc__staff') }}
),

grades as (
    select * from {{ ref('grades') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

unknown_grades as (
    select
        'students' as entity,
        'unknown_grade' as code,
        enrolments.student_number as key,
        enrolments.school_number,
        'grade' as column_name,
        enrolments.source_file,
        enrolments.source_line
    from enrolments
    left join grades on upper(enrolments.grade) = grades.grade_text
    where grades.grade_text is null
),

unreadable_birth_dates as (
    select
        'students' as entity,
        'unreadable_birth_date' as code,
        enrolments.student_number as key,
        enrolments.school_number,
        'date_of_birth' as column_name,
        enrolments.source_file,
        enrolments.source_line
    from enrolments
    where enrolments.date_of_birth is null
),

unreadable_withdraw_dates as (
    select
        'students' as entity,
        'unreadable_withdraw_date' as code,
        enrolments.student_number as key,
        enrolments.school_number,
        'withdraw_date' as column_name,
        enrolments.source_file,
        enrolments.source_line
    from enrolments
    where enrolments.withdraw_date_text is not null and enrolments.withdrawn_on is null
),

statuses as (
    select
        enrolments.*,
        count(*) over (partition by enrolments.enrolment_status) as rows_with_value
    from enrolments
    cross join night
    where
        enrolments.enrolment_status is not null
        and {{ enrolment_status('enrolments.enrolment_status', 'enrolments.withdraw_date_text', 'night.as_of') }} is null
),

-- one problem per value, not per student. A value that stands once may be anything, also a name in the wrong column: it is
-- not shown
unknown_statuses as (
    select
        'students' as entity,
        'unknown_status' as code,
        case
            when statuses.rows_with_value > 1 then '"' || left(statuses.enrolment_status, 30) || '"'
            else 'a value that stands once'
        end as key,
        cast(null as {{ dbt.type_string() }}) as school_number,
        'enrolment_status' as column_name,
        statuses.source_file,
        statuses.source_line
    from statuses
),

status_column as (
    select count(enrolments.enrolment_status) * 2 >= count(*) or {{ var('withdraw_date_decides', false) }} as is_filled
    from enrolments
),

-- one problem for the whole column
blank_statuses as (
    select
        'students' as entity,
        'blank_status_column' as code,
        'enrolment_status' as key,
        cast(null as {{ dbt.type_string() }}) as school_number,
        'enrolment_status' as column_name,
        enrolments.source_file,
        enrolments.source_line
    from enrolments
    cross join status_column
    where enrolments.enrolment_status is null and not status_column.is_filled
),

-- a student is listed at a school: a line without one says nothing about where, but it does say that the student is here
students_without_school as (
    select
        'students' as entity,
        'student_without_school' as code,
        enrolments.student_number as key,
        cast(null as {{ dbt.type_string() }}) as school_number,
        'school_number' as column_name,
        enrolments.source_file,
        enrolments.source_line
    from enrolments
    where enrolments.school_number is null and enrolments.student_number is not null
),

staff_without_key as (
    select
        'staff' as entity,
        'staff_without_key' as code,
        cast(null as {{ dbt.type_string() }}) as key,
        staff.school_number,
        'user_name' as column_name,
        staff.source_file,
        staff.source_line
    from staff
    where staff.staff_id is null and staff.sis_user_name is null
),

final as (
    select * from unknown_grades
    union all
    select * from unreadable_birth_dates
    union all
    select * from unreadable_withdraw_dates
    union all
    select * from unknown_statuses
    union all
    select * from blank_statuses
    union all
    select * from students_without_school
    union all
    select * from staff_without_key
)

select * from final
