{{ config(materialized='view') }}

with merged_keys as (
    select * from {{ ref('merged_keys') }}
),

keys as (
    select
        merged_keys.population,
        merged_keys.same_as as first_key,
        merged_keys.source_key
    from merged_keys
    union
    select
        merged_keys.population,
        merged_keys.same_as as first_key,
        merged_keys.same_as as source_key
    from merged_keys
),

final as (
    select
        keys.population,
        keys.source_key,
        others.source_key as other_key
    from keys
    inner join keys as others
        on
            keys.population = others.population
            and keys.first_key = others.first_key
)

select * from final
