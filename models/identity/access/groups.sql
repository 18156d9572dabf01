-- a group exists from its first member on. One that loses its last member is emptied, never deleted: what hangs on it
-- (files, calendars) belongs to the school

with members as (
    select * from {{ ref('group_members') }}
),

rules as (
    select * from {{ ref('group_rules') }}
),

school_names as (
    select * from {{ ref('school_names') }}
),

events as (
    select * from {{ ref('district_events') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

renamed_schools as (
    select distinct events.school_number
    from events
    cross join night
    where
        events.event = 'renamed'
        and events.starts_on <= night.as_of
        and events.ends_on >= night.as_of
),

kept as (
    select
        members.group_id,
        min(members.rule) as rule,
        min(members.school_number) as school_number,
        min(members.part) as part
    from members
    group by members.group_id
),

final as (
    select
        kept.group_id,
        kept.rule,
        coalesce(rules.family, kept.rule) as family,
        kept.school_number,
        replace(
            replace(rules.name, '{school}', coalesce(school_names.school_name, kept.school_number, '')), '{part}', kept.part
        ) as name,
        replace(
            replace(rules.description, '{school}', coalesce(school_names.school_name, kept.school_number, '')),
            '{part}', kept.part
        ) as description,
        rules.domain,
        renamed_schools.school_number is not null as is_renamed
    from kept
    inner join rules
        on kept.rule = rules.rule
    left join school_names
        on kept.school_number = school_names.school_number
    left join renamed_schools
        on kept.school_number = renamed_schools.school_number
)

select * from final
