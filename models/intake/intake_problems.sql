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

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

manifest_entries as (
    select * from {{ ref('stg_oneroster__manifest_entries') }}
),

users as (
    select * from {{ ref('stg_oneroster__users') }}
),

orgs as (
    select * from {{ ref('stg_oneroster__orgs') }}
),

student_roles as (
    select * from {{ ref('stg_oneroster__roles') }}
    where role = 'student' and coalesce(not is_removed, true)
),

student_users as (
    select
        users.student_number,
        users.grade,
        min(orgs.school_number) as school_number,
        users.source_file,
        users.source_line
    from users
    inner join student_roles on users.user_id = student_roles.user_id
    left join orgs on student_roles.org_id = orgs.org_id and orgs.org_type = 'school'
    where users.is_enabled and coalesce(not users.is_removed, true)
    group by users.student_number, users.grade, users.source_file, users.source_line
),

unknown_grades as (
    select
        'myedbc' as source_system,
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

unknown_oneroster_grades as (
    select
        'oneroster' as source_system,
        'students' as entity,
        'unknown_grade' as code,
        student_users.student_number as key,
        student_users.school_number,
        'grades' as column_name,
        student_users.source_file,
        student_users.source_line
    from student_users
    left join grades on student_users.grade = grades.grade_text
    where grades.grade_text is null
),

students_of_no_school as (
    select
        'oneroster' as source_system,
        'students' as entity,
        'student_of_no_school' as code,
        student_users.student_number as key,
        student_users.school_number,
        'org_sourced_id' as column_name,
        student_users.source_file,
        student_users.source_line
    from student_users
    where student_users.school_number is null
),

delta_files as (
    select
        'oneroster' as source_system,
        'files' as entity,
        'delta_file' as code,
        manifest_entries.property_name as key,
        cast(null as {{ dbt.type_string() }}) as school_number,
        'value' as column_name,
        manifest_entries.source_file,
        manifest_entries.source_line
    from manifest_entries
    where manifest_entries.property_value = 'delta'
),

unreadable_birth_dates as (
    select
        'myedbc' as source_system,
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
        'myedbc' as source_system,
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
        'myedbc' as source_system,
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
        'myedbc' as source_system,
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

oneroster_statuses as (
    {% for file, model in [
        ('orgs', 'orgs'), ('users', 'users'), ('roles', 'roles'), ('courses', 'courses'),
        ('classes', 'classes'), ('enrollments', 'enrolments'),
    ] %}
    select
        '{{ file }}' as file,
        {{ model }}.source_file,
        {{ model }}.source_line
    from {{ ref('stg_oneroster__' ~ model) }} as {{ model }}
    where {{ model }}.is_removed is null
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

-- one problem per file
unknown_oneroster_statuses as (
    select
        'oneroster' as source_system,
        'files' as entity,
        'unknown_record_status' as code,
        oneroster_statuses.file as key,
        cast(null as {{ dbt.type_string() }}) as school_number,
        'status' as column_name,
        oneroster_statuses.source_file,
        oneroster_statuses.source_line
    from oneroster_statuses
),

-- a student is listed at a school: a line without one says nothing about where, but it does say that the student is here
students_without_school as (
    select
        'myedbc' as source_system,
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
        'myedbc' as source_system,
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

employees_without_key as (
    select
        'hr' as source_system,
        'staff' as entity,
        'employee_without_key' as code,
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
    select * from unknown_oneroster_grades
    union all
    select * from students_of_no_school
    union all
    select * from delta_files
    union all
    select * from unreadable_birth_dates
    union all
    select * from unreadable_withdraw_dates
    union all
    select * from unknown_statuses
    union all
    select * from blank_statuses
    union all
    select * from unknown_oneroster_statuses
    union all
    select * from students_without_school
    union all
    select * from staff_without_key
    union all
    select * from employees_without_key
)

select * from final
