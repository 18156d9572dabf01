{% macro homeroom_section_id(school_number, homeroom, school_year) -%}
    ({{ school_number }} || '_' || {{ slug(homeroom) }} || '_' || {{ school_year }})
{%- endmacro %}
