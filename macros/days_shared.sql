{% macro days_shared(first_a, last_a, first_b, last_b) -%}
    greatest(0, {{ dbt.datediff('greatest(' ~ first_a ~ ', ' ~ first_b ~ ')', 'least(' ~ last_a ~ ', ' ~ last_b ~ ')', 'day') }} + 1)
{%- endmacro %}
