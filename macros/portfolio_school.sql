{% macro portfolio_school(school_number) -%}
    case
        when rules.school_number = 'without_zeros' then {{ regex_replace(school_number, '^0+', '') }}
        else {{ school_number }}
    end
{%- endmacro %}
