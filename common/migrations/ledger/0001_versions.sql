-- Which changes this ledger has been through, in order. A program that knows fewer refuses it.
create table if not exists ledger.audit.versions (
    version integer not null primary key, name text not null, applied_at timestamptz not null, program text not null);
