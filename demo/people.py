"""People's names, addresses, telephones and numbers, as hard as a school office meets them and
wholly invented.

In: a stream of chance. Out: text. Names come from common given names and surnames of British
Columbia's many communities, mixed at random; names in Indigenous orthographies are invented
sequences in the letters of those orthographies and belong to nobody. Telephones use 555-0100 to
555-0199 (kept free for fiction), e-mail addresses use example.org and example.com (RFC 2606).
Personal Education Numbers satisfy the Luhn check the Ministry uses.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from random import Random

from demo.chance import Weighted, pick, whole

_BOYS = """Liam Noah Oliver William Ethan Lucas Benjamin Jack Jacob Logan James Owen Leo Henry
Theodore Thomas Mason
Hudson Nathan Samuel Arjun Daniel Hunter Wyatt Gabriel Isaac Dylan Kai River Jayden Ryan Aiden Caleb
Connor Harjot
Gurnoor Wei Jun Minh Mateo Santiago Diego Ivan Dmytro Andriy Lukas Felix Omar Yusuf Ibrahim Kenji
Hiroshi Joaquin
Rafael Tyson Dakota Bear Tobias Anton Emil Xavier Zane Ezra Silas Micah Jasper August Otto"""
_GIRLS = """Emma Olivia Charlotte Amelia Sophia Chloe Mia Ava Isla Hannah Emily Abigail Lily Ella
Grace Sadie Maya
Aurora Violet Hazel Nora Zoe Scarlett Ivy Willow Raven Simran Jasleen Harleen Mei Ling Yuki Sakura
Linh Camila
Valentina Lucia Oksana Solomiya Kateryna Freya Ingrid Fatima Aisha Zara Maryam Priya Ananya Jade
Ruby Sage Autumn
Skye Dawn Juniper Matilda Beatrice Clara Edith Rose Margaret June Pearl Opal Wren Robin Taylor
Jordan"""
_SURNAMES = """Smith Brown Johnson Wilson Williams Singh Gill Lee Wong Chen Campbell MacDonald
Anderson Taylor Martin
Miller Dhaliwal Sandhu Nguyen Li Wang Thompson Clark Stewart Moore Young Scott King Harris Reid
Green Adams Baker
Mitchell Robinson Walker White Thomas Jackson Roberts Hill Phillips Evans Murray Cook Kelly Graham
Fraser Ross Grant
Wood Bell Morrison Kennedy Hamilton Johnston Bailey Peters George Joe Paul Charlie Billy Pierre
James Sam Louis Jim
Friesen Penner Wiebe Dyck Klassen Janzen Koop Schmidt Weber Fischer Becker Wagner Hoffman Kovalenko
Shevchenko
Melnyk Bondarenko Tkachuk Novak Kowalski Santos Reyes Cruz Garcia Ramos Mendoza Bautista Tran Pham
Le Huynh Vo Kim
Park Choi Jung Tanaka Suzuki Sato Yamamoto Patel Sharma Kaur Grewal Sidhu Brar Dhillon Hussain Khan
Ahmed Ali Hassan
Tremblay Gagnon Roy Bouchard Gauthier Morin Lavoie Fortin Pelletier Bergeron Leblanc Cormier Olsen
Hansen Larsen
Lindqvist Berg Holm Rossi Ferrari Bianchi Silva Costa Pereira Okafor Adeyemi Mensah Diallo Delorme
Cardinal
Belanger Beaulieu Fox Crow Redfern Ashdown Sagewood Stonefield Marsh Rivers Meadows"""

# Three kinds of apostrophe (U+0027, U+2019, U+0313 and its spacing cousin U+02BC), prefixes,
# particles, diacritics, composed and decomposed letters, a comma that is a letter (SENĆOŦEN), and
# lengths from one letter to sixty.
SURNAMES_HARD = (
    "O'Brien",
    "D'Souza",
    "O'Neill-St. Pierre",
    "M'Bala",
    "O\u2019Connor",
    "T\u2019Selam",
    "L\u2019Heureux",
    "Kwak\u0313walis",
    "Q\u0313\u0259latem\u0313",
    "Hul\u02bcqumay",
    "H\u0259n\u0313q\u0313is\u0259m\u0313",
    "Nuu\u010daan\u0313is",
    "Diitiid\u0294aax\u0323",
    "SEN\u0106O\u0166EL",
    "W\u0331S\u00c1LE\u0106",
    "\u015aW\u0331E,LO\u1e34E",
    "X\u0331wilsten",
    "St\u2019\u00e1tleyem",
    "Secw\u00e9pmelt",
    "Nlaka\u02bcp\u00e1tkw",
    "\u026bk\u02b7\u0259min",
    "Smith-Nguyen",
    "Gill-MacDonald-Wong",
    "Saint-Amour",
    "van der Berg",
    "de la Cruz",
    "Von Ahn",
    "Mac Giolla",
    "Nguy\u1ec5n",
    "Tr\u1ea7n",
    "B\u00e9langer",
    "Be\u0301lair",
    "C\u00f4t\u00e9",
    "L\u00e9vesque",
    "M\u00fcller",
    "Stra\u00dfner",
    "S\u00f8rensen",
    "\u00c5str\u00f6m",
    "\u0141ukaszewicz",
    "\u0160imi\u0107",
    "\u00d8degaard",
    "\u0130nan",
    "\u00de\u00f3rdarson",
    "Nu\u00f1ez",
    "Gar\u00e7on",
    "Ko\u0142odziej",
    "I",
    "O",
    "U",
    "Ng",
    "Xu",
    "St. James",
    "Fitz Alan Howard Jr.",
    "McDonald III",
    "DeWitt",
    "O",
    "Null",
    "Test",
    "True",
    "Featherstonehaugh-Cholmondeley-Marjoribanks-Beauchampton-Fox",
)
GIVEN_HARD = (
    "Zo\u00eb",
    "Chlo\u00e9",
    "Rene\u0301e",
    "Fran\u00e7ois",
    "Jos\u00e9",
    "J\u00fcrgen",
    "S\u00f8ren",
    "Ji-woo",
    "Mary-Jane",
    "Jean-Fran\u00e7ois",
    "Anne Marie",
    "D'Angelo",
    "Ja'Marcus",
    "De\u2019Andre",
    "T\u02bcala",
    "K\u0313alii",
    "Q\u02b7\u0259nt\u0259l",
    "S\u0259m\u0313yaz",
    "\u010c\u02bcaasts",
    "TO\u1e34EL\u0106E",
    "\u0141ukasz",
    "\u0160\u00e1rka",
    "\u00c9lo\u00efse",
    "\u0110\u1ee9c",
    "B\u1ea3o Ch\u00e2u",
    "\u00c1ine",
    "A",
    "J",
    "E",
    "X",
    "Muhammad Abd al-Rahman",
    "\u00d6mer",
    "I\u015f\u0131l",
    "Siobh\u00e1n",
    "N\u00ed Ail\u00eds",
    "Maximiliana-Alexandrina Wilhelmina Josephine Antoinette Rose",
)
_NICKNAMES = {
    "William": "Bill",
    "Benjamin": "Ben",
    "Jacob": "Jake",
    "Theodore": "Teddy",
    "Thomas": "Tom",
    "Samuel": "Sam",
    "Nathan": "Nate",
    "Daniel": "Danny",
    "Gabriel": "Gabe",
    "Abigail": "Abby",
    "Charlotte": "Charlie",
    "Olivia": "Liv",
    "Isaac": "Ike",
    "Margaret": "Maggie",
    "Matilda": "Tilly",
    "Beatrice": "Bea",
    "Valentina": "Val",
    "Oliver": "Ollie",
}

_BOY = Weighted(_BOYS.split(), 3)
_GIRL = Weighted(_GIRLS.split(), 3)
_SURNAME = Weighted(_SURNAMES.split(), 4)

_STREET_NAMES = tuple(
    f"{name} {kind}"
    for name in (
        "Sagebrush",
        "Cottonwood",
        "Railway",
        "Main",
        "Bridge",
        "Station",
        "Orchard",
        "Trestle",
        "Ponderosa",
        "Juniper",
        "Old Ferry",
        "Highland",
        "Ranch",
        "Government",
        "Cutbank",
        "Spring Lake",
        "Miner's",
        "3rd",
        "Saint-Jean",
        "St\u2019\u00e1t",
    )
    for kind in ("Street", "Road", "Avenue", "Crescent")
)
_TOWNS = (
    ("Ashcroft", "V0K1A0"),
    ("Cache Creek", "V0K1H0"),
    ("Clinton", "V0K1K0"),
    ("Lillooet", "V0K1V0"),
    ("Lytton", "V0K1Z0"),
    ("Logan Lake", "V0K1W0"),
    ("Spences Bridge", "V0K2L0"),
    ("70 Mile House", "V0K2K0"),
)
_AREA_CODES = ("250", "778", "236", "672", "604")


@dataclass(frozen=True, slots=True)
class Address:
    """A home, split as the extracts split it. A rural one may have a lot and a box and no street
    number.
    """

    street_number: str
    street_name: str
    apartment: str
    lot: str
    box: str
    rural_route: str
    municipality: str
    postal_code: str

    @property
    def mailing(self) -> str:
        first = (
            f"PO Box {self.box}" if self.box else f"{self.street_number} {self.street_name}".strip()
        )
        return f"{first}, {self.municipality} BC"

    @property
    def line(self) -> str:
        unit = f"{self.apartment}-" if self.apartment else ""
        return f"{unit}{self.street_number} {self.street_name}, {self.municipality}".strip(" ,")


def address(rng: Random) -> Address:
    """One home in or around the towns of the district."""
    town, postal = pick(rng, _TOWNS)
    number, street, roll = str(whole(rng, 1, 2999)), pick(rng, _STREET_NAMES), rng.random()
    apartment = str(whole(rng, 1, 420)) if roll < 0.14 else "B" if roll < 0.16 else ""
    rural = 0.16 <= roll < 0.22
    return Address(
        street_number="" if rural and roll < 0.18 else number,
        street_name=f"Highway {pick(rng, ('1', '12', '97', '99'))}" if rural else street,
        apartment=apartment,
        lot=f"DL {whole(rng, 100, 4999)}" if rural else "",
        box=str(whole(rng, 1, 1200)) if rural or roll > 0.7 else "",
        rural_route=str(whole(rng, 1, 3)) if rural else "",
        municipality=town,
        postal_code=postal,
    )


def surname(rng: Random) -> str:
    """A family's name: mostly one of the common ones, one in sixteen as hard as real ones."""
    return pick(rng, SURNAMES_HARD) if rng.random() < 0.06 else _SURNAME.pick(rng)


def given(rng: Random, gender: str) -> str:
    """A first name for gender M, F, X or U."""
    if rng.random() < 0.05:
        return pick(rng, GIVEN_HARD)
    boys = gender == "M" or (gender != "F" and rng.random() < 0.5)
    return (_BOY if boys else _GIRL).pick(rng)


def gender(rng: Random) -> str:
    """M, F, X (gender diverse) or U (unknown): destinations that know only two must not guess."""
    roll = rng.random()
    return "M" if roll < 0.49 else "F" if roll < 0.98 else "X" if roll < 0.995 else "U"


def usual(rng: Random, legal_first: str, gender_code: str) -> str:
    """A usual first name that differs from the legal one."""
    nickname = _NICKNAMES.get(legal_first)
    if nickname and rng.random() < 0.7:
        return nickname
    name = given(rng, gender_code if rng.random() < 0.8 else "X")
    return name if name != legal_first else f"{legal_first}-Jo"


def phone(rng: Random) -> str:
    """Ten digits without punctuation, in the range kept free for fiction."""
    return f"{pick(rng, _AREA_CODES)}55501{whole(rng, 0, 99):02d}"


def plain(name: str) -> str:
    """Lower-case ASCII letters of a name, as whoever minted the old e-mail addresses would have
    typed it.
    """
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return "".join(letter for letter in letters if letter.isalnum())


def check_digit(payload: str) -> str:
    """The ninth digit of a Personal Education Number (Luhn, modulus 10) for its first eight."""
    total = sum(int(digit) for digit in payload[0::2])
    total += sum(int(digit) for digit in str(2 * int(payload[1::2])))
    return str(-total % 10)


def pen(serial: int) -> str:
    """A valid Personal Education Number: real ones start with 1."""
    payload = f"1{serial:07d}"
    return payload + check_digit(payload)
