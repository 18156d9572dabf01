{% macro next_grade(grade_code) -%}
    case
        when {{ grade_code }} = 'EL' then 'KF'
        when {{ grade_code }} in ('KH', 'KF') then '01'
        when {{ grade_code }} = '12' then 'graduated'
        when {{ grade_code }} between '01' and '08' then '0' || cast(cast({{ grade_code }} as integer) + 1 as {{ dbt.type_string() }})
        when {{ grade_code }} in ('09', '10', '11') then cast(cast({{ grade_code }} as integer) + 1 as {{ dbt.type_string() }})
        else {{ grade_code }}
    end
{%- endmacro %}
