{#- Who holds an account, and of each field the words of the row of a seed of details (`<target>_details`) that fits them best:
    details_of('users', 'holders', 'rules', 'primary_email', 'not users.suspended'). -#}
{% macro details_of(users, holders, rules, address, is_open) -%}
    with people as (
        select
            users.person_id,
            users.{{ address }} as address,
            {{ is_open }} as is_open,
            users.source,
            users.school_number as export_school,
            holders.population,
            holders.school_number,
            holders.school_name,
            holders.grade_code,
            holders.homeroom,
            holders.position,
            holders.source_key
        from {{ users }} as users
        inner join {{ holders }} as holders
            on users.person_id = holders.person_id
        where not users.deleted
    ),

    -- whoever has a position at a school; of several the first by address, so that it is the same one every night
    incumbents as (
        select
            people.school_number,
            lower(people.position) as position,
            min(people.address) as address
        from people
        where people.population = 'staff' and people.is_open
        group by people.school_number, lower(people.position)
    ),

    fitting as (
        select
            people.*,
            rules.field,
            rules.value as pattern,
            incumbents.address as holder,
            {{ rule_weight('rules') }} as weight
        from people
        inner join {{ rules }} as rules
            on {{ rule_fits('rules', 'people') }}
        -- nobody is their own
        left join incumbents
            on
                coalesce(people.school_number, '') = coalesce(incumbents.school_number, '')
                and lower(rules.held_by) = incumbents.position
                and people.address <> incumbents.address
    ),

    chosen as (
        {{ deduplicate('fitting', 'person_id, field', 'weight desc, pattern') }}
    )

    -- a row whose words say nothing of somebody empties the field
    select
        chosen.person_id,
        chosen.source,
        chosen.export_school,
        chosen.field,
        {{ detail_words('chosen') }} as value
    from chosen
{%- endmacro %}
