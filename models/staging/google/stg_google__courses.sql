-- courses without our key are not ours and are left out: what is not seen here is never touched

with source as (
    select * from {{ source('google', 'courses') }}
),

users as (
    select * from {{ ref('stg_google__users') }}
),

renamed as (
    select
        -- ids
        source.remote_id,
        source.class_id,
        users.person_id as owner_id,

        -- names
        source.name,
        source.section,

        -- codes: what nobody can use is closed, whoever did it
        case
            when source.course_state in ('ARCHIVED', 'DECLINED', 'SUSPENDED') then 'ARCHIVED'
            else source.course_state
        end as course_state
    from source
    left join users
        on source.owner_remote_id = users.remote_id
    where source.class_id is not null
)

select * from renamed
