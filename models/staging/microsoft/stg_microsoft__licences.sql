-- only our people's, and only licences that seed licence_rules names: any other one stays with whoever was given it by hand

with source as (
    select * from {{ source('microsoft', 'licences') }}
),

users as (
    select * from {{ ref('stg_microsoft__users') }}
),

rules as (
    select distinct licence
    from {{ ref('licence_rules') }}
    where target = 'microsoft'
),

renamed as (
    select
        -- ids
        source.user_remote_id || '/' || source.licence as remote_id,
        users.person_id,
        source.licence
    from source
    inner join users
        on source.user_remote_id = users.remote_id
    inner join rules
        on source.licence = rules.licence
)

select * from renamed
