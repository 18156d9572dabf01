with employments as (
    {{ records_by_precedence('employees') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

ranked as (
    select
        employments.*,
        coalesce(employments.ended_on >= night.as_of, true) as is_open,
        rank() over (partition by employments.staff_id order by employments.precedence) as system_rank,
        -- someone who left and came back has two rows: the one still open counts, then the later one
        row_number() over (
            partition by employments.staff_id
            order by
                employments.precedence, employments.ended_on desc nulls first, employments.hired_on desc nulls last,
                employments.school_number nulls last, employments.source_file nulls last,
                employments.source_line nulls last
        ) as place
    from employments
    cross join night
),

final as (
    select
        {{ all_but('ranked', ['precedence', 'usual_first_name', 'is_open', 'system_rank', 'place']) }},
        coalesce(ranked.usual_first_name, ranked.first_name) as usual_first_name,
        ranked.place = 1 as is_main
    from ranked
    -- where somebody works no longer is no place of theirs; of who left everywhere the last one stays
    where ranked.place = 1 or (ranked.is_open and ranked.system_rank = 1)
)

select * from final
