with classes as (
    select * from {{ ref('rostered_classes') }}
),

members as (
    select * from {{ ref('rostered_members') }}
),

academic_sessions as (
    select * from {{ ref('academic_sessions') }}
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
        classes.school_number as school_id,
        classes.class_id as section_id,
        first_teacher.person_id as teacher_id,
        second_teacher.person_id as teacher_2_id,
        third_teacher.person_id as teacher_3_id,
        classes.title as name,
        classes.class_code as section_number,
        classes.course_title as course_name,
        classes.course_code as course_number,
        academic_sessions.title as term_name,
        {{ date_text('academic_sessions.starts_on', 'slashed') }} as term_start,
        {{ date_text('academic_sessions.ends_on', 'slashed') }} as term_end
    from classes
    inner join academic_sessions on classes.session_id = academic_sessions.session_id
    inner join teachers as first_teacher
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
