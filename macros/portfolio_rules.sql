{% macro portfolio_rules() -%}
    {%- set rules = ['school_number', 'class_id', 'homeroom_id', 'combined_id', 'class_name', 'homeroom_name', 'combined_name'] -%}
    select
        {%- for rule in rules %}
        max(case when portfolio_rules.rule = '{{ rule }}' then portfolio_rules.value end) as {{ rule }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('portfolio_rules') }} as portfolio_rules
{%- endmacro %}
