with holders as (
    select * from {{ ref('account_holders') }}
),

rules as (
    select * from {{ ref('org_unit_rules') }}
),

fitting as (
    select
        holders.person_id,
        rules.org_unit,
        {{ rule_weight('rules') }} as weight
    from holders
    inner join rules
        on {{ rule_fits('rules', 'holders') }}
),

weighed as (
    select
        fitting.person_id,
        fitting.org_unit,
        fitting.weight,
        -- as many columns filled: the order of the columns decides, and somebody should know
        count(*) over (partition by fitting.person_id, cast(floor(fitting.weight / 100) as integer)) as as_specific
    from fitting
),

chosen as (
    {{ deduplicate('weighed', 'person_id', 'weight desc, org_unit') }}
),

final as (
    select
        holders.person_id,
        replace(
            replace(
                replace(
                    replace(chosen.org_unit, '{school}', {{ org_unit_name('holders.school_name', 'No school') }}),
                    '{grade}', {{ org_unit_name('holders.grade_code', 'No grade') }}
                ),
                '{homeroom}', {{ org_unit_name('holders.homeroom', 'No homeroom') }}
            ),
            '{position}', {{ org_unit_name('holders.position', 'No position') }}
        ) as org_unit_path,
        chosen.org_unit as rule,
        coalesce(chosen.as_specific > 1, false) as is_contested
    from holders
    left join chosen
        on holders.person_id = chosen.person_id
)

select * from final
