with final as (
    select '2.0' as version
)

select * from final
