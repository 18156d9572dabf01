{% macro teacher_name(user) -%}
    {# as the schedules of other systems write a teacher: last name, comma, first name #}
    coalesce({{ user }}.preferred_family_name, {{ user }}.family_name)
    || coalesce(', ' || coalesce({{ user }}.preferred_given_name, {{ user }}.given_name), '')
{%- endmacro %}
