with united as (
    {{ of_targets('licences', 'subscriptions', {
        'licence': dbt.type_string(),
        'seats': 'bigint',
        'seats_used': 'bigint',
    }) }}
)

select * from united
