{% macro staff_id(text) -%}
    {# spreadsheets on the way write "nan" where there was nothing #}
    case when lower(trim({{ text }})) not in ('', 'nan', 'none', 'null') then trim({{ text }}) end
{%- endmacro %}
