{% macro parent_kind(relationship) -%}
    case
        when lower({{ relationship }}) in ('mother', 'mom', 'mum', 'birth mother', 'biological mother', 'natural mother', 'adoptive mother') then 'mother'
        when lower({{ relationship }}) in ('father', 'dad', 'birth father', 'biological father', 'natural father', 'adoptive father') then 'father'
        else 'other'
    end
{%- endmacro %}
