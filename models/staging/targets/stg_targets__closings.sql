with united as (
    {{ of_targets('closings', 'closings', {
        'remote_id': dbt.type_string(),
        'person_id': dbt.type_string(),
        'suspended_on': 'date',
        'archived_on': 'date',
    }) }}
)

select * from united
