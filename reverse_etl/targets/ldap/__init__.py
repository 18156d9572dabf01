"""Kind `ldap`: a directory on premises, OpenLDAP or Active Directory."""

from reverse_etl.targets.ldap.target import Ldap

__all__ = ["Ldap"]
