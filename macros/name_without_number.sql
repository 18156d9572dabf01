{% macro name_without_number(account_name) -%}
    case when {{ name_has_number(account_name) }} then {{ regex_replace(account_name, '-?[0-9]+$', '') }} else {{ account_name }} end
{%- endmacro %}
