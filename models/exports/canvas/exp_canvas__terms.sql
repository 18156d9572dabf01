with academic_sessions as (
    select * from {{ ref('academic_sessions') }}
),

final as (
    select
        academic_sessions.session_id as term_id,
        academic_sessions.title as name,
        'active' as status,
        {{ date_text('academic_sessions.starts_on') }} as start_date,
        {{ date_text('academic_sessions.ends_on') }} as end_date
    from academic_sessions
)

select * from final
