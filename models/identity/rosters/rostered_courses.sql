with classes as (
    select * from {{ ref('rostered_classes') }}
),

final as (
    select
        classes.course_id,
        classes.course_code,
        classes.school_number,
        case when min(classes.kind) = 'homeroom' then 'Homeroom' else min(classes.course_title) end as title,
        -- unknown where its classes are of several grades
        case when count(distinct classes.grade) = 1 and count(*) = count(classes.grade) then min(classes.grade) end as grade,
        max(left(classes.session_id, 4)) || '-year' as year_id,
        min(classes.kind) = 'homeroom' as is_homeroom
    from classes
    group by classes.course_id, classes.course_code, classes.school_number
)

select * from final
