with places as (
    select * from {{ ref('rostered_places') }}
),

users as (
    select * from {{ ref('exp_oneroster12__users') }}
),

final as (
    select
        places.person_id || '-' || places.school_number as sourced_id,
        cast(null as {{ dbt.type_string() }}) as status,
        cast(null as {{ dbt.type_string() }}) as date_last_modified,
        places.person_id as user_sourced_id,
        case when places.is_primary then 'primary' else 'secondary' end as role_type,
        case places.role when 'administrator' then 'siteAdministrator' else places.role end as role,
        cast(null as {{ dbt.type_string() }}) as begin_date,
        cast(null as {{ dbt.type_string() }}) as end_date,
        places.school_number as org_sourced_id,
        cast(null as {{ dbt.type_string() }}) as user_profile_sourced_id,
        places.person_id,
        places.source
    from places
    -- only of who is listed
    inner join users on places.person_id = users.sourced_id
)

select * from final
