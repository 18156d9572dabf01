{#- Distinct values of a group in their own order, as one text; an ordered string_agg runs out of memory on large groups. -#}
{% macro texts_joined(text, separator='') %}
    {{- return(adapter.dispatch('texts_joined')(text, separator)) -}}
{% endmacro %}

{% macro duckdb__texts_joined(text, separator) -%}
    coalesce(array_to_string(list_sort(list(distinct {{ text }})), '{{ separator }}'), '')
{%- endmacro %}

{% macro default__texts_joined(text, separator) -%}
    array_join(sort_array(collect_set({{ text }})), '{{ separator }}')
{%- endmacro %}

{% macro postgres__texts_joined(text, separator) -%}
    coalesce(string_agg(distinct {{ text }}, '{{ separator }}' order by {{ text }}), '')
{%- endmacro %}
