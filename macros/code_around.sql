{%- macro code_around(values) -%}
    {{ return(adapter.dispatch('code_around', 'homeroom')(values)) }}
{%- endmacro %}

{%- macro duckdb__code_around(values) -%}
    json_extract_string({{ values }}, '$.within')
{%- endmacro %}

{%- macro postgres__code_around(values) -%}
    cast({{ values }} as json) ->> 'within'
{%- endmacro %}
