{% macro number_of_name(account_name) -%}
    case when {{ name_has_number(account_name) }} then cast({{ regex_replace(account_name, '^.*[^0-9]', '') }} as integer) else 1 end
{%- endmacro %}
