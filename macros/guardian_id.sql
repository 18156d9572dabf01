{% macro guardian_id(contact) -%}
    {# without any contact nothing tells two people of one name apart: the student number keeps them two #}
    {{ text_hash(
        contact ~ ".person_name || '|' || coalesce(lower(" ~ contact ~ ".email), " ~ contact ~ ".mobile_phone, "
        ~ contact ~ ".home_phone, " ~ contact ~ ".work_phone, 'student ' || " ~ contact ~ ".student_number)"
    ) }}
{%- endmacro %}
