with lines as (
    {{ records_by_precedence('section_staff') }}
),

teachers as (
    select
        {{ all_but('lines', ['is_primary']) }},
        -- one line that says so is enough
        bool_or(coalesce(lines.is_primary, false)) over (
            partition by lines.timetable_id, lines.school_number, lines.staff_id, lines.teacher_name
        ) as is_primary
    from lines
),

one_per_teacher as (
    {{ deduplicate('teachers', 'timetable_id, school_number, staff_id, teacher_name', 'precedence, source_file, source_line') }}
),

final as (
    select {{ all_but('one_per_teacher', ['precedence']) }}
    from one_per_teacher
)

select * from final
