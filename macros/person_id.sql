{% macro person_id(population, source_key) -%}
    'p' || left({{ text_hash(population ~ " || ':' || " ~ source_key) }}, 15)
{%- endmacro %}
