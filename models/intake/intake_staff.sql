with assignments as (
    {{ records_by_precedence('staff') }}
),

keyed as (
    select
        assignments.*,
        coalesce('E' || assignments.staff_id, 'U' || assignments.sis_user_name) as sis_key,
        case when assignments.is_teacher then 1 else 2 end as teaching_rank
    from assignments
),

one_per_assignment as (
    {{ deduplicate('keyed', 'sis_key, school_number', 'teaching_rank, precedence, source_line') }}
),

final as (
    select {{ all_but('one_per_assignment', ['precedence', 'teaching_rank']) }}
    from one_per_assignment
)

select * from final
