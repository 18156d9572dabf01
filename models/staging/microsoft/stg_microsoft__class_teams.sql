with source as (
    select * from {{ source('microsoft', 'class_teams') }}
),

classes as (
    select * from {{ ref('stg_microsoft__classes') }}
),

renamed as (
    select
        -- ids
        classes.remote_id,
        classes.class_id,

        -- flags
        coalesce(cast(source.is_archived as boolean), false) as is_archived
    from source
    inner join classes
        on source.class_remote_id = classes.remote_id
)

select * from renamed
