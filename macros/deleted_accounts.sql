{#- One row per person whose only account with our key lies among a target's deleted ones. `living` is the relation of those that do not. -#}
{% macro deleted_accounts(target, living) -%}
    select
        names.person_id,
        min(names.remote_id) as remote_id
    from {{ source(target, 'names_taken') }} as names
    left join {{ living }} as living
        on names.person_id = living.person_id
    where
        names.kind = 'deleted'
        and names.person_id is not null
        and living.person_id is null
    group by names.person_id
{%- endmacro %}
