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

-- who has several places at once has been here since the first of them; one that says no day is no later one
begun as (
    select
        ranked.*,
        case
            when max(case when ranked.is_open and ranked.hired_on is null then 1 else 0 end) over (partition by ranked.staff_id) = 0
                then min(case when ranked.is_open then ranked.hired_on end) over (partition by ranked.staff_id)
        end as first_hired_on
    from ranked
),

final as (
    select
        {{ all_but('begun', ['precedence', 'usual_first_name', 'hired_on', 'first_hired_on', 'is_open', 'system_rank', 'place']) }},
        coalesce(begun.usual_first_name, begun.first_name) as usual_first_name,
        case when begun.is_open then begun.first_hired_on else begun.hired_on end as hired_on,
        begun.place = 1 as is_main
    from begun
    -- where somebody works no longer is no place of theirs; of who left everywhere the last one stays
    where begun.place = 1 or (begun.is_open and begun.system_rank = 1)
)

select * from final
