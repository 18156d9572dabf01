-- What people did to the nights: paused, resumed, restored a backup, let old data go; and each night that did not run for it.
create table if not exists ledger.audit.interventions (
    intervention_id text not null primary key, happened_at timestamptz not null, what text not null, who text, why text,
    until timestamptz, details text);
