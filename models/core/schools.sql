with schools as (
    select * from {{ ref('intake_schools') }}
),

final as (
    select
        schools.school_number,
        schools.school_name,
        substr(schools.school_number, 1, 3) as district_number,
        schools.school_configuration,
        schools.ministry_school_number
    from schools
)

select * from final
