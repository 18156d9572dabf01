{{ config(unique_key='section_id') }}

with sections as (
    select * from {{ ref('sections') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

final as (
    select
        sections.*,
        night.as_of as last_seen_on
    from sections
    cross join night
)

select * from final
