{#- Whether a row of seed lifecycle_rules concerns somebody on a day: what it leaves empty fits everybody, and every day. -#}
{% macro step_fits(rules, people, day) -%}
    {%- set month_and_day = 'substr(cast(' ~ day ~ ' as ' ~ dbt.type_string() ~ '), 6, 5)' -%}
    {{ people }}.population = {{ rules }}.population
    and {{ people }}.state = {{ rules }}.from_state
    and {{ people }}.record = {{ rules }}.record
    and coalesce(lower({{ rules }}.grade_code), lower({{ people }}.grade_code), '') = coalesce(lower({{ people }}.grade_code), '')
    and coalesce({{ rules }}.reason, {{ people }}.reason, '') = coalesce({{ people }}.reason, '')
    and case
        when {{ rules }}.first_day is null then true
        when {{ rules }}.first_day <= {{ rules }}.last_day
            then {{ month_and_day }} between {{ rules }}.first_day and {{ rules }}.last_day
        else {{ month_and_day }} >= {{ rules }}.first_day or {{ month_and_day }} <= {{ rules }}.last_day
    end
{%- endmacro %}
