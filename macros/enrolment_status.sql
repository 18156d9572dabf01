{% macro enrolment_status(status, withdraw_date_text, as_of) -%}
    case
        when lower({{ status }}) in ('active', 'active no primary') then 'active'
        when lower({{ status }}) = 'prereg' then 'preregistered'
        when {{ status }} is not null then 'inactive'
        when {{ withdraw_date_text }} is null then 'active'
        when {{ parse_date(withdraw_date_text) }} >= {{ as_of }} then 'active'
        else 'inactive'
    end
{%- endmacro %}
