with enrolments as (
    select * from {{ ref('stg_myedbc__student_enrolments') }}
),

staff as (
    select * from {{ ref('stg_myedbc__staff') }}
),

employees as (
    select * from {{ ref('stg_hr__employees') }}
),

grades as (
    select * from {{ ref('grades') }}
),

unknown_grades as (
    select
        'myedbc' as source_system,
        'students' as entity,
        'unknown_grade' as kind,
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
        'myedbc' as source_system,
        'students' as entity,
        'unreadable_birth_date' as kind,
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
        'myedbc' as source_system,
        'students' as entity,
        'unreadable_withdraw_date' as kind,
        enrolments.student_number as key,
        enrolments.school_number,
        'withdraw_date' as column_name,
        enrolments.source_file,
        enrolments.source_line
    from enrolments
    where enrolments.withdraw_date_text is not null and enrolments.withdrawn_on is null
),

staff_without_key as (
    select
        'myedbc' as source_system,
        'staff' as entity,
        'staff_without_key' as kind,
        cast(null as {{ dbt.type_string() }}) as key,
        staff.school_number,
        'user_name' as column_name,
        staff.source_file,
        staff.source_line
    from staff
    where staff.staff_id is null and staff.sis_user_name is null
),

employees_without_key as (
    select
        'hr' as source_system,
        'staff' as entity,
        'employee_without_key' as kind,
        cast(null as {{ dbt.type_string() }}) as key,
        employees.school_number,
        'staff_id' as column_name,
        employees.source_file,
        employees.source_line
    from employees
    where employees.staff_id is null
),

final as (
    select * from unknown_grades
    union all
    select * from unreadable_birth_dates
    union all
    select * from unreadable_withdraw_dates
    union all
    select * from staff_without_key
    union all
    select * from employees_without_key
)

select * from final
