{#- For files without quoting: what would end a field or a line, or start a quote, becomes a space. -#}
{% macro unquotable_text(text) -%}
    coalesce(trim({{ text_replaced(text, '[[:space:][:cntrl:]"]+', ' ') }}), '')
{%- endmacro %}
