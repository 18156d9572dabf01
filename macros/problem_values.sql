{%- macro problem_values(values) -%}
    {{ return(adapter.dispatch('problem_values', 'homeroom')(values)) }}
{%- endmacro %}

{%- macro duckdb__problem_values(values) -%}
    json_object(
        {%- for name, expression in values.items() %}
        '{{ name }}', {{ expression }}{{ ',' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}
