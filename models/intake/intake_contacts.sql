-- a table, because folding the letters of every name is slow and six models and tests ask for the result
{{ config(materialized='table') }}

with contacts as (
    {{ records_by_precedence('contacts') }}
),

guardian_rules as (
    select * from {{ ref('guardian_rules') }}
),

named_contacts as (
    select
        contacts.*,
        {{ dbt.split_part('contacts.person_name', "'|'", 2) }} as last_name_key
    from contacts
    where contacts.person_name <> '|'
),

barred as (
    select
        named_contacts.*,
        {{ name_key(dbt.split_part('trim(named_contacts.first_name)', "' '", 1)) }} as first_word
    from named_contacts
    where named_contacts.is_barred
),

of_their_children as (
    select
        named_contacts.*,
        {{ name_key(dbt.split_part('trim(named_contacts.first_name)', "' '", 1)) }} as first_word
    from named_contacts
    where named_contacts.student_number in (select barred.student_number from barred)
),

-- one "no" is enough, whatever line or system it stands in, and however the name is spelled in the others: the same first
-- word of the first name, with a last name that begins alike or a telephone or address of the barred one
barred_names as (
    select distinct
        lines.student_number,
        lines.person_name
    from of_their_children as lines
    inner join barred
        on
            lines.student_number = barred.student_number
            and (
                lines.person_name = barred.person_name
                or (
                    lines.first_word = barred.first_word
                    and (
                        starts_with(lines.last_name_key, barred.last_name_key)
                        or starts_with(barred.last_name_key, lines.last_name_key)
                        or lower(lines.email) = lower(barred.email)
                        or lines.mobile_phone = barred.mobile_phone
                        or lines.home_phone = barred.home_phone
                        or lines.work_phone = barred.work_phone
                    )
                )
            )
),

of_person as (
    select
        named_contacts.student_number,
        named_contacts.person_name,
        -- a system that fills no is_barred has not asked: its yes is none
        coalesce(bool_or(named_contacts.is_guardian and not named_contacts.is_barred), false) as is_said,
        coalesce(bool_or(not named_contacts.is_guardian), false) as is_denied,
        coalesce(bool_or(named_contacts.doubt = 'custody'), false) as has_unread_custody,
        coalesce(bool_or(named_contacts.doubt = 'order'), false) as is_under_order,
        coalesce(bool_or(guardian_rules.relationship is not null), false) as has_rule
    from named_contacts
    left join guardian_rules
        on
            named_contacts.source_system = guardian_rules.source_system
            and lower(named_contacts.relationship) = lower(guardian_rules.relationship)
            and named_contacts.doubt = 'unsaid'
    group by named_contacts.student_number, named_contacts.person_name
),

-- a parent is listed once per school the child attends
one_per_parent as (
    {{ deduplicate('named_contacts', 'student_number, person_name', 'precedence, source_line') }}
),

judged as (
    select
        {{ all_but('one_per_parent', ['precedence', 'last_name_key', 'is_barred', 'is_guardian', 'doubt']) }},
        barred_names.person_name is not null as is_barred,
        barred_names.person_name is not null or of_person.is_denied as is_refused,
        case
            when of_person.has_unread_custody then 'custody'
            when of_person.is_said then null
            when of_person.is_under_order then 'order'
            when not of_person.has_rule then 'unsaid'
        end as doubt
    from one_per_parent
    inner join of_person
        on
            one_per_parent.student_number = of_person.student_number
            and one_per_parent.person_name = of_person.person_name
    left join barred_names
        on
            one_per_parent.student_number = barred_names.student_number
            and one_per_parent.person_name = barred_names.person_name
),

final as (
    select
        {{ all_but('judged', ['is_refused', 'doubt']) }},
        case
            when judged.is_refused then false
            when judged.doubt is null then true
        end as is_guardian,
        case when not judged.is_refused then judged.doubt end as doubt
    from judged
)

select * from final
