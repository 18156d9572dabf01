{#- The words of a row of a seed of details (`<target>_details`), filled in for somebody; empty where one of them says nothing of them. -#}
{% macro detail_words(row) -%}
    {%- set words = {
        '{source_key}': row ~ '.source_key', '{position}': row ~ '.position', '{school_number}': row ~ '.school_number',
        '{school}': row ~ '.school_name', '{grade}': row ~ '.grade_code', '{homeroom}': row ~ '.homeroom', '{holder}': row ~ '.holder'
    } -%}
    {%- set filled = namespace(text=row ~ '.pattern') -%}
    {%- for word, column in words.items() -%}
        {%- set filled.text = "replace(" ~ filled.text ~ ", '" ~ word ~ "', coalesce(" ~ column ~ ", ''))" -%}
    {%- endfor -%}
    case
        when
            {%- for word, column in words.items() %}
            {{ 'and ' if not loop.first }}({{ row }}.pattern not like '%{{ word }}%' or {{ column }} is not null)
            {%- endfor %}
            then nullif(trim({{ filled.text }}), '')
    end
{%- endmacro %}
