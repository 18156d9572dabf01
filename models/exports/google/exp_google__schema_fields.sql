with details as (
    select * from {{ ref('google_details') }}
),

final as (
    select distinct
        'Homeroom' as schema_name,
        details.field as field_name
    from details
    where details.field in ('school', 'grade', 'homeroom')
)

select * from final
