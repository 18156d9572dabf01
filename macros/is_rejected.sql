{% macro is_rejected(rejected_keys, key) -%}
    {# the keys are a JSON list: ["100234", "100235"] #}
    coalesce({{ dbt.position("'\"' || " ~ key ~ " || '\"'", rejected_keys) }} > 0, false)
{%- endmacro %}
