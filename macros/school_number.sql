{% macro school_number(text) -%}
    {# lpad alone would cut a ninth character off and make one school of two #}
    case
        when length(trim({{ text }})) between 1 and 7 then lpad(trim({{ text }}), 8, '0')
        else nullif(trim({{ text }}), '')
    end
{%- endmacro %}
