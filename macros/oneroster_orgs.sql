{% macro oneroster_orgs() -%}
with schools as (
    select * from {{ ref('rostered_schools') }}
),

districts as (
    select distinct schools.district_number
    from schools
),

orgs as (
    select
        districts.district_number as sourced_id,
        -- unverified: what a consumer shows of a district; nobody keys by it
        'School District ' || districts.district_number as org_name,
        'district' as org_type,
        districts.district_number as identifier,
        cast(null as {{ dbt.type_string() }}) as parent_id
    from districts
    union all
    select
        schools.school_number as sourced_id,
        schools.school_name as org_name,
        'school' as org_type,
        schools.identifier,
        schools.district_number as parent_id
    from schools
),

final as (
    select
        orgs.sourced_id,
        cast(null as {{ dbt.type_string() }}) as status,
        cast(null as {{ dbt.type_string() }}) as date_last_modified,
        orgs.org_name as name,
        orgs.org_type as type,
        orgs.identifier,
        orgs.parent_id as parent_sourced_id
    from orgs
)

select * from final
{%- endmacro %}
