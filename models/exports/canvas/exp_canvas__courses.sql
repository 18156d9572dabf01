with classes as (
    select * from {{ ref('rostered_classes') }}
),

final as (
    select
        classes.class_id as course_id,
        classes.course_code as short_name,
        classes.title as long_name,
        classes.school_number as account_id,
        classes.session_id as term_id,
        'active' as status,
        {{ date_text('classes.starts_on') }} as start_date,
        {{ date_text('classes.ends_on') }} as end_date
    from classes
)

select * from final
