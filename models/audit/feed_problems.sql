{{ config(materialized='table') }}

with intake_problems as (
    select * from {{ ref('intake_problems') }}
),

name_problems as (
    select * from {{ ref('name_problems') }}
),

student_records as (
    select * from {{ ref('intake_students') }}
),

timetable_members as (
    select * from {{ ref('intake_section_students') }}
),

timetable_sections as (
    select * from {{ ref('intake_sections') }}
),

timetable_staff as (
    select * from {{ ref('intake_section_staff') }}
),

absences as (
    select * from {{ ref('intake_absences') }}
),

contacts as (
    select * from {{ ref('intake_contacts') }}
),

assignments as (
    select * from {{ ref('intake_staff') }}
),

employees as (
    select * from {{ ref('intake_employees') }}
),

employments as (
    select * from {{ ref('intake_employments') }}
),

schools as (
    select * from {{ ref('schools') }}
),

students as (
    select * from {{ ref('students') }}
),

staff as (
    select * from {{ ref('staff') }}
),

staff_matches as (
    select * from {{ ref('staff_matches') }}
),

pseudo_courses as (
    select * from {{ ref('pseudo_courses') }}
),

absence_codes as (
    select * from {{ ref('absence_codes') }}
),

catalogue as (
    select * from {{ ref('problems') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

found_at_intake as (
    select
        intake_problems.code,
        intake_problems.source_system,
        intake_problems.entity,
        intake_problems.key,
        intake_problems.school_number,
        intake_problems.column_name,
        intake_problems.source_file,
        intake_problems.source_line
    from intake_problems
),

unknown_schools as (
    select
        'unknown_school' as code,
        student_records.source_system,
        'schools' as entity,
        student_records.school_number as key,
        student_records.school_number,
        'school_number' as column_name,
        student_records.source_file,
        student_records.source_line
    from student_records
    left join schools on student_records.school_number = schools.school_number
    where schools.school_number is null
),

-- of who left nobody asks any more where it was
workplaces_unknown as (
    select
        'unknown_workplace' as code,
        employments.source_system,
        'schools' as entity,
        employments.school_number as key,
        employments.school_number,
        'school_number' as column_name,
        employments.source_file,
        employments.source_line
    from employments
    cross join night
    left join schools on employments.school_number = schools.school_number
    where
        employments.school_number is not null
        and schools.school_number is null
        and coalesce(employments.ended_on >= night.as_of, true)
),

members_unknown as (
    select
        'section_of_unknown_student' as code,
        timetable_members.source_system,
        'section_students' as entity,
        timetable_members.student_number as key,
        timetable_members.school_number,
        'student_number' as column_name,
        timetable_members.source_file,
        timetable_members.source_line
    from timetable_members
    left join students on timetable_members.student_number = students.student_number
    where students.student_number is null
),

sections_unknown as (
    select
        'student_in_unknown_section' as code,
        timetable_members.source_system,
        'sections' as entity,
        timetable_members.timetable_id as key,
        timetable_members.school_number,
        'master_timetable_id' as column_name,
        timetable_members.source_file,
        timetable_members.source_line
    from timetable_members
    left join timetable_sections on timetable_members.timetable_id = timetable_sections.timetable_id
    left join pseudo_courses on upper(timetable_members.course_code) = upper(pseudo_courses.course_code)
    where timetable_sections.timetable_id is null and pseudo_courses.course_code is null
),

class_teachers_unknown as (
    select
        'unknown_teacher' as code,
        timetable_staff.source_system,
        'staff' as entity,
        timetable_staff.staff_id as key,
        timetable_staff.school_number,
        'teacher_id' as column_name,
        timetable_staff.source_file,
        timetable_staff.source_line
    from timetable_staff
    left join staff on timetable_staff.staff_id = staff.staff_id
    where timetable_staff.staff_id is not null and staff.staff_id is null
),

homeroom_teachers_unknown as (
    select
        'unknown_teacher' as code,
        student_records.source_system,
        'staff' as entity,
        student_records.homeroom_teacher_id as key,
        student_records.school_number,
        'teacher_id' as column_name,
        student_records.source_file,
        student_records.source_line
    from student_records
    left join staff on student_records.homeroom_teacher_id = staff.staff_id
    where
        student_records.enrolment_status = 'active'
        and student_records.homeroom_teacher_id is not null
        and staff.staff_id is null
),

absent_unknown as (
    select
        'absence_of_unknown_student' as code,
        absences.source_system,
        'absences' as entity,
        absences.student_number as key,
        absences.school_number,
        'student_number' as column_name,
        absences.source_file,
        absences.source_line
    from absences
    left join students on absences.student_number = students.student_number
    where students.student_number is null
),

absence_codes_unknown as (
    select
        'unknown_absence_code' as code,
        absences.source_system,
        'absences' as entity,
        absences.absence_code as key,
        cast(null as {{ dbt.type_string() }}) as school_number,
        'absence_code' as column_name,
        absences.source_file,
        absences.source_line
    from absences
    left join absence_codes on upper(absences.absence_code) = absence_codes.absence_code
    where absences.absence_code is not null and absence_codes.absence_code is null
),

contacts_unknown as (
    select
        'contact_of_unknown_student' as code,
        contacts.source_system,
        'guardians' as entity,
        contacts.student_number as key,
        cast(null as {{ dbt.type_string() }}) as school_number,
        'student_number' as column_name,
        contacts.source_file,
        contacts.source_line
    from contacts
    left join students on contacts.student_number = students.student_number
    where students.student_number is null
),

sis_only as (
    select
        staff_matches.staff_key,
        assignments.source_system,
        assignments.school_number,
        lower(assignments.email) as email,
        coalesce({{ name_key('assignments.first_name') }}, '') as first_name,
        {{ name_key('assignments.last_name') }} as last_name,
        assignments.source_file,
        assignments.source_line
    from staff_matches
    inner join assignments on staff_matches.sis_key = assignments.sis_key
    where staff_matches.match_rule = 'sis_only'
),

hr_only as (
    select
        employees.school_number,
        lower(employees.email) as email,
        coalesce({{ name_key('employees.first_name') }}, '') as first_name,
        {{ name_key('employees.usual_first_name') }} as usual_first_name,
        {{ name_key('employees.last_name') }} as last_name
    from staff_matches
    inner join employees on staff_matches.hr_staff_id = employees.staff_id
    where staff_matches.match_rule = 'hr_only'
),

-- two records no rule joined, that a person would take for one
lookalikes as (
    select
        'staff_lookalike' as code,
        sis_only.source_system,
        'staff' as entity,
        sis_only.staff_key as key,
        sis_only.school_number,
        'staff_id' as column_name,
        sis_only.source_file,
        sis_only.source_line
    from sis_only
    left join hr_only as same_email on sis_only.email = same_email.email
    left join hr_only as same_name
        on
            sis_only.school_number = same_name.school_number
            and sis_only.last_name = same_name.last_name
            and sis_only.first_name in (same_name.first_name, same_name.usual_first_name)
    where coalesce(same_email.email, same_name.last_name) is not null
),

found as (
    select * from found_at_intake
    union all
    select * from unknown_schools
    union all
    select * from workplaces_unknown
    union all
    select * from members_unknown
    union all
    select * from sections_unknown
    union all
    select * from class_teachers_unknown
    union all
    select * from homeroom_teachers_unknown
    union all
    select * from absent_unknown
    union all
    select * from absence_codes_unknown
    union all
    select * from contacts_unknown
    union all
    select * from lookalikes
    union all
    select * from name_problems
),

identified as (
    select
        found.*,
        {{ text_hash("found.code || '|' || coalesce(found.key, found.source_file || ':' || found.source_line, '')") }} as problem_id
    from found
),

counted as (
    select
        identified.*,
        count(*) over (partition by identified.problem_id) as lines
    from identified
),

-- one problem per thing that is wrong, not one per line that shows it
one_per_problem as (
    {{ deduplicate('counted', 'problem_id', 'source_file nulls last, source_line nulls last') }}
),

-- what points nowhere and has no digit may be a name somebody typed: file, line and column say which it is
told as (
    select
        one_per_problem.problem_id,
        one_per_problem.code,
        one_per_problem.source_system,
        one_per_problem.entity,
        case
            when one_per_problem.code not in (
                'unknown_teacher', 'unknown_school', 'section_of_unknown_student', 'student_in_unknown_section',
                'absence_of_unknown_student', 'contact_of_unknown_student', 'unknown_absence_code'
            ) then one_per_problem.key
            when {{ regexp_like('one_per_problem.key', '[0-9]') }} then one_per_problem.key
            when one_per_problem.code = 'unknown_absence_code' and length(one_per_problem.key) <= 4
                then one_per_problem.key
        end as key,
        one_per_problem.school_number,
        one_per_problem.column_name,
        one_per_problem.source_file,
        one_per_problem.source_line,
        one_per_problem.lines
    from one_per_problem
),

valued as (
    select
        told.*,
        {{ problem_values({
            'column': "coalesce(told.column_name, '')",
            'key': "coalesce(told.key, '')",
            'rows': "case told.lines when 1 then '1 row' else cast(told.lines as "
                ~ dbt.type_string() ~ ") || ' rows' end",
        }) }} as values
    from told
),

final as (
    select
        valued.problem_id,
        catalogue.level,
        valued.code,
        valued.source_system as source,
        valued.entity,
        valued.school_number,
        valued.key,
        valued.source_file as file,
        valued.source_line as line,
        valued.column_name,
        valued.lines,
        cast(valued.values as {{ dbt.type_string() }}) as values,
        {{ rendered('catalogue.sentence', 'valued.values') }} as message,
        -- what human resources wrote only human resources can mend
        case when valued.entity = 'employees' then 'human resources' else catalogue.owner end as owner,
        catalogue.action
    from valued
    inner join catalogue on valued.code = catalogue.code
)

select * from final
