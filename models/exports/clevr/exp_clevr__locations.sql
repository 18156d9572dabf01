with schools as (
    select * from {{ ref('rostered_schools') }}
),

final as (
    select
        schools.district_number as tenant_id,
        schools.school_number as proprietary_id,
        schools.school_number as local_id,
        schools.school_name as name
    from schools
)

select * from final
