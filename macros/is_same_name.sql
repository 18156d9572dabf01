{#- One of one's names of that kind is one of the other's; people with one name have none of the other kind. -#}
{% macro is_same_name(one, other, kind) -%}
    not ({{ is_other_name(one, other, kind) }})
    and (coalesce({{ one }}.{{ kind }}_key, {{ one }}.usual_{{ kind }}_key) is null)
    = (coalesce({{ other }}.{{ kind }}_key, {{ other }}.usual_{{ kind }}_key) is null)
{%- endmacro %}
