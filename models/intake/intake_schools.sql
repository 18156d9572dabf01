with schools as (
    {{ records_by_precedence('schools') }}
),

one_per_school as (
    {{ deduplicate('schools', 'school_number', 'precedence, source_line') }}
),

final as (
    select {{ all_but('one_per_school', ['precedence']) }}
    from one_per_school
)

select * from final
