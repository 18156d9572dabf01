with records as (
    select * from {{ ref('person_records') }}
),

real_names as (
    select * from {{ ref('real_names') }}
),

judged as (
    select
        records.person_id,
        coalesce(
            {{ name_fault('records.first_name') }},
            {{ name_fault('records.last_name', first_name='records.first_name') }},
            {{ name_fault('records.legal_first_name') }},
            {{ name_fault('records.legal_last_name', first_name='records.legal_first_name') }}
        ) as fault
    from records
    left join real_names
        on
            records.population = real_names.population
            and records.source_key = real_names.source_key
    where real_names.source_key is null
),

final as (
    select
        judged.person_id,
        judged.fault
    from judged
    where judged.fault is not null
)

select * from final
