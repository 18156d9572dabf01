{% macro enrolment_rank(status) -%}
    case {{ status }} when 'active' then 1 when 'preregistered' then 2 else 3 end
{%- endmacro %}
