"""The entities of Microsoft Entra ID, one row each, by the calls of Graph
(https://learn.microsoft.com/graph/api/resources/user and …/group).

What makes a repeat harmless: a PATCH to a value, a DELETE (404 is done), a member added again (400
is done), a group by upsert on its uniqueName, a licence given again. Only a user can come to be
without our knowing; it is looked up by its name and its key.

A member is always removed by an address that ends in `/$ref`: without it Graph would delete the
person.
"""

from __future__ import annotations

from reverse_etl.targets.entity import Entity, Route
from reverse_etl.targets.fields import field

PAGE = 999  # the most Graph allows
# https://learn.microsoft.com/graph/api/directory-deleteditems-restore
KEEPS_DELETED_DAYS = 30
FULL = {"$select": "{mask}", "$top": "{page}"}
PASSWORD = {"password": "{password}", "forceChangePasswordNextSignIn": True}
READ = "Directory.Read.All"
MANAGER = {"@odata.id": "{address}/users/{manager_id}"}
WITH_MANAGER = {"$expand": "manager($select=id)"}
MEMBER_OF = Route(
    "GET /users/{owner}/memberOf", {"$select": "id", "$top": "{page}"}, permission=READ
)
# user, linked, shared, room, equipment, others
# contacts of the organisation hold addresses too; somebody named so is refused
CONTACTS = Route(
    "GET /contacts",
    {"$select": "id,mail,proxyAddresses", "$top": "{page}"},
    permission="OrgContact.Read.All",
)
# what a refusal names, whatever it is; and among the deleted
NAMED = Route("GET /directoryObjects/{named}", permission=READ)
DELETED_NAMED = Route("GET /directory/deletedItems/{named}", permission=READ)
# permission -> those that reach as far and more, by the pages of the calls
WIDER = {
    READ: {"Directory.ReadWrite.All"},
    "User.ReadWrite.All": {"Directory.ReadWrite.All"},
    "User.RevokeSessions.All": {"User.ReadWrite.All", "Directory.ReadWrite.All"},
    "LicenseAssignment.ReadWrite.All": {"User.ReadWrite.All", "Directory.ReadWrite.All"},
    "Group.ReadWrite.All": {"Directory.ReadWrite.All"},
    "Team.Create": {"Group.ReadWrite.All", "Directory.ReadWrite.All"},
    "EduRoster.Read.All": {"EduRoster.ReadWrite.All"},
    "TeamSettings.Read.All": {"TeamSettings.ReadWrite.All"},
}
# what is enough to read, where nothing is written; of all others READ is
READING = {
    "EduRoster.ReadWrite.All": "EduRoster.Read.All",
    "TeamSettings.ReadWrite.All": "TeamSettings.Read.All",
}
PURPOSE = Route("GET /users/{owner}/mailboxSettings/userPurpose", permission="MailboxSettings.Read")
ROLE_GROUPS = Route(
    "GET /groups",
    {"$select": "id,isAssignableToRole", "$top": "{page}"},
    permission="Group.ReadWrite.All",
)
# calls no row below has
BESIDE = (CONTACTS, DELETED_NAMED, MEMBER_OF, NAMED, PURPOSE, ROLE_GROUPS)
CLASS = "/education/classes/{class_id}"


def roster(name: str) -> Entity:
    """Members or teachers of a class; a teacher is to be in both."""
    role = name.removeprefix("class_")
    return Entity(
        name,
        page=PAGE,
        observed=(field("class_remote_id", "class_remote_id"), field("member_remote_id", "id")),
        links=("class_id", "person_id"),
        listed_per="classes",
        opt_in="classes",
        permission="EduRoster.ReadWrite.All",
        routes={
            "of": Route(
                "GET /education/classes/{owner}/" + role, {"$select": "id", "$top": "{page}"}
            ),
            "create": Route(
                f"POST {CLASS}/{role}/$ref",
                body={"@odata.id": "{address}/education/users/{person_id}"},
            ),
            "remove": Route(f"DELETE {CLASS}/{role}/{{person_id}}/$ref"),
        },
    )


ENTITIES = (
    Entity(
        "users",
        permission="User.ReadWrite.All",
        page=PAGE,
        observed=(
            field("employee_id", "employeeId"),
            field("is_admin", "isAdmin"),
            field("is_synced", "onPremisesSyncEnabled"),
            field("user_type", "userType"),
            field("user_purpose", "userPurpose"),
        ),
        asked=("proxyAddresses", "createdDateTime", "licenseAssignmentStates"),
        # by the adapter, of users without our key: from what they belong to, and of their mailbox
        derived=("isAdmin", "userPurpose"),
        named_by="user_principal_name",
        unique_names="user",
        keeps_deleted_days=KEEPS_DELETED_DAYS,
        routes={
            "check": Route("GET /users", {"$select": "id", "$top": "1"}),
            "list": Route("GET /users", FULL),
            "changes": Route("GET /users/delta", {"$select": "{mask}"}),
            "one": Route("GET /users/{owner}", {"$select": "{mask}"}),
            "deleted": Route(
                "GET /directory/deletedItems/microsoft.graph.user",
                {
                    "$select": "id,userPrincipalName,mailNickname,onPremisesExtensionAttributes",
                    "$top": "{page}",
                },
            ),
            "find": Route(
                "GET /users/{user_principal_name}", {"$select": "id,onPremisesExtensionAttributes"}
            ),
            "create": Route("POST /users", body={"passwordProfile": PASSWORD}, columns=True),
            "update": Route("PATCH /users/{id}", columns=True),
            # the address of mail follows; what it was before stays among the proxyAddresses, which
            # cannot be written
            "rename": Route(
                "PATCH /users/{id}", body={"mail": "{user_principal_name}"}, columns=True
            ),
            "remove": Route("DELETE /users/{id}"),
            "undelete": Route("POST /directory/deletedItems/{id}/restore", body={}),
            "end_sessions": Route(
                "POST /users/{id}/revokeSignInSessions", permission="User.RevokeSessions.All"
            ),
        },
    ),
    Entity(
        "user_details",  # what stands on an account beside names and place; read with the users
        observed=(field("person_id", "person_id"),),
        links=("person_id",),
        upserts=True,
        permission="User.ReadWrite.All",
        opt_in="details",
        never_deleted="what stands on an account goes with it",
        routes={
            "create": Route("PATCH /users/{person_id}", columns=True),
            "update": Route("PATCH /users/{person_id}", columns=True),
        },
    ),
    Entity(
        "managers",  # one of each account at most: a PUT replaces it
        observed=(field("person_id", "person_id"), field("manager_remote_id", "manager.id")),
        links=("person_id",),
        upserts=True,
        permission="User.ReadWrite.All",
        opt_in="details",
        routes={
            "create": Route("PUT /users/{person_id}/manager/$ref", body=MANAGER),
            "update": Route("PUT /users/{person_id}/manager/$ref", body=MANAGER),
            "remove": Route("DELETE /users/{person_id}/manager/$ref"),
        },
    ),
    Entity(
        "groups",
        permission="Group.ReadWrite.All",
        page=PAGE,
        # by these one without our key is adopted, or left alone
        observed=(
            field("group_types", "groupTypes"),
            field("is_synced", "onPremisesSyncEnabled"),
            field("is_role_group", "isAssignableToRole"),
        ),
        asked=("mail", "proxyAddresses", "createdDateTime"),
        read_only=("uniqueName",),  # stands in the address of the upsert
        unique_names="group",
        upserts=True,
        routes={
            "list": Route("GET /groups", FULL),
            "changes": Route("GET /groups/delta", {"$select": "{mask}"}),
            "one": Route("GET /groups/{owner}", {"$select": "{mask}"}),
            "deleted": Route(
                "GET /directory/deletedItems/microsoft.graph.group",
                {"$select": "id,mailNickname,mail", "$top": "{page}"},
            ),
            "find": Route("GET /groups(uniqueName={key!q})", {"$select": "id,uniqueName"}),
            "create": Route(
                "PATCH /groups(uniqueName={key!q})",
                columns=True,
                headers={"Prefer": "create-if-missing"},
            ),
            # a uniqueName can be given once, to a group that has none
            "adopt": Route("PATCH /groups/{id}", body={"uniqueName": "{key}"}, columns=True),
            "update": Route("PATCH /groups/{id}", columns=True),
            "remove": Route("DELETE /groups/{id}"),
        },
    ),
    Entity(
        "licences",  # licenseAssignmentStates of a user, each with whose it is and its name
        permission="LicenseAssignment.ReadWrite.All",
        observed=(field("user_remote_id", "user_remote_id"), field("state", "state")),
        read_only=("skuPartNumber",),  # the calls want the id of the product
        links=("person_id",),
        routes={
            # what is given and what is taken of one user, by one call: the adapter fills it
            "create": Route("POST /users/{person_id}/assignLicense", body={}),
            "remove": Route("POST /users/{person_id}/assignLicense", body={}),
            "held": Route(
                "GET /users/{person_id}",
                {"$select": "id,licenseAssignmentStates"},
                permission="User.ReadWrite.All",
            ),
        },
    ),
    Entity(
        "members",
        permission="Group.ReadWrite.All",
        page=PAGE,
        observed=(field("group_remote_id", "group_remote_id"), field("member_remote_id", "id")),
        links=("group_id", "person_id"),
        listed_per="groups",
        routes={
            "of": Route("GET /groups/{owner}/members", {"$select": "id", "$top": "{page}"}),
            # Graph wants the person as an absolute address
            "create": Route(
                "POST /groups/{group_id}/members/$ref",
                body={"@odata.id": "{address}/directoryObjects/{person_id}"},
            ),
            "remove": Route("DELETE /groups/{group_id}/members/{person_id}/$ref"),
        },
    ),
    Entity(
        "classes",  # each with a Microsoft 365 group of the same id
        permission="EduRoster.ReadWrite.All",
        page=PAGE,
        opt_in="classes",
        never_deleted="a class holds the work of its students",
        routes={
            "list": Route("GET /education/classes", FULL),
            "find": Route(
                "GET /education/classes",
                {"$filter": "externalId eq {key!q}", "$select": "id,externalId"},
            ),
            "create": Route(
                "POST /education/classes", body={"externalSource": "sis"}, columns=True
            ),
            "update": Route("PATCH /education/classes/{id}", columns=True),
        },
    ),
    roster("class_members"),
    roster("class_teachers"),
    Entity(
        "class_teams",  # of a class under the same id; not before it has a teacher
        permission="TeamSettings.ReadWrite.All",
        observed=(field("class_remote_id", "id"),),
        links=("class_id",),
        listed_per="classes",
        opt_in="class_teams",
        never_deleted="a team holds the work of a class",
        routes={
            "of": Route("GET /teams/{owner}"),
            "find": Route("GET /teams/{class_id}"),
            "create": Route(
                "POST /teams",
                permission="Team.Create",
                body={
                    "template@odata.bind": "{address}/teamsTemplates('educationClass')",
                    "group@odata.bind": "{address}/groups('{class_id}')",
                },
            ),
            "suspend": Route("POST /teams/{id}/archive", body={}),
            "restore": Route("POST /teams/{id}/unarchive"),
        },
    ),
    Entity(
        "subscriptions",  # what the tenant pays for; read only
        permission="Directory.Read.All",
        remote_id="skuId",
        observed=(
            field("licence", "skuPartNumber"),
            field("seats", "prepaidUnits.enabled"),
            field("seats_used", "consumedUnits"),
        ),
        routes={"list": Route("GET /subscribedSkus")},
    ),
)
