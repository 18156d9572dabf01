{% macro date_of_year(year, month_and_day) -%}
    cast({{ year }} || '-{{ month_and_day }}' as date)
{%- endmacro %}
