with sections as (
    {{ records_by_precedence('sections') }}
),

one_per_section as (
    {{ deduplicate('sections', 'timetable_id', 'precedence, source_line') }}
),

final as (
    select {{ all_but('one_per_section', ['precedence']) }}
    from one_per_section
)

select * from final
