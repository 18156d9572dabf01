-- Whether what was read is a table as it stood that night, and no file, which may be an old one.
alter table ledger.audit.source_files add column is_live boolean;
