{#- Whether a rule of a seed concerns a person: what it leaves empty fits everybody; letter case does not matter. -#}
{% macro rule_fits(rules, people) -%}
    {{ people }}.population = {{ rules }}.population
    and coalesce({{ rules }}.school_number, {{ people }}.school_number, '') = coalesce({{ people }}.school_number, '')
    and coalesce(lower({{ rules }}.grade_code), lower({{ people }}.grade_code), '') = coalesce(lower({{ people }}.grade_code), '')
    and coalesce(lower({{ rules }}.position), lower({{ people }}.position), '') = coalesce(lower({{ people }}.position), '')
{%- endmacro %}
