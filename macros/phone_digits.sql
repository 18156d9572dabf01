{% macro phone_digits(text) -%}
    {# ten digits; the country code 1 in front of them says nothing and would make two numbers of one #}
    nullif({{ regex_replace(regex_replace(text, '[^0-9]', ''), '^1([0-9]{10})$', '\\1') }}, '')
{%- endmacro %}
