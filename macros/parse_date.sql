{% macro parse_date(text) -%}
    {{ return(adapter.dispatch('parse_date', 'homeroom')(text)) }}
{%- endmacro %}

{# four digits of year are asked for first: the parser itself would read 05-Sep-24 as the year 24 #}
{% macro duckdb__parse_date(text) -%}
    case
        when {{ matches(text, '^\\s*[0-9]{1,2}-[A-Za-z]{3}-[0-9]{4}\\s*$') }}
            then cast(try_strptime({{ text }}, '%d-%b-%Y') as date)
        when {{ matches(text, '^\\s*[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}') }}
            then cast(try_strptime(substr(trim({{ text }}), 1, 10), '%Y-%m-%d') as date)
    end
{%- endmacro %}
