{% macro school_year(date) -%}
    {# the School Act's year: July 1 to June 30, named by the year it ends in #}
    (cast(extract(year from {{ date }}) as integer) + case when extract(month from {{ date }}) >= 7 then 1 else 0 end)
{%- endmacro %}
