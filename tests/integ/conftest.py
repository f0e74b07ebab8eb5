# SPDX-License-Identifier: Apache-2.0
import pytest

from chain import Chain
from sap import Sap
from tools import Pki


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        item.frun_failed = True
        for chain in getattr(item, "frun_chains", []):
            report.sections.append(("logs of the chain", chain.logs()))


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


def _end(chains, failed):
    for chain in chains:
        try:
            if not failed:
                chain.stop()
        finally:
            chain.kill()


@pytest.fixture
def make_chain(request, tmp_path, pki):
    """make_chain(...) makes a Chain and starts it; start=False leaves that to the test."""
    chains = []
    request.node.frun_chains = chains

    def make(start=True, wait=True, **kw):
        chain = Chain(tmp_path / f"chain{len(chains)}", pki, **kw)
        chains.append(chain)
        return chain.start(wait) if start else chain

    yield make
    _end(chains, getattr(request.node, "frun_failed", False))


@pytest.fixture
def chain(make_chain):
    return make_chain()


@pytest.fixture(scope="module")
def _shared(tmp_path_factory, pki, request):
    options = getattr(request.module, "CHAIN", {})
    chain = Chain(tmp_path_factory.mktemp("shared"), pki, **options)
    try:
        chain.start()
        yield chain
        chain.stop()
    finally:
        chain.kill()


@pytest.fixture
def shared(_shared, request):
    """One chain for all tests of a file, for tables; CHAIN = {...} in the file configures it."""
    request.node.frun_chains = [_shared]
    _shared.forget()
    return _shared


@pytest.fixture
def sap(pki):
    """SAP's side of the road through a Cloud Connector."""
    it = Sap(pki)
    yield it
    it.stop()
