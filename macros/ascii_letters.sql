{#- Lower case, with every letter the map knows as its a-z letters; what the map does not name is left as it is. -#}
{% macro ascii_letters(text) -%}
    {{ return(adapter.dispatch('ascii_letters', 'homeroom')(text)) }}
{%- endmacro %}

{#- Accents first, by the engine: strip_accents() and a small map are seven times faster than one big map. -#}
{% macro duckdb__ascii_letters(text) -%}
    {%- set map = letter_map() -%}
    {%- set plain = namespace(text="translate(strip_accents(lower(" ~ text ~ ")), '" ~ map.letters ~ "', '" ~ map.letters_ascii ~ "')") -%}
    {%- for letter, ascii in map.several -%}
        {%- set plain.text = "replace(" ~ plain.text ~ ", '" ~ letter ~ "', '" ~ ascii ~ "')" -%}
    {%- endfor -%}
    {{ plain.text }}
{%- endmacro %}

{% macro default__ascii_letters(text) -%}
    {%- set map = letter_map() -%}
    {%- set plain = namespace(text="translate(lower(" ~ text ~ "), '" ~ map.letters ~ map.marked ~ "', '" ~ map.letters_ascii ~ map.marked_ascii ~ "')") -%}
    {%- for letter, ascii in map.several -%}
        {%- set plain.text = "replace(" ~ plain.text ~ ", '" ~ letter ~ "', '" ~ ascii ~ "')" -%}
    {%- endfor -%}
    {{ regex_replace(plain.text, '[\\x{0300}-\\x{036f}]', '') }}
{%- endmacro %}
