with employments as (
    select * from {{ ref('intake_employments') }}
),

final as (
    select {{ all_but('employments', ['is_main']) }}
    from employments
    where employments.is_main
)

select * from final
