-- Which changes this warehouse has been through, in order. A program that knows fewer refuses it.
create schema if not exists raw_homeroom;
create table if not exists raw_homeroom.versions (
    version integer not null primary key, name text not null, applied_at timestamptz not null, program text not null);
