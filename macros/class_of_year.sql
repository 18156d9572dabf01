{#- A class id without the year some systems, this one too, write behind it: core puts the year there itself. -#}
{% macro class_of_year(class_id) -%}
    {{ regex_replace(class_id, '_20[0-9][0-9]$', '') }}
{%- endmacro %}
