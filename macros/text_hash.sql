{% macro text_hash(text) -%}
    {{ return(adapter.dispatch('text_hash', 'homeroom')(text)) }}
{%- endmacro %}

{% macro duckdb__text_hash(text) -%}
    sha256({{ text }})
{%- endmacro %}

{% macro postgres__text_hash(text) -%}
    encode(sha256(convert_to({{ text }}, 'UTF8')), 'hex')
{%- endmacro %}
