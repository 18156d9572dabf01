with

counted as (
    select day, cast(sum(net + tax) as decimal(12, 2)) as gross
    from {{ ref('sales') }}
    group by day
),

final as (
    select
        counted.day,
        counted.gross,
        closings.gross as closed_gross,
        -- a day the tills have not closed yet is taken as it is
        case
            when closings.gross <> counted.gross then 'the tills say another sum of the day'
        end as held
    from counted
    left join {{ ref('stg_shop__closings') }} as closings on closings.day = counted.day
)

select * from final
