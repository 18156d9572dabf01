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

rules as (
    {{ portfolio_rules() }}
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
        case
            when sections.kind = 'homeroom' then {{ portfolio_words('rules.homeroom_id', 'sections') }}
            else {{ portfolio_words('rules.class_id', 'sections') }}
        end as class_id,
        case
            when sections.kind = 'homeroom' then {{ portfolio_words('rules.homeroom_name', 'sections') }}
            else {{ portfolio_words('rules.class_name', 'sections') }}
        end as name,
        -- blank when the class is mixed: the vendor takes the students' own grades
        grades.grade,
        {{ portfolio_school('sections.school_number') }} as school_id,
        {{ date_text('sections.starts_on') }} as start_date,
        {{ date_text('sections.ends_on') }} as end_date,
        sections.section_id,
        sections.school_number
    from sections
    cross join rules
    inner join attended
        on sections.section_id = attended.section_id
    left join grades
        on sections.grade_code = grades.grade_code
)

select * from final
