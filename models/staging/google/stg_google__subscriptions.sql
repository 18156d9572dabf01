-- Google says of no licence how many seats there are: a row for none

select
    cast(null as {{ dbt.type_string() }}) as licence,
    cast(null as bigint) as seats,
    cast(null as bigint) as seats_used
where 1 = 0
