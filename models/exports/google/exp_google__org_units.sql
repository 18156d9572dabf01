-- every org unit an account is placed in, with all its ancestors, and the one that holds leavers before there are any

{% set deepest_level = 8 %}

with users as (
    select * from {{ ref('exp_google__users') }}
),

renamed as (
    select * from {{ ref('google__renamed_org_units') }}
),

level_0 as (
    select users.org_unit_path from users
    union
    select {{ leavers_org_unit_path() }} as org_unit_path
),

{% for level in range(1, deepest_level) %}
level_{{ level }} as (
    select {{ parent_org_unit_path('level_' ~ (level - 1) ~ '.org_unit_path') }} as org_unit_path
    from level_{{ level - 1 }}
),

{% endfor %}
paths as (
    {% for level in range(deepest_level) %}
    select org_unit_path from level_{{ level }}
    {% if not loop.last %}union{% endif %}
    {% endfor %}
),

-- two spellings of a path that differ by letter case are one unit
spelled as (
    select
        min(paths.org_unit_path) as org_unit_path
    from paths
    -- the root is the tenant's own
    where paths.org_unit_path <> '/'
    group by lower(paths.org_unit_path)
),

-- a unit that people still stand in, or shall, is no other's
free as (
    select renamed.*
    from renamed
    left join spelled
        on lower(renamed.old_path) = lower(spelled.org_unit_path)
    where spelled.org_unit_path is null
),

final as (
    select
        spelled.org_unit_path,
        {{ regex_replace('spelled.org_unit_path', '^.*/', '') }} as name,
        {{ parent_org_unit_path('spelled.org_unit_path') }} as parent_org_unit_path,
        free.remote_id as adopt_id
    from spelled
    left join free
        on lower(spelled.org_unit_path) = lower(free.new_path)
)

select * from final
