with people as (
    select * from {{ ref('rostered_people') }}
),

final as (
    select
        people.person_id as sourced_id,
        people.address as username,
        people.first_name as given_name,
        people.last_name as family_name,
        cast(null as {{ dbt.type_string() }}) as password,
        cast(null as {{ dbt.type_string() }}) as active_directory_match_id,
        people.address as email,
        cast(null as {{ dbt.type_string() }}) as phone,
        cast(null as {{ dbt.type_string() }}) as sms,
        people.person_id,
        people.source,
        people.school_number
    from people
)

select * from final
