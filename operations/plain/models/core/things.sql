select * from {{ ref('stg_shelf__things') }}
