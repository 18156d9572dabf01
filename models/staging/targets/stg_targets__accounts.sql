with united as (
    {{ of_targets('accounts', 'accounts', {
        'remote_id': dbt.type_string(),
        'person_id': dbt.type_string(),
        'address': dbt.type_string(),
        'employee_id': dbt.type_string(),
        'first_name': dbt.type_string(),
        'last_name': dbt.type_string(),
        'is_open': 'boolean',
        'is_admin': 'boolean',
        'kind': dbt.type_string(),
    }) }}
)

select * from united
