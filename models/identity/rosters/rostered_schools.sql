with schools as (
    select * from {{ ref('schools') }}
),

students as (
    select * from {{ ref('rostered_students') }}
),

places as (
    select * from {{ ref('rostered_places') }}
),

classes as (
    select * from {{ ref('rostered_classes') }}
),

-- a school somebody who is listed belongs to is listed itself, also where no feed describes it
known as (
    select schools.school_number from schools
    union
    select students.school_number from students
    union
    select places.school_number from places
    union
    select classes.school_number from classes
),

final as (
    select
        known.school_number,
        coalesce(schools.school_name, known.school_number) as school_name,
        coalesce(schools.ministry_school_number, known.school_number) as identifier,
        substr(known.school_number, 1, 3) as district_number
    from known
    left join schools on known.school_number = schools.school_number
)

select * from final
