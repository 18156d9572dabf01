with united as (
    {{ of_targets('accounts', 'names_taken', {
        'remote_id': dbt.type_string(),
        'person_id': dbt.type_string(),
        'address': dbt.type_string(),
        'kind': dbt.type_string(),
    }, off_too=true) }}
)

select * from united
