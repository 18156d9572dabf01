-- minimal fields: no medical, special-needs or alert field is sent, though the vendor has room for them; no alternate id,
-- as the only other number a student has is confidential

with students as (
    select * from {{ ref('students') }}
),

records as (
    select * from {{ ref('person_records') }}
),

family_telephones as (
    select * from {{ ref('family_telephones') }}
),

-- the bus hands a child to them
contacts as (
    {{ contacts_in_order() }}
),

addressed as (
    select
        students.*,
        -- the vendor's street number is a whole number: of 123A and 123 1/2 the rest goes to the apartment
        {{ regex_replace('students.street_number', '^[^0-9]*([0-9]+).*$', '\\1') }} as whole_number,
        trim({{ regex_replace('students.street_number', '^[^0-9]*[0-9]+', '') }}) as number_rest
    from students
    where
        students.enrolment_status = 'active'
        and students.school_number is not null
        -- students without a civic address are left out, and a finding says so: the vendor cannot place them on a map
        and students.street_name is not null
        and {{ regexp_like('students.street_number', '[0-9]') }}
),

final as (
    select
        addressed.student_number as student_id,
        {{ unquotable_text(first_name_or_placeholder('addressed.usual_first_name')) }} as first_name,
        {{ unquotable_text('addressed.usual_last_name') }} as last_name,
        coalesce({{ date_text('addressed.date_of_birth', 'slashed') }}, '') as birth_date,
        coalesce(addressed.gender_code, '') as gender,
        coalesce(family_telephones.home_phone, '') as phone,
        addressed.school_number as school_id,
        coalesce(addressed.grade_code, '') as grade,
        left({{ unquotable_text('addressed.homeroom') }}, 50) as school_home_room,
        addressed.whole_number as home_address_street_num,
        left({{ unquotable_text('addressed.street_name') }}, 100) as home_address_street_name,
        left({{ unquotable_text("coalesce(addressed.apartment, addressed.number_rest)") }}, 10) as home_address_apt,
        left({{ unquotable_text('addressed.municipality') }}, 50) as home_address_municipality,
        left({{ unquotable_text('addressed.province') }}, 50) as home_address_province,
        left({{ unquotable_text('addressed.postal_code') }}, 15) as home_address_postal_code,
        {{ unquotable_text('first_contact.first_name') }} as contact1_first_name,
        {{ unquotable_text('first_contact.last_name') }} as contact1_last_name,
        coalesce(first_contact.home_phone, '') as contact1_home_phone,
        coalesce(first_contact.mobile_phone, '') as contact1_cell_phone,
        {{ unquotable_text('second_contact.first_name') }} as contact2_first_name,
        {{ unquotable_text('second_contact.last_name') }} as contact2_last_name,
        coalesce(second_contact.home_phone, '') as contact2_home_phone,
        coalesce(second_contact.mobile_phone, '') as contact2_cell_phone,
        records.person_id,
        records.source
    from addressed
    -- a number that was merged into another has two persons: the first one's record, and the account given before
    inner join records
        on
            addressed.student_number = records.source_key
            and records.population = 'student'
            and records.reason <> 'merged'
    left join family_telephones
        on addressed.student_number = family_telephones.student_number
    left join contacts as first_contact
        on
            addressed.student_number = first_contact.student_number
            and first_contact.place = 1
    left join contacts as second_contact
        on
            addressed.student_number = second_contact.student_number
            and second_contact.place = 2
)

select * from final
