with manifest_entries as (
    select * from {{ ref('stg_oneroster__manifest_entries') }}
),

users as (
    select * from {{ ref('stg_oneroster__users') }}
),

orgs as (
    select * from {{ ref('stg_oneroster__orgs') }}
),

grades as (
    select * from {{ ref('grades') }}
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

statuses as (
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
unknown_statuses as (
    select
        'files' as entity,
        'unknown_record_status' as code,
        statuses.file as key,
        cast(null as {{ dbt.type_string() }}) as school_number,
        'status' as column_name,
        statuses.source_file,
        statuses.source_line
    from statuses
),

final as (
    select * from unknown_grades
    union all
    select * from students_of_no_school
    union all
    select * from delta_files
    union all
    select * from unknown_statuses
)

select * from final
