{% macro parse_date(text) -%}
    {{ return(adapter.dispatch('parse_date', 'homeroom')(text)) }}
{%- endmacro %}

{# The patterns ask for four digits of year first: the parser itself would read 05-Sep-24 as the year 24. Days with
   slashes are refused: 03/04/2015 is two different birthdays. Ingestion has read them where the feed says which. #}
{% macro duckdb__parse_date(text) -%}
    case
        when {{ regexp_like(text, '^\\s*[0-9]{1,2}-[A-Za-z]{3,4}\\.?-[0-9]{4}\\s*$') }}
            then cast(
                try_strptime({{ regex_replace(text, '([A-Za-z]{3})[A-Za-z]?\\.?', '\\1') }}, '%d-%b-%Y') as date
            )
        when {{ regexp_like(text, '^\\s*[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([ T].*)?\\s*$') }}
            then cast(try_strptime({{ regex_replace("trim(" ~ text ~ ")", '[ T][0-9].*$', '') }}, '%Y-%m-%d') as date)
        when {{ regexp_like(text, '^\\s*[0-9]{8}\\s*$') }}
            then cast(try_strptime(trim({{ text }}), '%Y%m%d') as date)
    end
{%- endmacro %}

{% macro postgres__parse_date(text) -%}
    case
        when {{ regexp_like(text, '^\\s*[0-9]{1,2}-[A-Za-z]{3,4}\\.?-[0-9]{4}\\s*$') }}
            then homeroom_try_date({{ regex_replace("trim(" ~ text ~ ")", '([A-Za-z]{3})[A-Za-z]?\\.?', '\\1') }}, 'DD-Mon-YYYY')
        when {{ regexp_like(text, '^\\s*[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([ T].*)?\\s*$') }}
            then homeroom_try_date({{ regex_replace("trim(" ~ text ~ ")", '[ T][0-9].*$', '') }}, 'YYYY-MM-DD')
        when {{ regexp_like(text, '^\\s*[0-9]{8}\\s*$') }}
            then homeroom_try_date(trim({{ text }}), 'YYYYMMDD')
    end
{%- endmacro %}
