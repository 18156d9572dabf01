-- what the student information system says of the accounts of its students, whichever school says it

with source as (
    select * from {{ source('myedbc', 'student_demographic_enhanced') }}
),

renamed as (
    select
        {{ clean_text('source.student_number') }} as student_number,
        min({{ clean_text('source.student_email_address') }}) as email,
        min({{ clean_text('source.account_name') }}) as account_name,
        min({{ clean_text('source.card_number') }}) as card_number
    from source
    group by {{ clean_text('source.student_number') }}
)

select * from renamed
where renamed.student_number is not null
