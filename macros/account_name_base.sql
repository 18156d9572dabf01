{#-
    `policy` is the alias of a name_policy row. A base holds a-z, dots and hyphens, starts and ends with a letter, and
    leaves six places for a number, so that base || number decomposes in one way and stays within max_length.
-#}
{% macro account_name_base(first_name, last_name, policy) -%}
    {%- set first = "case when " ~ policy ~ ".hyphens = 'keep' then " ~ ascii_letters("coalesce(" ~ first_name ~ ", '')") ~ " else replace(" ~ ascii_letters("coalesce(" ~ first_name ~ ", '')") ~ ", '-', '') end" -%}
    {%- set last = "case when " ~ policy ~ ".hyphens = 'keep' then " ~ ascii_letters("coalesce(" ~ last_name ~ ", '')") ~ " else replace(" ~ ascii_letters("coalesce(" ~ last_name ~ ", '')") ~ ", '-', '') end" -%}
    {%- set joined -%}
        case {{ policy }}.pattern
            when 'first.last' then {{ first }} || '.' || {{ last }}
            when 'f.last' then left({{ first }}, 1) || '.' || {{ last }}
            when 'firstlast' then {{ first }} || {{ last }}
            when 'flast' then left({{ first }}, 1) || {{ last }}
            when 'last.first' then {{ last }} || '.' || {{ first }}
        end
    {%- endset -%}
    {#- the ends are trimmed before the cut (one name of two: no dot) and after it (a cut just behind a dot) -#}
    {%- set trimmed = text_replaced(joined, '^[.-]+|[.-]+$') -%}
    nullif({{ text_replaced("left(" ~ trimmed ~ ", " ~ policy ~ ".max_length - 6)", '[.-]+$') }}, '')
{%- endmacro %}
