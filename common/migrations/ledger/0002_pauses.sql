-- Who paused the nights, until when and why; one row per pause, per night that did not run for it, and per resume.
create table if not exists ledger.audit.pauses (
    happened_at timestamptz not null, what text not null, until timestamptz, why text, who text);
