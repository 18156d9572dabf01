with united as (
    {{ of_targets('accounts', 'users', {
        'remote_id': dbt.type_string(),
        'person_id': dbt.type_string(),
    }) }}
)

select * from united
