with users as (
    select * from {{ ref('exp_microsoft__users') }}
),

holders as (
    select * from {{ ref('account_holders') }}
),

rules as (
    select * from {{ ref('microsoft_details') }}
),

worded as (
    {{ details_of('users', 'holders', 'rules', 'user_principal_name', 'users.account_enabled') }}
),

final as (
    select
        worded.person_id,
        worded.field,
        worded.value,
        worded.export_school as school_number,
        worded.source
    from worded
)

select * from final
