{% macro contacts_in_order(reachable=false) -%}
    select
        family_contacts.*,
        row_number() over (
            partition by family_contacts.student_number
            order by family_contacts.contact_priority nulls last, family_contacts.guardian_id
        ) as place
    -- only who may be told about the child
    from {{ ref('family_contacts') }} as family_contacts
    {%- if reachable %}
    -- contacts that cannot be reached in any way are left out
    where
        coalesce(
            family_contacts.home_phone, family_contacts.mobile_phone, family_contacts.work_phone, family_contacts.email
        ) is not null
    {%- endif %}
{%- endmacro %}
