{#- Whether a row is of a target the district has not: [targets.<name>] is missing, or says enabled = false. -#}
{% macro is_off(target) -%}
    {%- set off = fromjson(env_var('HOMEROOM_SEEDS', '{}')).get('off', []) -%}
    {%- if off -%}
        coalesce({{ target }} in ('{{ off | join("', '") }}'), false)
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}
