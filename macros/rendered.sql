{%- macro rendered(text, values) -%}
    {{ return(adapter.dispatch('rendered', 'homeroom')(text, values)) }}
{%- endmacro %}

{#- the text is cut at its places, so that nothing a value holds is taken for one -#}
{%- macro duckdb__rendered(text, values) -%}
    array_to_string(list_transform(string_split({{ text }}, '{'), lambda part, place:
        case
            when place = 1 then part
            when json_type({{ values }}, '$.' || split_part(part, '}', 1)) in ('UBIGINT', 'BIGINT')
                then format('{:,}', cast(json_extract_string({{ values }}, '$.' || split_part(part, '}', 1)) as bigint))
            else coalesce(json_extract_string({{ values }}, '$.' || split_part(part, '}', 1)), '')
        end || case when place = 1 then '' else substr(part, strpos(part, '}') + 1) end
    ), '')
{%- endmacro %}
