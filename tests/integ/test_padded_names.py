# SPDX-License-Identifier: Apache-2.0
"""White space around a name does not carry it past the policy: some servers trim it."""

import pytest

from chain import FENCE

BLANKS = ["%09", "%20", "+", "%0A", "%0D", "%0b", "%0C", "%09%20"]


@pytest.mark.parametrize("blank", BLANKS)
@pytest.mark.parametrize("name", [FENCE, "sap-user", "sap-password", "MYSAPSSO2"])
def test_query_keys(shared, blank, name):
    query = f"a=1&{blank}{name}=forged&{name}{blank}=forged&b=2"
    assert shared.push(target=f"/ACME_PROD/sap/frun/x?{query}").status == 200
    assert shared.last()["query"] == "a=1&b=2"


@pytest.mark.parametrize("cookie", ["a=1;\tMYSAPSSO2=forged", "a=1; MYSAPSSO2\t=forged",
                                    "a=1;\t MYSAPSSO2 \t=forged"])
def test_cookies(shared, cookie):
    assert shared.push(fields=[("Cookie", cookie)]).status == 200
    assert shared.last().all("Cookie") == ["a=1"]
