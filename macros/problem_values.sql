{%- macro problem_values(values, onto=none) -%}
    {{ return(adapter.dispatch('problem_values', 'homeroom')(values, onto)) }}
{%- endmacro %}

{%- macro duckdb__problem_values(values, onto) -%}
    {%- if onto %}json_merge_patch({{ onto }}, {% endif -%}
    json_object(
        {%- for name, expression in values.items() %}
        '{{ name }}', {{ expression }}{{ ',' if not loop.last }}
        {%- endfor %}
    )
    {%- if onto %}){% endif -%}
{%- endmacro %}

{%- macro postgres__problem_values(values, onto) -%}
    cast(
        {%- if onto %}cast({{ onto }} as jsonb) || {% endif -%}
        jsonb_build_object(
            {%- for name, expression in values.items() %}
            '{{ name }}', {{ expression }}{{ ',' if not loop.last }}
            {%- endfor %}
        ) as text
    )
{%- endmacro %}
