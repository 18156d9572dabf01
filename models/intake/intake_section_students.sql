with members as (
    {{ records_by_precedence('section_students') }}
),

one_per_member as (
    {{ deduplicate('members', 'timetable_id, student_number', 'precedence, school_year desc nulls last, source_line') }}
),

final as (
    select {{ all_but('one_per_member', ['precedence']) }}
    from one_per_member
)

select * from final
