-- what the student information system says of the addresses of its staff, whichever school says it

with source as (
    select * from {{ source('myedbc', 'staff_information') }}
),

renamed as (
    select
        {{ staff_id('source.teacher_id') }} as staff_id,
        min({{ clean_text('source.email_address') }}) as email
    from source
    group by {{ staff_id('source.teacher_id') }}
)

select * from renamed
where renamed.staff_id is not null
