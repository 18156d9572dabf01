-- courses without our key are not ours and are left out: what is not seen here is never touched

with source as (
    select * from {{ source('google', 'courses') }}
),

renamed as (
    select
        -- ids
        source.remote_id,
        source.class_id,

        -- names
        source.name,
        source.section,
        source.room,

        -- codes: what nobody can use is closed, whoever did it
        case
            when source.course_state in ('ARCHIVED', 'DECLINED', 'SUSPENDED') then 'ARCHIVED'
            else source.course_state
        end as course_state
    from source
    where source.class_id is not null
)

select * from renamed
