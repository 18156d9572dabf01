with parents as (
    select
        *,
        {{ person_name('first_name', 'last_name') }} as person_name,
        coalesce(parent_type_description, parent_type) as relationship,
        {{ parent_kind('coalesce(parent_type_description, parent_type)') }} as parent_kind
    from {{ ref('stg_myedbc__parents') }}
),

emergency_contacts as (
    select
        *,
        {{ person_name('first_name', 'last_name') }} as person_name
    from {{ ref('stg_myedbc__emergency_contacts') }}
),

demographics as (
    select * from {{ ref('stg_myedbc__student_demographics') }}
),

call_order as (
    select
        emergency_contacts.student_number,
        emergency_contacts.person_name,
        min({{ try_cast('emergency_contacts.contact_level_code', 'integer') }}) as contact_priority,
        -- one "no" is enough: authority is not given by a second, older line
        bool_and(emergency_contacts.has_parental_authority) as has_parental_authority
    from emergency_contacts
    group by emergency_contacts.student_number, emergency_contacts.person_name
),

custody_of_child as (
    select
        demographics.student_number,
        {{ strictest_letter('demographics.custody_with_mother') }} as with_mother,
        {{ strictest_letter('demographics.custody_with_father') }} as with_father,
        -- whatever else stands there than a no
        bool_or(coalesce(demographics.is_in_care, 'N') <> 'N' or coalesce(demographics.is_under_order, 'N') <> 'N') as is_under_order
    from demographics
    group by demographics.student_number
),

said as (
    select
        parents.*,
        call_order.contact_priority,
        call_order.has_parental_authority,
        case
            when parents.parent_kind = 'mother' then custody_of_child.with_mother
            when parents.parent_kind = 'father' then custody_of_child.with_father
            when custody_of_child.with_mother = '?' or custody_of_child.with_father = '?' then '?'
            -- one parent has custody and nothing says whether it is this one: only the person's own custody tells
            when custody_of_child.with_mother <> custody_of_child.with_father and coalesce(parents.has_custody, '') <> 'Y' then '?'
        end as custody_of_kind,
        custody_of_child.is_under_order
    from parents
    left join call_order
        on
            parents.student_number = call_order.student_number
            and parents.person_name = call_order.person_name
    left join custody_of_child
        on parents.student_number = custody_of_child.student_number
    where parents.student_number is not null
),

judged as (
    select
        said.*,
        coalesce(said.has_custody = 'N', false)
        or coalesce(said.custody_of_kind = 'N', false)
        or coalesce(not said.has_parental_authority, false) as is_barred,
        -- who is missing from the emergency contacts, or of whom they say nothing, is no guardian by that
        case
            when said.has_custody = '?' or said.custody_of_kind = '?' then 'custody'
            when said.has_custody = 'Y' or said.has_parental_authority then null
            when said.is_under_order then 'order'
            else 'unsaid'
        end as doubt
    from said
),

final as (
    select
        judged.student_number,
        judged.person_name,
        judged.first_name,
        judged.last_name,
        judged.email,
        judged.home_phone,
        judged.mobile_phone,
        judged.work_phone,
        judged.relationship,
        judged.contact_priority,
        judged.is_barred,
        case
            when judged.is_barred then false
            when judged.doubt is null then true
        end as is_guardian,
        case when not judged.is_barred then judged.doubt end as doubt,
        coalesce(judged.lives_with_student, false) as lives_with_student,
        judged.source_file,
        judged.source_line
    from judged
)

select * from final
