with sections as (
    select * from {{ ref('sections') }}
),

section_students as (
    select * from {{ ref('section_students') }}
),

students as (
    select * from {{ ref('exp_portfolio__students') }}
),

grades as (
    select * from {{ ref('portfolio_grades') }}
),

-- classes nobody in the students file attends are left out: they would stand empty at the vendor
attended as (
    select distinct section_students.section_id
    from section_students
    inner join students
        on section_students.student_number = students.student_number
),

final as (
    select
        sections.section_id as class_id,
        case
            when sections.kind = 'class' and sections.section_letter is not null
                then
                    {{ truncate_text('sections.title', 80) }}
                    || ' (' || {{ truncate_text('sections.section_letter', 17) }} || ')'
            else {{ truncate_text('sections.title', 100) }}
        end as name,
        -- blank when the class is mixed: the vendor takes the students' own grades
        grades.grade,
        sections.school_number as school_id,
        {{ date_text('sections.starts_on') }} as start_date,
        {{ date_text('sections.ends_on') }} as end_date
    from sections
    inner join attended
        on sections.section_id = attended.section_id
    left join grades
        on sections.grade_code = grades.grade_code
)

select * from final
