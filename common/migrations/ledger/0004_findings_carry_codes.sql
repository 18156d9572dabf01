-- A finding and a feed's outcome are a code of common/problems.csv and its values: what they say is made where it is read.
create table ledger.audit.findings_of_codes as
    select finding_id, run_id, found_at, kind as code, to_json(map(['message'], [message])) as values, source, feed, target,
        entity, school_number, key, file, line, column_name, owner
    from ledger.audit.findings;
drop table ledger.audit.findings;
alter table ledger.audit.findings_of_codes rename to findings;
create table ledger.audit.source_files_of_codes as
    select * exclude (message), '' as code, to_json(map(['message'], [message])) as values from ledger.audit.source_files;
drop table ledger.audit.source_files;
alter table ledger.audit.source_files_of_codes rename to source_files;
-- So is the reason of a state.
alter table ledger.identity.lifecycle_events add column reason_values text;
update ledger.identity.lifecycle_events set
    reason_values = case
        when reason like 'absent from %' then '{"feeds":' || split_part(reason, ' ', 3) || '}'
        when reason like 'filtered: %' or reason like 'invalid: %' then '{"rule":"' || split_part(reason, ': ', 2) || '"}' end,
    reason = case when reason like 'absent from %' then 'absent' else replace(split_part(reason, ':', 1), ' ', '_') end;
