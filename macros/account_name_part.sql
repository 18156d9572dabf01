{#- Spaces, apostrophes of every kind, glottal stops, digits: what is neither a letter nor a kept hyphen goes. -#}
{% macro account_name_part(name, policy) -%}
    {%- set letters = ascii_letters("coalesce(" ~ name ~ ", '')") -%}
    case
        when {{ policy }}.hyphens = 'keep' then {{ regex_replace(letters, '[^a-z-]', '') }}
        else {{ regex_replace(letters, '[^a-z]', '') }}
    end
{%- endmacro %}
