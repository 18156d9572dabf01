with classes as (
    select * from {{ ref('rostered_classes') }}
),

final as (
    select
        classes.class_id as shortname,
        classes.title as fullname,
        classes.school_number as category_idnumber,
        classes.class_id as idnumber,
        {{ date_text('classes.starts_on') }} as startdate,
        {{ date_text('classes.ends_on') }} as enddate
    from classes
)

select * from final
