{{ config(materialized='view') }}

with person_merges as (
    select * from {{ ref('person_merges') }}
),

record_decisions as (
    select * from {{ ref('record_decisions') }}
),

final as (
    select
        person_merges.population,
        person_merges.source_key,
        person_merges.same_as
    from person_merges
    union
    select
        record_decisions.population,
        record_decisions.source_key,
        record_decisions.other_key as same_as
    from record_decisions
    where record_decisions.code in ('key_renumbered', 'key_doubled') and record_decisions.decision = 'same'
)

select * from final
