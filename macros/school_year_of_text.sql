{% macro school_year_of_text(text) -%}
    {# the last four digits: 2027 and 2026/2027 are the same year #}
    {{ try_cast("case when " ~ regexp_like(text, '^\\s*([0-9]{4}\\s*[/-]\\s*)?[0-9]{4}\\s*$') ~ " then right(trim(" ~ text ~ "), 4) end", 'integer') }}
{%- endmacro %}
