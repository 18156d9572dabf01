with schools as (
    select * from {{ ref('stg_myedbc__schools') }}
),

orgs as (
    select * from {{ ref('stg_oneroster__orgs') }}
),

numbered_schools as (
    select
        'myedbc' as source_system,
        schools.school_number,
        schools.school_name,
        schools.school_configuration,
        schools.ministry_school_number,
        schools.source_file,
        schools.source_line
    from schools
    where schools.school_number is not null
    union all
    select
        'oneroster' as source_system,
        orgs.school_number,
        orgs.org_name as school_name,
        cast(null as {{ dbt.type_string() }}) as school_configuration,
        orgs.identifier as ministry_school_number,
        orgs.source_file,
        orgs.source_line
    from orgs
    where orgs.org_type = 'school' and coalesce(not orgs.is_removed, true) and orgs.school_number is not null
),

one_per_school as (
    {{ deduplicate('numbered_schools', 'school_number', 'source_system, source_line') }}
),

final as (
    select
        one_per_school.source_system,
        one_per_school.school_number,
        one_per_school.school_name,
        one_per_school.school_configuration,
        one_per_school.ministry_school_number,
        one_per_school.source_file,
        one_per_school.source_line
    from one_per_school
)

select * from final
