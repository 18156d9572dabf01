select
    person_merges.population,
    person_merges.source_key,
    person_merges.same_as
from {{ ref('person_merges') }} as person_merges
left join {{ ref('merged_keys') }} as merged_keys
    on
        person_merges.population = merged_keys.population
        and person_merges.source_key = merged_keys.source_key
where merged_keys.source_key is null
