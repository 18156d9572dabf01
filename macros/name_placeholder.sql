{#- Who may really be called what a text says, where it is one people write to say nothing: `nobody`, `family` (a real family
    name beside a first name that is none) or `either`; null for every other text. Case, and signs around it, do not matter;
    what has neither letter nor digit is nobody's name. The words are seed `name_placeholders`. -#}
{% macro name_placeholder(text) -%}
    {%- set words = fromjson(env_var('HOMEROOM_SEEDS', '{}')).get('name_placeholders', {}) -%}
    {%- set body %}
    case
        when bare_name = '' then 'nobody'
        {%- for who, texts in words.items() %}
        when bare_name in ('{{ texts | map('replace', "'", "''") | join("', '") }}') then '{{ who }}'
        {%- endfor %}
    end
    {%- endset -%}
    {#- most names have nothing to be taken off -#}
    {%- set lowered = "lower(nullif(" ~ text ~ ", ''))" -%}
    {%- set bare = regex_replace(regex_replace(lowered, '^[^\\p{L}\\p{N}]+|[^\\p{L}\\p{N}]+$', ''), '[\\s\\p{Z}]+', ' ') -%}
    {%- set is_dressed = regexp_like(text, '^[^\\p{L}\\p{N}]|[^\\p{L}\\p{N}]$|[\\s\\p{Z}]{2}|[^\\P{Z} ]') -%}
    {{ evaluated_once('bare_name', 'case when ' ~ is_dressed ~ ' then ' ~ bare ~ ' else ' ~ lowered ~ ' end', body) }}
{%- endmacro %}
