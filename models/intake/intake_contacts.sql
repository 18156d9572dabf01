-- a table, because folding the letters of every name is slow and six models and tests ask for the result
{{ config(materialized='table') }}

with contacts as (
    {{ records_by_precedence('contacts') }}
),

named_contacts as (
    select * from contacts
    where contacts.person_name <> '|'
),

-- a parent is listed once per school the child attends
one_per_parent as (
    {{ deduplicate('named_contacts', 'student_number, person_name', 'precedence, source_line') }}
),

final as (
    select {{ all_but('one_per_parent', ['precedence']) }}
    from one_per_parent
)

select * from final
