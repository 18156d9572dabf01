with problems as (
    {{ records_of_systems('problems') }}
)

select * from problems
