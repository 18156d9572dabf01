{#- A name as a source writes it, for every name column of every source's staging. What nobody can see goes, but the joiners that
    letters of some scripts need; a damaged name stays as it is written, so that it can be told. In a column people may leave
    empty a placeholder is empty. -#}
{% macro name_text(text, optional=false) -%}
    {%- set unseen = '[\\x{00AD}\\x{061C}\\x{180E}\\x{200B}\\x{200E}\\x{200F}\\x{202A}-\\x{202E}\\x{2060}-\\x{2064}\\x{2066}-\\x{2069}\\x{FEFF}]+' -%}
    {%- set body %}
    case
        {%- if optional %}
        when {{ name_placeholder('written_name') }} is not null then null
        {%- endif %}
        when {{ name_damage('written_name') }} is not null then written_name
        else nullif(trim({{ regex_replace(regex_replace('written_name', unseen, ''), '[\\s\\p{Z}]+', ' ') }}), '')
    end
    {%- endset -%}
    {{ evaluated_once('written_name', regex_replace(text, '^[\\s\\p{Cc}\\p{Z}]+|[\\s\\p{Cc}\\p{Z}]+$', ''), body) }}
{%- endmacro %}
