with schools as (
    select * from {{ ref('rostered_schools') }}
),

final as (
    select
        schools.school_number as school_id,
        schools.school_name,
        schools.school_number
    from schools
)

select * from final
