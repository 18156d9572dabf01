with candidates as (
    select * from {{ ref('correlation_candidates') }}
),

issued as (
    select * from {{ source('ledger_identity', 'accounts') }}
),

judged as (
    select
        candidates.*,
        case
            when candidates.rule = 'decision' then null
            when candidates.confidence <> 'certain' then 'no more than the ' || candidates.rule || ' is the same'
            when candidates.similarity < candidates.least_similarity then 'the names are not alike'
            else candidates.protection
        end as doubt
    from candidates
    -- what sort of account it is, is asked before whose it may be: a guest, a shared mailbox or a room is nobody's own,
    -- and who else matches is as sure as if it were not there
    where not candidates.is_refused and not candidates.is_nobodys
),

sure as (
    select
        judged.*,
        min(case when judged.doubt is null then judged.position end) over (
            partition by judged.target, judged.remote_id
        ) as settled_for_account,
        min(case when judged.doubt is null then judged.position end) over (
            partition by judged.target, judged.person_id
        ) as settled_for_person
    from judged
),

-- an earlier certain rule settles the account and the person; what is left may still be two of either
open_pairs as (
    select
        sure.*,
        count(*) over (partition by sure.target, sure.person_id) as accounts_of_person,
        count(*) over (partition by sure.target, sure.remote_id) as people_of_account,
        min(sure.person_id) over (partition by sure.address) as first_of_address,
        max(sure.person_id) over (partition by sure.address) as last_of_address
    from sure
    where
        coalesce(sure.position <= sure.settled_for_account, true)
        and coalesce(sure.position <= sure.settled_for_person, true)
),

reasoned as (
    select
        open_pairs.*,
        case
            when open_pairs.doubt is not null then open_pairs.doubt
            when open_pairs.accounts_of_person > 1 then 'two accounts match the person'
            when open_pairs.people_of_account > 1 then 'two people match the account'
            when issued.person_id <> open_pairs.person_id then 'the address was given to somebody else'
            when open_pairs.first_of_address <> open_pairs.last_of_address and open_pairs.rule <> 'decision'
                then 'the same address matches somebody else in another target'
        end as why_not
    from open_pairs
    left join issued
        on open_pairs.address = issued.account_name || '@' || issued.domain
),

final as (
    select
        reasoned.person_id,
        reasoned.target,
        reasoned.remote_id,
        reasoned.population,
        reasoned.source_key,
        reasoned.school_number,
        reasoned.address,
        reasoned.rule,
        case when reasoned.why_not is null then 'certain' else 'doubtful' end as confidence,
        case when reasoned.why_not is null then 'adopt' else 'wait' end as decision,
        reasoned.why_not as doubt
    from reasoned

    union all

    select
        candidates.person_id,
        candidates.target,
        candidates.remote_id,
        candidates.population,
        candidates.source_key,
        candidates.school_number,
        candidates.address,
        candidates.rule,
        'certain' as confidence,
        'different' as decision,
        'seed identity_decisions' as doubt
    from candidates
    where candidates.is_refused and not candidates.is_nobodys

    union all

    -- no more than a name is no news: there are many guests
    select
        candidates.person_id,
        candidates.target,
        candidates.remote_id,
        candidates.population,
        candidates.source_key,
        candidates.school_number,
        candidates.address,
        candidates.rule,
        candidates.confidence,
        'nobodys' as decision,
        candidates.protection as doubt
    from candidates
    where
        candidates.is_nobodys
        and candidates.confidence = 'certain'
        and candidates.similarity >= candidates.least_similarity
)

select * from final
