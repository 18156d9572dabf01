with

persons as (

    select * from {{ ref('persons') }}

),

latest_events as (

    {{ first_row_per(ref('lifecycle_events'), 'person_id', 'event_number desc') }}

),

final as (

    select
        persons.person_id,
        persons.population,
        latest_events.state,
        latest_events.since,
        latest_events.reason
    from persons
    inner join latest_events
        on persons.person_id = latest_events.person_id

)

select * from final
