{#- The map is letter_map(), generated from Unicode; what it does not name and is not a-z or a hyphen is dropped. -#}
{% macro ascii_letters(text) %}
    {{- return(adapter.dispatch('ascii_letters')(text)) -}}
{% endmacro %}

{#- Accents first, by the engine: a small translate() after strip_accents() is seven times faster than one big map. -#}
{% macro duckdb__ascii_letters(text) %}
    {%- set map = letter_map() -%}
    {%- set plain = namespace(text="translate(strip_accents(lower(" ~ text ~ ")), '" ~ map.letters ~ "', '" ~ map.letters_ascii ~ "')") -%}
    {%- for letter, ascii in map.several -%}
        {%- set plain.text = "replace(" ~ plain.text ~ ", '" ~ letter ~ "', '" ~ ascii ~ "')" -%}
    {%- endfor -%}
    regexp_replace({{ plain.text }}, '[^a-z-]', '', 'g')
{%- endmacro %}

{% macro default__ascii_letters(text) %}
    {%- set map = letter_map() -%}
    {%- set plain = namespace(text="translate(lower(" ~ text ~ "), '" ~ map.letters ~ map.marked ~ "', '" ~ map.letters_ascii ~ map.marked_ascii ~ "')") -%}
    {%- for letter, ascii in map.several -%}
        {%- set plain.text = "replace(" ~ plain.text ~ ", '" ~ letter ~ "', '" ~ ascii ~ "')" -%}
    {%- endfor -%}
    regexp_replace({{ plain.text }}, '[^a-z-]', '')
{%- endmacro %}
