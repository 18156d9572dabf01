{% macro is_taught_together(sections, combined) -%}
    {{ sections }}.school_number = {{ combined }}.school_number
    and upper({{ sections }}.course_code) = upper({{ combined }}.course_code)
    and coalesce({{ combined }}.section_letter, {{ sections }}.section_letter, '') = coalesce({{ sections }}.section_letter, '')
{%- endmacro %}
