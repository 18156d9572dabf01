-- only our people's, and only licences that seed licence_rules names: any other one stays with whoever was given it by hand

with source as (
    select * from {{ source('google', 'licences') }}
),

users as (
    select * from {{ ref('stg_google__users') }}
),

rules as (
    select distinct licence
    from {{ ref('licence_rules') }}
    where target = 'google'
),

renamed as (
    select
        -- ids
        users.remote_id || '/' || source.licence as remote_id,
        users.person_id,
        source.licence
    from source
    inner join users
        on lower(source.user_email) = users.primary_email
    inner join rules
        on source.licence = rules.licence
)

select * from renamed
