with united as (
    {{ of_targets('licences', 'licences', {
        'person_id': dbt.type_string(),
        'licence': dbt.type_string(),
    }) }}
)

select * from united
