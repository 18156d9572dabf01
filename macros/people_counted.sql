{#- How many people, in words: `1 person`, `12 people`. -#}
{% macro people_counted(number) -%}
    case {{ number }} when 1 then '1 person' else cast({{ number }} as {{ dbt.type_string() }}) || ' people' end
{%- endmacro %}
