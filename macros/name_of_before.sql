{#- Tonight's name, or of somebody who is known the name last seen, where tonight's is damaged or no name at all. -#}
{% macro name_of_before(name, before, is_known, first_name=none) -%}
    case
        when {{ is_known }} and {{ name_fault(name, first_name) }} is not null then {{ before }}
        else {{ name }}
    end
{%- endmacro %}
