with sections as (
    select * from {{ ref('sections') }}
),

section_students as (
    select * from {{ ref('section_students') }}
),

students as (
    select * from {{ ref('rostered_students') }}
),

sessions as (
    select * from {{ ref('academic_sessions') }}
),

grades as (
    select * from {{ ref('portfolio_grades') }}
),

-- classes nobody who is listed attends are left out: they would stand empty at the vendor
attended as (
    select distinct section_students.section_id
    from section_students
    inner join students
        on section_students.student_number = students.student_number
    where students.has_account
),

final as (
    select
        sections.section_id as class_id,
        -- a homeroom has no course of its own; vendors whose classes all need one are told of one per school
        sections.school_number || '_' || coalesce(sections.course_code, 'HOMEROOM') as course_id,
        coalesce(sections.course_code, 'HOMEROOM') as course_code,
        sections.school_number,
        sessions.session_id,
        sections.kind,
        -- what has no title is called by its course
        coalesce({{ truncate_text('sections.title', 80) }}, sections.course_code, sections.section_id)
        || case
            when sections.kind = 'class' and sections.section_letter is not null
                then ' (' || {{ truncate_text('sections.section_letter', 17) }} || ')'
            else ''
        end as title,
        coalesce({{ truncate_text('sections.title', 100) }}, sections.course_code, sections.section_id) as course_title,
        case sections.kind when 'homeroom' then sections.title else sections.section_letter end as class_code,
        -- unknown where the class is mixed
        grades.grade,
        sections.starts_on,
        sections.ends_on
    from sections
    inner join attended on sections.section_id = attended.section_id
    inner join sessions
        on
            sections.starts_on = sessions.starts_on
            and sections.ends_on = sessions.ends_on
    left join grades on sections.grade_code = grades.grade_code
)

select * from final
