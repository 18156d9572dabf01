{#-
    `first` and `last` are account_name_letters, `number` the person's number, `year` the first year of the school year of admission, `policy` the alias of a
    name_policy row. A base holds a-z, 0-9, dots, hyphens and underscores, starts and ends with a letter or digit, and leaves seven places for a number.
    Null when the names leave no letter and the pattern does not stand on the number.
-#}
{% macro account_name_base(first, last, number, year, policy) -%}
    {%- set filled = namespace(text=policy ~ ".pattern") -%}
    {%- for place, value in [
        ('{first}', first), ('{last}', last), ('{f}', "left(" ~ first ~ ", 1)"), ('{l}', "left(" ~ last ~ ", 1)"),
        ('{number}', number), ('{year}', "coalesce(" ~ year ~ ", '')"), ('{yy}', "coalesce(right(" ~ year ~ ", 2), '')"),
    ] -%}
        {%- set filled.text = "replace(" ~ filled.text ~ ", '" ~ place ~ "', " ~ value ~ ")" -%}
    {%- endfor -%}
    {%- set plain = "case when " ~ policy ~ ".hyphens = 'keep' then " ~ filled.text ~ " else replace(" ~ filled.text ~ ", '-', '') end" -%}
    {#- signs that meet because a part is empty become one; those at the front go before the cut, those at the end after it -#}
    {%- set joined = regex_replace(regex_replace(plain, '[_-]*[.][._-]*', '.'), '([_-])[_-]+', '-') -%}
    {%- set trimmed = regex_replace(joined, '^[._-]+', '') -%}
    case
        when {{ first }} || {{ last }} <> '' or {{ policy }}.pattern like '%{number}%'
            then nullif({{ regex_replace("left(" ~ trimmed ~ ", " ~ policy ~ ".max_length - 7)", '[._-]+$', '') }}, '')
    end
{%- endmacro %}
