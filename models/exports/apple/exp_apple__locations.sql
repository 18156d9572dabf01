with schools as (
    select * from {{ ref('rostered_schools') }}
),

final as (
    select
        schools.school_number as location_id,
        schools.school_name as location_name
    from schools
)

select * from final
