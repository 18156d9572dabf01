with persons as (
    select * from {{ ref('persons') }}
),

records as (
    select * from {{ ref('person_records') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

final as (
    select
        persons.person_id,
        persons.population,
        persons.source_key,
        persons.first_seen_on,
        records.is_in_feed,
        records.source_file,
        records.source_line,
        night.run_id,
        night.as_of
    from persons
    inner join records
        on persons.person_id = records.person_id
    cross join night
)

select * from final
