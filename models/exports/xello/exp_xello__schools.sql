with schools as (
    select * from {{ ref('rostered_schools') }}
),

final as (
    select
        schools.school_number as school_code,
        schools.school_name as name,
        '3' as school_type
    from schools
)

select * from final
