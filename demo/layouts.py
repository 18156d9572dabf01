"""The eleven MyEducation BC extracts of the demo: file names, encodings, whether they carry headings, and columns.

Columns are in file order, spelled as the general data extracts spell them; `ParentInformation` and
`EmergencyContactInformation` are written with other letter cases, as districts' files are.
"""

from __future__ import annotations

from dataclasses import dataclass

_PUPIL = ("School Number", "Student Number", "Student Legal Last Name", "Student Legal First Name", "Grade", "Homeroom")


@dataclass(frozen=True)
class Layout:
    """One file. `headings` False: the file starts with data, and position alone says what a column is."""

    file: str
    encoding: str
    headings: bool
    columns: tuple[str, ...]

    @property
    def width(self) -> int:
        return len(self.columns)


SCHOOLS = Layout("SchoolDetails.csv", "utf-8", True, (
    "District Number", "District Name", "School Number", "School Name", "Ministry School Number",
    "School Configuration", "Number of Rooms",
))  # fmt: skip
DEMOGRAPHIC = Layout("StudentDemographicInformation.csv", "utf-8", True, (
    "School number", "Student number", "Homeroom", "Teacher name", "PEN", "User name", "Legal surname",
    "Legal first name", "Legal middle name", "Usual surname", "Usual first name", "Usual middle name",
    "Street number", "Street name", "Apartment", "Lot number", "Concession number", "Municipality", "Province",
    "Postal code", "Mailing address", "Date of birth", "Proof of age", "Gender", "Graduation program", "Phone number",
    "Grade", "Special education category", "Aboriginal ancestry", "First nations band", "DIA", "Home language", "ESL",
    "French immersion", "Immigration status", "Citizenship", "Country of birth", "Care card number",
    "Admission reason", "Admission date", "Withdraw reason", "Withdraw date", "Previous school number",
    "Previous school name", "Home school number", "Home school name", "Counselor id", "Counselor name",
    "Case manager", "Projected graduation year", "Date graduated", "Family courier indicator", "AM / PM", "Memo note",
    "Teacher ID", "Who has custody", "CYIC or YAG", "Agreement or order", "Band of Origin",
    "Send Email and Autodialer Calls?", "Release of Info/Photos Outside of District?", "Permission to Walk Home?",
    "Allow Internet Access?", "Field Trip Permission?", "Release of Info to PAC",
))  # fmt: skip
ENHANCED = Layout("StudentDemographicEnhanced.txt", "utf-8-sig", True, (
    "Student Number", "Legal First Name", "Legal Surname", "Usual First Name", "Usual surname", "Date of birth",
    "Grade", "School Number", "Home school number", "Homeroom", "Teacher Name", "Teacher ID", "Enrolment status",
    "Student email address", "Next school code", "Admission date", "Withdraw date",
))  # fmt: skip
STAFF = Layout("StaffInformation.csv", "cp1252", True, (
    "School Number", "User Name", "Teaching Staff", "Teacher Id", "Name", "Prefix", "Last Name", "First Name",
    "Email Address",
))  # fmt: skip
PARENTS = Layout("ParentInformation.csv", "cp1252", True, (
    "SCHOOL NUMBER", "Student number", "Student Legal last Name", "Student legal First Name", "GRADE", "HomeRoom",
    "User name", "SurName", "First name", "prefix", "Parent type", "Parent Type description", "Business phone",
    "Business Phone extension", "Home PHONE", "Cellular phone", "Email ADDRESS", "Place Of Employment",
    "Apartment", "Street number", "STREET NAME", "community", "Postal code", "Rural code", "Postal box", "Lot number",
    "Concession number", "Mailing address", "Custody status", "Home language", "Living with Student", "RR number",
    "PO BOX",
))  # fmt: skip
CONTACTS = Layout("EmergencyContactInformation.csv", "cp1252", True, (
    "Student number", "Student legal last name", "Student legal first name", "Grade", "Homeroom", "Teacher name",
    "Contact type", "Contact level code", "Relationship code", "Relationship description", "Last name", "First name",
    "Address", "Home phone", "Cellular phone", "Business phone", "Business phone extension", "Email address",
    "Parent Auth / Guardian",
))  # fmt: skip
COURSES = Layout("CourseInformation.csv", "utf-8", True, (
    "School Number", "Department", "Standard Course Department Category Code",
    "Standard Course Department Category Description", "Course Code", "Course Type", "Title", "Course Description",
    "Credit Value", "Grade Level", "Catalogue Description", "Short Name", "Course Number", "Format", "Course Length",
    "Academic Level Code", "Include in Honour Roll", "Include in GPA", "Non Standard", "Exam",
    "On Report Card Indicator", "Career Prep Indicator", "Vocational Indicator",
))  # fmt: skip
CLASSES = Layout("ClassInformationEnhanced.csv", "utf-8", True, (
    "School Number", "Course Code", "Teacher Id", "Primary Teacher", "Section Letter", "Semester", "Term", "Day",
    "Period", "Master Timetable ID", "Class Identifier", "Schedule Expression", "Max", "Unrotated Schedule",
))  # fmt: skip
SCHEDULE = Layout("StudentSchedule.csv", "utf-8", False, (
    "School Year", "School Number", "Student Number", "PEN", "Grade", "Homeroom", "Course School Number",
    "Course Code", "District Course Code", "Course Title", "Short Name", "Period", "Day", "Semester",
    "Section Letter", "Master Timetable ID", "Teacher ID", "Teacher Name", "Primary Teacher", "Enrolment Status",
))  # fmt: skip
DAILY = Layout("StudentDailyAbsences.csv", "utf-8", False, (
    *_PUPIL, "Teacher Name", "Absence Date", "Reason Code AM", "Sub Allocation Code AM", "Authorized AM",
    "Reason Code PM", "Sub Allocation Code PM", "Authorized PM", "Absent Code AM", "Absent Code PM", "Teacher ID",
    "Portion Absent",
))  # fmt: skip
PERIOD = Layout("StudentPeriodAbsences.csv", "cp1252", False, (
    *_PUPIL, "Teacher Name", "Absence Date", "Course Code", "Absence Category", "Absence Sub Allocation Code",
    "Authorized Absence Code", "Master Timetable ID", "Section Letter", "Teacher ID", "School Course Code", "Flavour",
))  # fmt: skip

ALL = (SCHOOLS, DEMOGRAPHIC, ENHANCED, STAFF, PARENTS, CONTACTS, COURSES, CLASSES, SCHEDULE, DAILY, PERIOD)
