with schools as (
    select * from {{ ref('rostered_schools') }}
),

final as (
    select
        schools.school_number as account_id,
        cast(null as {{ dbt.type_string() }}) as parent_account_id,
        schools.school_name as name,
        'active' as status
    from schools
)

select * from final
