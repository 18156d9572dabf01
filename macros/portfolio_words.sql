{% macro portfolio_words(pattern, sections) -%}
    {%- set title = "case when " ~ sections ~ ".section_letter is not null then " ~ truncate_text(sections ~ '.title', 80)
        ~ " else " ~ truncate_text(sections ~ '.title', 100) ~ " end" -%}
    {%- set words = {
        'section': sections ~ '.section_id',
        'timetable': sections ~ '.timetable_id',
        'end_year': "cast(extract(year from " ~ sections ~ ".ends_on) as " ~ dbt.type_string() ~ ")",
        'ends': "left(" ~ date_text(sections ~ '.ends_on') ~ ", 7)",
        'school': portfolio_school(sections ~ '.school_number'),
        'combined': sections ~ '.combined',
        'course': sections ~ '.course_code',
        'letter': truncate_text(sections ~ '.section_letter', 17),
        'title': title,
    } -%}
    {%- set filled = namespace(sql=pattern) -%}
    {%- for word, value in words.items() -%}
        {#- a word that is empty goes with the brackets around it and the blank before them -#}
        {%- set filled.sql = "replace(replace(" ~ filled.sql ~ ", ' ({" ~ word ~ "})', coalesce(' (' || " ~ value ~ " || ')', '')), '{"
            ~ word ~ "}', coalesce(" ~ value ~ ", ''))" -%}
    {%- endfor -%}
    {{ truncate_text(filled.sql, 100) }}
{%- endmacro %}
