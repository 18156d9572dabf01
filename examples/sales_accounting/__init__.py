"""Orders of a shop become invoices and postings: documents that are made once."""
