{#-
    `first` and `last` are account_name_parts, `policy` is the alias of a name_policy row. A base holds a-z, dots and hyphens, starts and ends with a letter, and
    leaves six places for a number: base || number then decomposes in one way only and stays within max_length.
-#}
{% macro account_name_base(first, last, policy) -%}
    {%- set joined -%}
        case {{ policy }}.pattern
            when 'first.last' then {{ first }} || '.' || {{ last }}
            when 'f.last' then left({{ first }}, 1) || '.' || {{ last }}
            when 'firstlast' then {{ first }} || {{ last }}
            when 'flast' then left({{ first }}, 1) || {{ last }}
            when 'last.first' then {{ last }} || '.' || {{ first }}
        end
    {%- endset -%}
    {#- trimmed before the cut (one name of two leaves a dot at an end) and after it (a cut may fall behind a dot) -#}
    {%- set trimmed = regex_replace(joined, '^[.-]+|[.-]+$', '') -%}
    nullif({{ regex_replace("left(" ~ trimmed ~ ", " ~ policy ~ ".max_length - 6)", '[.-]+$', '') }}, '')
{%- endmacro %}
