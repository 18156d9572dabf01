{#- What of a name may stand in an account name: a to z and hyphens. Spaces, apostrophes of every kind, glottal stops and digits go. -#}
{% macro account_name_letters(name) -%}
    {{ regex_replace(ascii_letters("coalesce(" ~ name ~ ", '')"), '[^a-z-]', '') }}
{%- endmacro %}
