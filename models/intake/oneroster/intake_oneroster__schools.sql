with orgs as (
    select * from {{ ref('stg_oneroster__orgs') }}
),

final as (
    select
        orgs.school_number,
        orgs.org_name as school_name,
        orgs.identifier as ministry_school_number,
        orgs.source_file,
        orgs.source_line
    from orgs
    where orgs.org_type = 'school' and coalesce(not orgs.is_removed, true) and orgs.school_number is not null
)

select * from final
