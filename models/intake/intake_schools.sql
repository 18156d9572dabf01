with schools as (
    select * from {{ ref('stg_myedbc__schools') }}
),

numbered_schools as (
    select * from schools where school_number is not null
),

one_per_school as (
    {{ first_row_per('numbered_schools', 'school_number', 'source_line') }}
),

final as (
    select
        'myedbc' as source_system,
        one_per_school.school_number,
        one_per_school.school_name,
        one_per_school.school_configuration,
        one_per_school.ministry_school_number,
        one_per_school.source_file,
        one_per_school.source_line
    from one_per_school
)

select * from final
