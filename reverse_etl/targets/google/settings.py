"""What `[targets.<name>]` of kind `google` may say."""

from __future__ import annotations

from common.settings import Some, Text, Texts
from reverse_etl.configured import AccountSettings, PerMinute


class Settings(AccountSettings):
    """One Workspace domain, seen as one of its admins."""

    address: Text = ""
    """Where its Directory API is asked; empty: where Google's own client does."""
    customer: Text = "my_customer"
    """Which customer's directory; my_customer is the admin's own."""
    credentials: Text = ""
    """The service account's key, a JSON file."""
    subject: Text = ""
    """The admin the service account acts for."""
    subjects: Texts = ()
    """More admins it acts for: each has a quota of its own, so that each makes it faster."""
    hashed_passwords: bool = False
    """Whether first passwords are sent as their SHA-1 alone."""
    classes: bool = False
    """Whether classes are kept as courses of Classroom; it wants permissions of its own."""
    licences: bool = False
    """Whether licences are given and taken back; it wants a permission of its own."""
    group_settings: bool = False
    """Whether who may join, see and post in our groups is set and kept; it wants a permission of
    its own."""
    details: bool = False
    """Whether numbers, titles, managers, places and fields of our own stand on accounts, by rows of
    seed `google_details`."""
    products: Texts = ("101031",)
    """The products whose licences are read, as Google numbers them; 101031 is Education."""
    classroom_address: Text = ""
    """Where Classroom is asked; empty: where Google's own client does, or at `address` where that
    is none of Google's."""
    ca_file: Text = ""
    """Certificates to trust instead of httplib2's own, as those of a proxy that reads along."""
    writes_per_minute: PerMinute = 2400
    """Google's quota per delegated subject and project."""
    threads: Some = 32
    """Calls under way at once."""

    @property
    def everybody(self) -> tuple[str, ...]:
        """The admins it acts for, the first one first."""
        return tuple(dict.fromkeys((self.subject, *self.subjects)))
