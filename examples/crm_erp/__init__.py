"""Customers of a CRM and parties of an ERP: who owns which field, both ways."""
