with classes as (
    select * from {{ ref('rostered_classes') }}
),

members as (
    select * from {{ ref('rostered_members') }}
),

teachers as (
    select
        members.class_id,
        members.person_id,
        row_number() over (
            partition by members.class_id
            order by case when members.is_primary then 1 else 2 end asc, members.person_id asc
        ) as place
    from members
    where members.role = 'teacher'
),

final as (
    select
        {{ regex_replace('classes.class_id', '[^A-Za-z0-9]+', '-') }} as class_id,
        classes.title as class_number,
        {{ regex_replace('classes.course_id', '[^A-Za-z0-9]+', '-') }} as course_id,
        first_teacher.person_id as instructor_id,
        second_teacher.person_id as instructor_id_2,
        third_teacher.person_id as instructor_id_3,
        classes.school_number as location_id
    from classes
    left join teachers as first_teacher
        on
            classes.class_id = first_teacher.class_id
            and first_teacher.place = 1
    left join teachers as second_teacher
        on
            classes.class_id = second_teacher.class_id
            and second_teacher.place = 2
    left join teachers as third_teacher
        on
            classes.class_id = third_teacher.class_id
            and third_teacher.place = 3
)

select * from final
