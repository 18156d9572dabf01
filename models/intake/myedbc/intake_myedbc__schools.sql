with schools as (
    select * from {{ ref('stg_myedbc__schools') }}
),

final as (
    select
        schools.school_number,
        schools.school_name,
        schools.school_configuration,
        schools.ministry_school_number,
        schools.source_file,
        schools.source_line
    from schools
    where schools.school_number is not null
)

select * from final
