-- where the people of a renamed school stand in the tenant, and where they shall: the two units of one parent at which the ways
-- part, of which the one to be bears the school's new name, are one unit that is renamed in place

{% set deepest_level = 8 %}

with events as (
    select * from {{ ref('district_events') }}
),

night as (
    select * from {{ source('homeroom', 'run_context') }}
),

holders as (
    select * from {{ ref('account_holders') }}
),

assignments as (
    select * from {{ ref('org_unit_assignments') }}
),

users as (
    select * from {{ ref('stg_google__users') }}
),

units as (
    select * from {{ ref('stg_google__org_units') }}
),

people as (
    select distinct
        holders.person_id,
        {{ org_unit_name('holders.school_name', 'No school') }} as unit_name,
        assignments.org_unit_path as wanted,
        users.org_unit_path as held
    from events
    cross join night
    inner join holders
        on events.school_number = holders.school_number
    inner join assignments
        on holders.person_id = assignments.person_id
    inner join users
        on holders.person_id = users.person_id
    where
        events.event = 'renamed'
        and events.starts_on <= night.as_of
        and events.ends_on >= night.as_of
),

{% for side in ['wanted', 'held'] %}
{{ side }}_0 as (
    select
        people.person_id,
        people.unit_name,
        people.{{ side }} as org_unit_path
    from people
),

{% for level in range(1, deepest_level) %}
{{ side }}_{{ level }} as (
    select
        {{ side }}_{{ level - 1 }}.person_id,
        {{ side }}_{{ level - 1 }}.unit_name,
        {{ parent_org_unit_path(side ~ '_' ~ (level - 1) ~ '.org_unit_path') }} as org_unit_path
    from {{ side }}_{{ level - 1 }}
),

{% endfor %}
{{ side }}_units as (
    {% for level in range(deepest_level) %}
    select * from {{ side }}_{{ level }}
    {% if not loop.last %}union{% endif %}
    {% endfor %}
),

{% endfor %}
-- siblings: the same parent, and another name
parted as (
    select
        wanted_units.org_unit_path as new_path,
        held_units.org_unit_path as old_path,
        count(*) as people
    from wanted_units
    inner join held_units
        on
            wanted_units.person_id = held_units.person_id
            and {{ parent_org_unit_path('lower(wanted_units.org_unit_path)') }}
            = {{ parent_org_unit_path('lower(held_units.org_unit_path)') }}
            and lower(wanted_units.org_unit_path) <> lower(held_units.org_unit_path)
    where
        {{ dbt.position('lower(wanted_units.unit_name)', regex_replace('lower(wanted_units.org_unit_path)', '^.*/', '')) }} > 0
        and held_units.org_unit_path <> '/'
        and wanted_units.org_unit_path <> '/'
    group by wanted_units.org_unit_path, held_units.org_unit_path
),

-- of several units people came from the one most came from; a unit has one new name
from_most as (
    {{ deduplicate('parted', 'new_path', 'people desc, old_path') }}
),

to_most as (
    {{ deduplicate('from_most', 'old_path', 'people desc, new_path') }}
),

final as (
    select
        to_most.new_path,
        to_most.old_path,
        units.remote_id
    from to_most
    inner join units
        on lower(to_most.old_path) = lower(units.org_unit_path)
    -- where the new one is there already it is nobody else's to become
    left join units as there
        on lower(to_most.new_path) = lower(there.org_unit_path)
    where there.org_unit_path is null
)

select * from final
