with final as (
    select
        'Homeroom' as schema_name,
        'person_id' as field_name
)

select * from final
