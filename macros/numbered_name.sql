{#- The nth of a base: the first goes without a number; behind a digit the number stands apart, or 12 and 3 would be 1 and 23. -#}
{% macro numbered_name(base_name, number) -%}
    {{ base_name }} || case
        when {{ number }} = 1 then ''
        when {{ regexp_like(base_name, '[0-9]$') }} then '-' || cast({{ number }} as {{ dbt.type_string() }})
        else cast({{ number }} as {{ dbt.type_string() }})
    end
{%- endmacro %}
