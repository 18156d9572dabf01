{#- 1 for equal names, 0 for names without a letter in common at their places: one less the share of letters to change. -#}
{% macro name_similarity(one, other) -%}
    coalesce(
        1.0 - cast(levenshtein({{ one }}, {{ other }}) as {{ dbt.type_float() }})
        / nullif(greatest(length({{ one }}), length({{ other }})), 0),
        0.0
    )
{%- endmacro %}
