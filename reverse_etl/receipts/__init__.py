"""Receipts: what the other side says of the files it was sent, and whom it did not take.

`layout` reads a file of answers as its YAML says, `places` fetches such files (SFTP, a folder, a
mailbox), `read` makes a table and findings of them.
"""
