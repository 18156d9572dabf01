"""Licences of the Enterprise License Manager API: who is assigned which SKU of a product.

`listForProduct`, `get`, `insert`, `update` (one SKU for another of the same product, by one call)
and `delete`. One SKU of a product is all anybody holds; no seat is a 412.
"""

from __future__ import annotations

from typing import Any

from demo.platforms.google_tenant import CUSTOMER, Call, Tenant, duplicate, not_found, refuse
from demo.platforms.http import Reply

PRODUCTS = {
    "101031": {
        "1010310008": "Education Plus",
        "1010310009": "Education Plus (Staff)",
        "1010310005": "Education Standard",
        "1010310006": "Education Standard (Staff)",
    },
    "101037": {"1010370001": "Teaching and Learning Upgrade"},
}
PAGE, MOST = 100, 1000


def call(tenant: Tenant, asked: Call) -> Reply:
    """Answer one call under /product."""
    match (asked.method, asked.parts):
        case ("GET", ("product", product, "users")):
            return _list(tenant, asked, product)
        case ("POST", ("product", product, "sku", sku, "user")):
            return _insert(tenant, product, sku, str(asked.body.get("userId", "")))
        case ("GET", ("product", product, "sku", sku, "user", user)):
            return Reply(200, _shown(tenant, *_held(tenant, product, sku, user)))
        case ("PUT" | "PATCH", ("product", product, "sku", sku, "user", user)):
            return _update(tenant, product, sku, user, asked.body)
        case ("DELETE", ("product", product, "sku", sku, "user", user)):
            tenant.store.remove("licences", _held(tenant, product, sku, user)[0])
            return Reply(200, {})
    raise refuse(404, "notFound", "Not Found")


def _list(tenant: Tenant, asked: Call, product: str) -> Reply:
    _known(product)
    # the alias my_customer is the Directory API's
    if asked.params.get("customerId") != CUSTOMER:
        raise refuse(400, "invalid", "Invalid value for customerId")
    size = int(asked.params.get("maxResults", PAGE))
    if not 1 <= size <= MOST:
        raise refuse(400, "invalidParameter", f"Invalid value '{size}'.")
    keys = [key for key in tenant.store["licences"] if key.startswith(f"{product}/")]
    page, token = tenant.page(asked.params, size, keys)
    items = [_shown(tenant, key, tenant.store["licences"][key]) for key in page]
    more = {"nextPageToken": token} if token else {}
    return Reply(200, {"kind": "licensing#licenseAssignmentList", "items": items} | more)


def _insert(tenant: Tenant, product: str, sku: str, user: str) -> Reply:
    _known(product, sku)
    key = f"{product}/{tenant.user(user)['id']}"
    if key in tenant.store["licences"]:
        raise duplicate("User already has a license of the specified product")
    _check_seat(tenant)
    tenant.store.put("licences", key, sku)
    return Reply(200, _shown(tenant, key, sku))


def _update(tenant: Tenant, product: str, sku: str, user: str, body: dict[str, Any]) -> Reply:
    key, _ = _held(tenant, product, sku, user)
    new = str(body.get("skuId", ""))
    _known(product, new)
    _check_seat(tenant)
    tenant.store.put("licences", key, new)
    return Reply(200, _shown(tenant, key, new))


def _held(tenant: Tenant, product: str, sku: str, user: str) -> tuple[str, str]:
    _known(product, sku)
    key = f"{product}/{tenant.user(user)['id']}"
    if tenant.store["licences"].get(key) != sku:
        raise not_found("user does not have the license")
    return key, sku


def _known(product: str, sku: str = "") -> None:
    if product not in PRODUCTS or (sku and sku not in PRODUCTS[product]):
        raise refuse(400, "invalid", "Invalid product or SKU")


def _check_seat(tenant: Tenant) -> None:
    if len(tenant.store["licences"]) >= tenant.faults.licence_seats:
        raise refuse(412, "conditionNotMet", "There aren't enough available licenses.")


def _shown(tenant: Tenant, key: str, sku: str) -> dict[str, Any]:
    product, _, user = key.partition("/")
    return {
        "kind": "licensing#licenseAssignment",
        "productId": product,
        "skuId": sku,
        "skuName": PRODUCTS[product][sku],
        "userId": tenant.store["users"].get(user, {}).get("primaryEmail", ""),
    }
