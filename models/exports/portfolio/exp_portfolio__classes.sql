with sections as (
    select * from {{ ref('portfolio__sections') }}
),

section_students as (
    select * from {{ ref('section_students') }}
),

students as (
    select * from {{ ref('exp_portfolio__students') }}
),

-- classes nobody in the students file attends are left out: they would stand empty at the vendor
attended as (
    select sections.*
    from sections
    where exists (
        select 1
        from section_students
        inner join students
            on section_students.student_number = students.student_number
        where section_students.section_id = sections.section_id
    )
),

classes as (
    {{ deduplicate('attended', 'class_key', 'section_id') }}
),

final as (
    select
        classes.class_id,
        classes.name,
        classes.grade,
        classes.school_id,
        classes.start_date,
        classes.end_date,
        classes.section_id,
        classes.school_number
    from classes
)

select * from final
