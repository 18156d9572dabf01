{# Words the district's student information system has for a status; one that is not here is unknown, which is not the
   same as inactive: nobody loses anything over a typo. #}
{% macro enrolment_status(status, withdraw_date_text, as_of) -%}
    case
        when lower({{ status }}) in ('active', 'active no primary') then 'active'
        when lower({{ status }}) in ('prereg', 'pre-reg', 'preregistered', 'pre-registered', 'pre registered') then 'preregistered'
        when lower({{ status }}) in (
            'inactive', 'withdrawn', 'withdrew', 'graduate', 'graduated', 'grad', 'alumni', 'completed', 'transfer', 'transferred',
            'transferred out', 'dropped', 'dropped out', 'moved', 'exited', 'left', 'no show', 'deceased'
        ) then 'inactive'
        when {{ status }} is not null then cast(null as {{ dbt.type_string() }})
        when {{ withdraw_date_text }} is null then 'active'
        when {{ parse_date(withdraw_date_text) }} is null then cast(null as {{ dbt.type_string() }})
        when {{ parse_date(withdraw_date_text) }} >= {{ as_of }} then 'active'
        else 'inactive'
    end
{%- endmacro %}
