with schools as (
    select * from {{ ref('rostered_schools') }}
),

final as (
    select
        schools.school_number as sourced_id,
        schools.school_name as name,
        'school' as type,
        cast(null as {{ dbt.type_string() }}) as parent_sourced_id
    from schools
)

select * from final
