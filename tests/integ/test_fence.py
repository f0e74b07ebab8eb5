# SPDX-License-Identifier: Apache-2.0
"""Nobody but the gateway sets the fence: every forged copy is dropped, in every spelling."""

import pytest

from chain import FENCE, PASSWORD

HASHED = {"endpoint": "BOTH, NONE, ACME_PROD, GLOBEX", "user": "s4push"}
COMMON = {"system": "FR1", "user": "FRUN_PUSH", "password": "file:../secrets/acme_prod"}
CHAIN = {"gateway": {
    "endpoint BOTH": dict(COMMON, customer_network="BOTH", admin_request_parameter="both-proxy",
                          admin_request_carrier="both X-Fence fence"),
    "endpoint NONE": dict(COMMON, customer_network="NONE", admin_request_carrier="none"),
    "pusher s4-acme": HASHED,
}, "sim": ["--fence", "BOTH=both-proxy"]}


@pytest.mark.parametrize("name", [
    FENCE, FENCE.lower(), FENCE.upper(), "X_Admin_Request_Parameter", "x-admin_request-parameter",
])
@pytest.mark.parametrize("copies", [1, 3])
def test_forged_field(shared, name, copies):
    a = shared.push(fields=[(name, "globex-proxy")] * copies)
    assert a.status == 200, a
    got = shared.last()
    assert got["network"] == "ACME PROD"
    same = [v for n, v in got["fields"] if n.lower().replace("_", "-") == FENCE.lower()]
    assert same == ["acme-prod-proxy"]


@pytest.mark.parametrize("query, left", [
    (f"{FENCE}=acme-prod-proxy", ""),
    (f"a=1&{FENCE}=acme-prod-proxy&b=2", "a=1&b=2&"),
    (f"{FENCE.lower()}=x&{FENCE.upper()}=y", ""),
    ("X_Admin_Request_Parameter=x", ""),
    ("%58-Admin-Request-Parameter=x&c=3", "c=3&"),
    ("X%2DAdmin%2drequest-parameter=x", ""),
    (FENCE, ""),
    (f"a=1;{FENCE}=x", "a=1&"),
])
def test_forged_query(shared, query, left):
    a = shared.push(target="/GLOBEX/sap/frun/x?" + query)
    assert a.status == 200, a
    got = shared.last()
    assert got["network"] == "GLOBEX"
    assert got["query"] == f"{left}{FENCE}=globex-proxy"


def test_the_field_is_dropped_where_the_query_carries_and_the_other_way_round(shared):
    """Focused Run may look at both, so the carrier that is not used must not stay open."""
    assert shared.push(target=f"/ACME_PROD/sap/frun/x?{FENCE}=globex-proxy").status == 200
    assert FENCE.lower() not in shared.last()["query"].lower()
    assert shared.push(target="/GLOBEX/sap/frun/x", fields=[(FENCE, "acme-prod-proxy")]).status \
        == 200
    assert shared.last().all(FENCE) == []


def test_both_carriers(shared):
    shared.push(target="/BOTH/sap/frun/x?fence=forged&a=1", fields=[("X-Fence", "forged")])
    got = shared.last()
    assert got.all("X-Fence") == ["both-proxy"]
    assert got["query"] == "a=1&fence=both-proxy"


def test_no_carrier(shared):
    shared.push(target="/NONE/sap/frun/x?a=1")
    got = shared.last()
    assert got.all(FENCE) == [] and got["query"] == "a=1"
    assert "proxy" not in str([v for n, v in got["fields"] if n.lower().startswith("x-admin")])


def test_password_of_this_file_is_the_common_one(shared):
    assert shared.push(auth=("s4push", PASSWORD)).status == 200
