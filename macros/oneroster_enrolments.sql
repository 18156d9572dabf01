{% macro oneroster_enrolments(users) -%}
with members as (
    select * from {{ ref('rostered_members') }}
),

users as (
    select * from {{ users }}
),

final as (
    select
        members.class_id || '-' || members.person_id || '-' || members.role as sourced_id,
        cast(null as {{ dbt.type_string() }}) as status,
        cast(null as {{ dbt.type_string() }}) as date_last_modified,
        members.class_id as class_sourced_id,
        members.school_number as school_sourced_id,
        members.person_id as user_sourced_id,
        members.role,
        case when members.role = 'teacher' then case when members.is_primary then 'true' else 'false' end end as is_primary,
        cast(null as {{ dbt.type_string() }}) as begin_date,
        cast(null as {{ dbt.type_string() }}) as end_date,
        members.person_id,
        members.source
    from members
    -- only of who is listed
    inner join users on members.person_id = users.sourced_id
)

select * from final
{%- endmacro %}
