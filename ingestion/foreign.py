"""What a file is that is none of the text its layout describes: a page, a workbook, a report, an
answer of a program, an archive nobody opened.

In: the first bytes of a file. Out: a code of the catalogue (`feed_is_…`), which says what it is and
what to choose in the exporting system; '' for what may be rows. Pure. Nothing of the file is ever
quoted: a line may be a person.

Signatures are those of the formats' own papers (ISO 32000 for PDF, ECMA-376 for .xlsx, MS-CFB for
the older Office files, RFC 1952 for gzip, RFC 8259 for JSON, RFC 5545 for calendars …).
"""

from __future__ import annotations

import re

HEAD = 1 << 16  # bytes that are looked at
FEW_LINES = 60  # a message of a program is short

BINARY = (
    (b"%PDF-", "feed_is_pdf"),
    (b"%!PS", "feed_is_pdf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "feed_is_old_office"),
    (b"\x09\x08", "feed_is_old_office"),  # a sheet of Excel before 97, without its folder
    (b"{\\rtf", "feed_is_document"),
    (b"\x1f\x8b", "feed_is_packed"),
    (b"BZh", "feed_is_packed"),
    (b"\xfd7zXZ\x00", "feed_is_packed"),
    (b"7z\xbc\xaf\x27\x1c", "feed_is_packed"),
    (b"Rar!", "feed_is_packed"),
    (b"\x28\xb5\x2f\xfd", "feed_is_packed"),
    (b"MSCF", "feed_is_packed"),
    (b"PK\x05\x06", "feed_is_packed"),  # a zip without a member
    (b"-----BEGIN PGP", "feed_is_encrypted"),
    (b"\x85\x01", "feed_is_encrypted"),
    (b"\x85\x02", "feed_is_encrypted"),
    (b"-----BEGIN ", "feed_is_encrypted"),
    (b"age-encryption.org", "feed_is_encrypted"),
    (b"Salted__", "feed_is_encrypted"),
    (b"SQLite format 3\x00", "feed_is_database"),
    (b"\x00\x01\x00\x00Standard ", "feed_is_database"),  # Access
    (b"PAR1", "feed_is_database"),
    (b"Obj\x01", "feed_is_database"),
    (b"ARROW1", "feed_is_database"),
    (b"$FL2", "feed_is_database"),
    (b"\x89PNG", "feed_is_picture"),
    (b"\xff\xd8\xff", "feed_is_picture"),
    (b"GIF8", "feed_is_picture"),
    (b"II*\x00", "feed_is_picture"),
    (b"MM\x00*", "feed_is_picture"),
)
UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
# a zip by what its first members are called
OFFICE = (
    (rb"xl/(?:workbook|worksheets|sharedStrings|styles)", "feed_is_workbook"),
    (rb"word/(?:document|styles)", "feed_is_document"),
    (rb"application/vnd\.oasis\.opendocument\.spreadsheet", "feed_is_workbook"),
    (rb"application/vnd\.oasis\.opendocument", "feed_is_document"),
)
TAGS = (  # of a page, or of a part of one that was sent without its frame
    rb"html|head|body|title|meta|link|base|style|script|div|span|p|br|hr|h[1-6]|center|pre|font|b|i"
    rb"|strong|em|ul|ol|li|form|input|table|thead|tbody|tr|td|th|a|img|iframe|frameset"
)
MARKED = (  # the beginning of a text, blanks aside
    (rb"<!doctype html|<%|<\?php|</?(?:" + TAGS + rb")\b[^<>]*>", "html"),
    (rb"<\?xml|<!doctype\b|<!entity\b|<[A-Za-z_][\w:.-]*(?:\s[^<>]*)?/?>", "xml"),
    (rb"(?:null|true|false)\s*$|\)\]\}',?\s|[A-Za-z_$][\w.$]*\(\s*[\[{]", "feed_is_json"),
    (rb"\{\s*(?:\"|\}|\{)|\[\s*(?:\{|\[|\]|\"[^\"]*\"\s*[,\]])", "feed_is_json"),
    (
        rb"(?:insert\s+into|create\s+(?:table|database)|drop\s+table|begin\s+transaction)\b"
        rb"|select\s+[^\r\n]*\sfrom\s|-- (?:mysql|mariadb|postgresql|dump)|set\s+nocount\b",
        "feed_is_sql",
    ),
    (
        rb"(?:mime-version|content-type|content-disposition|received|return-path|message-id"
        rb"|x-[a-z-]+|delivered-to): ?|(?:from|to|date|subject): [^\r\n]*\r?\n[A-Z][A-Za-z-]*: ",
        "feed_is_mail",
    ),
    (rb"http/[12](?:\.[01])? [1-5][0-9]{2}", "feed_is_message"),
    (rb"begin:v(?:card|calendar)", "feed_is_mail"),
    (rb"\+-{3,}|\| ?-{3,}|\|[^\r\n]*\|\r?\n\| ?:?-{3,}", "feed_is_drawn"),
    (rb"\[internetshortcut\]|version https://git-lfs", "feed_is_pointer"),
)
SIGN_IN = re.compile(
    rb"type\s*=\s*[\"']?password|sign[ -]?in|log[ -]?(?:in|on)\b|sso|saml|oauth|session (?:has )?"
    rb"(?:expired|timed out)|password",
    re.IGNORECASE,
)
SHEET_OF_HTML = re.compile(rb"<table\b|<td\b|urn:schemas-microsoft-com:office", re.IGNORECASE)
MESSAGE = re.compile(
    rb"""
    \b(?:ora|pls|tns|sp2|rep)-[0-9]{4,5}\b | \bmsg\s[0-9]+,\slevel\s[0-9]+ | sqlstate
    | traceback\s\(most\srecent | \bexception\b | \bstack\s?trace\b | \bat\s[\w.$]+\([\w.]+:[0-9]+\)
    | ^\W*(?:error|fatal|warning|failed|failure|exception|fault)\b
    | \b(?:access|permission|connection|request)\s(?:is\s|was\s)?(?:denied|refused|closed|forbidden)
    | \b(?:un(?:authori[sz]ed|available)|forbidden)\b | \btimed?\s?-?out\b | \bnot\sfound\b
    | \b(?:job|report|export|extract|query|login|task)\b[^\r\n]{0,40}\b(?:fail|abort|cancel)
    | \bno\s(?:rows|records|data|results|students)\b | \bcannot\sbe\b | \bunable\sto\b
    | ^\W*0\s(?:rows?|records?)\b | \bmoved\s(?:permanently|temporarily)\b | \bredirecting\b
    | \bcould\snot\b | \bcontact\s(?:your|the)\b | \binvalid\b | \bnot\slicen[sc]ed\b
    """,
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
# what stands behind rows where the program that wrote them did not come to their end
BROKE = re.compile(
    rb"""
    \b(?:ora|pls|tns|sp2|rep)-[0-9]{4,5}\b | \bmsg\s[0-9]+,\slevel\s[0-9]+ | \bsqlstate\b
    | \btraceback\s\(most\srecent | \b\w*exception\b\s*[:(] | \bstack\s?trace\b
    | ^\s*at\s[\w.$<>]+\([\w.\s]*:?[0-9]*\)
    | ^\W*(?:fatal|error|failed|failure)\b\s*[:\-!(](?!\s*(?:0|none)\b)
    | \b(?:connection|session)\b[^\r\n]{0,40}\b(?:closed|reset|lost|refused|expired|timed?\s?-?out)
    | \b(?:transaction|job|query|export|report|process|statement)\b[^\r\n]{0,40}
      \b(?:aborted|cancel+ed|killed|terminated|failed|timed?\s?-?out)
    | \b(?:query|export|job|statement)\s(?:failed|timeout)\b
    | \bfatal\serror\b | \bsnapshot\stoo\sold\b
    | \bout\sof\s(?:memory|space)\b | \bno\sspace\sleft\b
    | </?(?:html|body|head|h[1-6]|pre|center|hr|br|div|p|title)\b[^<>]*>
    """,
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1a\x01\x1c\x1d\x1e\x1f"))
ENDS = {b"\r": "CR", b"\x85": "NEL", b"\x1e": "RS", b"\x0b": "VT", b"\x15": "NL"}


def what(head: bytes) -> str:
    """What a file is by its first bytes: the code of a sentence, '' where it may be rows."""
    head = head[:HEAD]
    if head.startswith(UTF_16):
        return "feed_is_wide_text"
    for sign, code in BINARY:
        if head.startswith(sign):
            return code
    if head.startswith(b"PK\x03\x04"):
        return next((code for sign, code in OFFICE if re.search(sign, head)), "feed_is_packed")
    if head[257:262] == b"ustar":
        return "feed_is_packed"
    if b"\0" in head:
        return _with_zeros(head)
    if _is_ebcdic(head):
        return "feed_is_ebcdic"
    if _is_binary(head):
        return "feed_is_binary"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    while (
        text.startswith(b"<!--") and b"-->" in text
    ):  # a page or document may begin with a comment
        text = text[text.index(b"-->") + 3 :].lstrip()
    return _marked(text)


def is_message(text: bytes) -> bool:
    """Whether a text that is no table says what went wrong where it should have been made."""
    return text.count(b"\n") <= FEW_LINES and MESSAGE.search(text[:HEAD]) is not None


def broke_off(text: str) -> bool:
    """Whether what stands behind the rows says that what wrote them failed."""
    return BROKE.search(text.encode()) is not None


def line_ends(head: bytes) -> str:
    """The name of what ends its lines, where that is nothing we read; '' otherwise."""
    if b"\n" in head:
        doubled = head.count(b"\r\r\n")
        return "CR CR LF" if doubled and doubled * 2 >= head.count(b"\n") else ""
    found = [(head.count(end), name) for end, name in ENDS.items() if head.count(end) > 1]
    return max(found)[1] if found else ""


def _with_zeros(head: bytes) -> str:
    """Every other byte of UTF-16 is zero where its letters are ASCII; a file that ends in zeros was
    never written to its end.
    """
    sample = head[: len(head) // 2 * 2]
    for first in (0, 1):
        zeros = sample[first::2].count(0)
        if zeros * 2 > len(sample) // 2 and sample[1 - first :: 2].count(0) * 10 < len(sample) // 2:
            return "feed_is_wide_text"
    if not head.rstrip(b"\0").count(0):
        return "feed_zero_bytes"
    # a text with a few of them is refused where it is read
    return "feed_is_binary" if _is_binary(head) else ""


def _is_binary(head: bytes) -> bool:
    """Texts hold no control characters but blanks, line ends and the separators of fields."""
    return len(head.translate(None, CONTROLS)) * 100 < len(head) * 98


def _is_ebcdic(head: bytes) -> bool:
    """Letters, digits and blanks of EBCDIC stand where ASCII has none of them."""
    if len(head) < 40 or b" " in head:
        return False
    text = sum(
        head.count(byte) for byte in (0x40, 0x6B, 0x4B, *range(0x81, 0xEA), *range(0xF0, 0xFA))
    )
    return text * 10 > len(head) * 8


def _marked(head: bytes) -> str:
    for sign, code in MARKED:
        if re.match(sign, head, re.IGNORECASE):
            if code == "html":
                return _page(head)
            if code == "xml":
                return _page(head) if b"<html" in head.lower() else _document(head)
            return code
    return ""


def _page(head: bytes) -> str:
    if SHEET_OF_HTML.search(head) and not re.search(rb"type\s*=\s*[\"']?password", head, re.I):
        return "feed_is_html_table"
    return "feed_is_sign_in" if SIGN_IN.search(head) else "feed_is_html"


def _document(head: bytes) -> str:
    is_sheet = b"office:spreadsheet" in head or b"<Workbook" in head
    return "feed_is_html_table" if is_sheet else "feed_is_xml"
