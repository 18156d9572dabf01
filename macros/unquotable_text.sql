{#- For files without quoting: what would end a field or a line, or open a quotation, becomes a space. -#}
{% macro unquotable_text(text) -%}
    coalesce(trim({{ regex_replace(text, '[\\s\\p{Cc}\\p{Z}"]+', ' ') }}), '')
{%- endmacro %}
