with absences as (
    {{ records_by_precedence('absences') }}
),

sections as (
    select * from {{ ref('intake_sections') }}
),

-- a register sent twice is one absence; the later line is the correction
one_per_absence as (
    {{ deduplicate(
        'absences',
        'student_number, absence_on, part_of_day, coalesce(timetable_id, course_code)',
        'precedence, source_line desc',
    ) }}
),

final as (
    select
        {{ all_but('one_per_absence', ['precedence']) }},
        sections.period
    from one_per_absence
    left join sections on one_per_absence.timetable_id = sections.timetable_id
)

select * from final
