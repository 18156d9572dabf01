with classes as (
    select * from {{ ref('rostered_classes') }}
),

courses as (
    select
        classes.course_id,
        classes.course_code,
        classes.school_number,
        case when min(classes.kind) = 'homeroom' then 'Homeroom' else min(classes.course_title) end as title,
        -- unknown where its classes are of several grades
        case when count(distinct classes.grade) = 1 and count(*) = count(classes.grade) then min(classes.grade) end as grade,
        max(left(classes.session_id, 4)) || '-year' as year_id
    from classes
    group by classes.course_id, classes.course_code, classes.school_number
),

final as (
    select
        courses.course_id as sourced_id,
        cast(null as {{ dbt.type_string() }}) as status,
        cast(null as {{ dbt.type_string() }}) as date_last_modified,
        courses.year_id as school_year_sourced_id,
        courses.title,
        courses.course_code,
        courses.grade as grades,
        courses.school_number as org_sourced_id,
        cast(null as {{ dbt.type_string() }}) as subjects,
        cast(null as {{ dbt.type_string() }}) as subject_codes
    from courses
)

select * from final
