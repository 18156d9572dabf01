{#- A birth date (of staff: a hire date) and a name differ; where one of the dates is not known, both names. -#}
{% macro is_somebody_else(one, other) -%}
    case
        when {{ one }}.born_on is null or {{ other }}.born_on is null
            then {{ is_other_name(one, other, 'first') }} and {{ is_other_name(one, other, 'last') }}
        else
            {{ one }}.born_on <> {{ other }}.born_on
            and (({{ is_other_name(one, other, 'first') }}) or ({{ is_other_name(one, other, 'last') }}))
    end
{%- endmacro %}
