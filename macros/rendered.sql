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

{%- macro postgres__rendered(text, values) -%}
    (
        select
            string_agg(
                case
                    when cut.place = 1 then cut.part
                    when cast({{ values }} as json) ->> split_part(cut.part, '}', 1) ~ '^-?[0-9]+$'
                        and json_typeof(cast({{ values }} as json) -> split_part(cut.part, '}', 1)) = 'number'
                        then to_char(cast(cast({{ values }} as json) ->> split_part(cut.part, '}', 1) as bigint), 'FM999,999,999,999,990')
                    else coalesce(cast({{ values }} as json) ->> split_part(cut.part, '}', 1), '')
                end || case when cut.place = 1 then '' else substr(cut.part, strpos(cut.part, '}') + 1) end,
                '' order by cut.place
            )
        from unnest(string_to_array({{ text }}, '{')) with ordinality as cut (part, place)
    )
{%- endmacro %}
