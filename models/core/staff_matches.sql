with keys as (
    select * from {{ ref('staff_keys') }}
),

final as (
    {{ without_doubted('keys', 'staff', 'staff_key') }}
)

select * from final
