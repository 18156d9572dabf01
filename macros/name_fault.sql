{#- The code of what is wrong with a name before anything is made of it, or null. Of a first name every placeholder counts but
    those that are first names too; of a family name those that are family names only where the first name is none. -#}
{% macro name_fault(name, first_name=none) -%}
    {%- set body %}
    case
        {%- if first_name is none %}
        when {{ name_placeholder('judged_name') }} in ('nobody', 'family') then 'name_placeholder'
        {%- else %}
        when {{ name_placeholder('judged_name') }} = 'nobody' then 'name_placeholder'
        when
            {{ name_placeholder('judged_name') }} is not null
            and coalesce({{ name_placeholder(first_name) }}, {{ name_damage(first_name) }}, case when {{ first_name }} is null then 'none' end) is not null
            then 'name_placeholder'
        {%- endif %}
        when {{ name_damage('judged_name') }} is not null then 'name_damaged'
    end
    {%- endset -%}
    {{ evaluated_once('judged_name', name, body) }}
{%- endmacro %}
