{#- Both have a name of that kind, and none of one's is one of the other's. -#}
{% macro is_other_name(one, other, kind) -%}
    coalesce({{ one }}.{{ kind }}_key, {{ one }}.usual_{{ kind }}_key) is not null
    and coalesce({{ other }}.{{ kind }}_key, {{ other }}.usual_{{ kind }}_key) is not null
    and not coalesce({{ one }}.{{ kind }}_key = {{ other }}.{{ kind }}_key, false)
    and not coalesce({{ one }}.{{ kind }}_key = {{ other }}.usual_{{ kind }}_key, false)
    and not coalesce({{ one }}.usual_{{ kind }}_key = {{ other }}.{{ kind }}_key, false)
    and not coalesce({{ one }}.usual_{{ kind }}_key = {{ other }}.usual_{{ kind }}_key, false)
{%- endmacro %}
