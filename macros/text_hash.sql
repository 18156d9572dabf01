{% macro text_hash(text) -%}
    {{ return(adapter.dispatch('text_hash', 'homeroom')(text)) }}
{%- endmacro %}

{% macro duckdb__text_hash(text) -%}
    sha256({{ text }})
{%- endmacro %}
