# SPDX-License-Identifier: Apache-2.0
"""The status page in a real browser: it loads without a word on the console, moves by itself, fits on a phone."""

import base64
import os
import time

import pytest
from chain import merge
from test_admin_web import login, with_login
from tools import free_port, wait_until

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select  # noqa: E402

DRIVER = "/usr/bin/chromedriver"
pytestmark = pytest.mark.skipif(not os.path.exists(DRIVER), reason="chromium-driver is not installed")
PATIENCE = 40


@pytest.fixture
def browser(tmp_path):
    options = webdriver.ChromeOptions()
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,1000",
                 "--disable-background-networking", "--no-proxy-server", f"--user-data-dir={tmp_path}/chromium"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service(DRIVER), options=options)
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


def many_endpoints(n):
    return {f"endpoint T{i:03}": {"system": "FR1", "customer_network": f"TENANT {i:03}",
                                  "admin_request_parameter": f"tenant-{i:03}",
                                  "admin_request_carrier": "header X-Admin-Request-Parameter",
                                  "user": "FRUN_PUSH", "password": "file:../secrets/frun"} for i in range(n)}


@pytest.fixture
def pages(make_chain):
    ports = free_port(), free_port()
    chain = make_chain(gateway=merge({"admin": {"listen": f"127.0.0.1:{ports[0]}"}}, many_endpoints(120)),
                       connector={"admin": {"listen": f"127.0.0.1:{ports[1]}"}})
    chain.gateway_page = f"http://127.0.0.1:{ports[0]}/"
    chain.connector_page = f"http://127.0.0.1:{ports[1]}/"
    return chain


def text(browser, css):
    return browser.execute_script("return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)", css)


def until(browser, css, wanted, what):
    wait_until(lambda: any(wanted in t for t in text(browser, css)), f"{what}: {wanted!r} in {css}", PATIENCE)


def open_page(browser, url):
    browser.get(url)
    until(browser, "#live-text", "live", "the page hears events")


def complaints(browser):
    return [e["message"] for e in browser.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]


def is_too_wide(browser):
    return browser.execute_script(
        "return document.documentElement.scrollWidth > document.documentElement.clientWidth")


def narrow(browser, width=400):
    """The window cannot be that small; what the page believes can."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True})


def row(browser, name):
    return browser.execute_script(
        "return [...document.querySelectorAll('#endpoints tbody tr')]"
        ".find(r => r.querySelector('strong').innerText === arguments[0])", name)


def test_gateway_page(browser, pages):
    open_page(browser, pages.gateway_page)
    assert text(browser, "#daemon") == ["frunproxyd"]
    until(browser, ".tile", "Healthy", "the daemon is healthy")
    until(browser, "#tunnels tbody tr", "DC1-A", "tunnels are shown")
    until(browser, "#connectors, #tunnels tbody tr", "DC1-B", "a connector that is away too")
    until(browser, "#systems tbody tr", "fr1_frun:443", "systems are shown")
    until(browser, "#certificates tbody tr", "day", "certificates are shown")
    until(browser, "#n-endpoints", "122", "endpoints are counted")

    # It moves by itself: a push shows up as counter and as request.
    for _ in range(3):
        assert pages.push().status < 300
    assert pages.push(auth=("s4push", "wrong")).status == 401
    until(browser, "#requests tbody tr", "/sap/frun/ngdci", "the push is a recent request")
    until(browser, "#requests tbody tr", "401", "so is the refused one")
    until(browser, "#requests tbody tr", "by Focused Run", "who answered is told")

    # Filter, order, the rest.
    box = browser.find_element(By.ID, "filter")
    box.send_keys("acme")
    wait_until(lambda: len(text(browser, "#endpoints tbody tr")) == 1, "one endpoint is left", PATIENCE)
    wait_until(lambda: "4" in text(browser, "#endpoints tbody tr .c-requests")[0], "its counter has moved", PATIENCE)
    assert text(browser, "#n-endpoints") == ["1 of 122"]
    box.send_keys(Keys.ESCAPE)
    wait_until(lambda: len(text(browser, "#endpoints tbody tr")) == 40, "the first 40", PATIENCE)
    assert browser.find_element(By.ID, "show-all").text == "Show 82 more"
    browser.find_element(By.ID, "show-all").click()
    wait_until(lambda: len(text(browser, "#endpoints tbody tr")) == 122, "all of them", PATIENCE)
    Select(browser.find_element(By.ID, "sort")).select_by_value("name")
    wait_until(lambda: text(browser, "#endpoints tbody tr strong")[0] == "ACME_PROD", "in order", PATIENCE)
    assert text(browser, "#endpoints tbody tr strong") == sorted(text(browser, "#endpoints tbody tr strong"))

    # The root URL goes to the clipboard.
    browser.execute_cdp_cmd("Browser.grantPermissions", {
        "origin": pages.gateway_page.rstrip("/"), "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]})
    row(browser, "ACME_PROD").find_element(By.CSS_SELECTOR, ".copy").click()
    wait_until(lambda: "Copied" in row(browser, "ACME_PROD").text, "it says so", PATIENCE)
    copied = browser.execute_async_script("navigator.clipboard.readText().then(arguments[0], e => arguments[0](String(e)))")
    assert copied == "https://push.example.com/ACME_PROD"

    assert complaints(browser) == []
    # No secret and no fence on it.
    source = browser.page_source
    for secret in ("acme-prod-proxy", "tenant-001", "Frun-Pass", "Push-Pass"):
        assert secret not in source


def test_looks(browser, pages):
    """Light and dark differ, and at 400 pixels nothing sticks out."""
    open_page(browser, pages.gateway_page)
    pages.push()
    until(browser, "#requests tbody tr", "/sap/frun/ngdci", "the push is there")
    assert not is_too_wide(browser)
    colours = {}
    for scheme in ("light", "dark"):
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        colours[scheme] = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert colours["light"] != colours["dark"]
    for url in (pages.gateway_page, pages.connector_page):
        narrow(browser)
        open_page(browser, url)
        until(browser, "#requests tbody tr", "/sap/frun/ngdci", "the push is there")
        until(browser, "#tunnels tbody tr", "Open", "tunnels are there")
        assert not is_too_wide(browser), url
    assert complaints(browser) == []


def test_connector_page(browser, pages):
    pages.push()
    open_page(browser, pages.connector_page)
    assert "frunconnector" in text(browser, "#daemon")[0]
    until(browser, "#subaccounts tbody tr", "Connected", "the membership stands")
    until(browser, "#tunnels tbody tr", "Open", "tunnels stand")
    until(browser, "#systems tbody tr", "/sap/frun", "resources are shown")
    until(browser, "#requests tbody tr", "/sap/frun/ngdci", "the request came through")
    assert not browser.find_element(By.ID, "s-endpoints").is_displayed()  # a gateway's matter
    assert complaints(browser) == []


def test_connection_lost_and_found(browser, make_chain):
    port = free_port()
    chain = make_chain(gateway={"admin": {"listen": f"127.0.0.1:{port}"}})
    open_page(browser, f"http://127.0.0.1:{port}/")
    chain.gateway.stop()
    until(browser, "#live-text", "lost", "the page says that it hears nothing")
    assert "stale" in browser.find_element(By.TAG_NAME, "body").get_attribute("class")
    chain.restart(chain.gateway)
    until(browser, "#live-text", "live", "the page has found back")
    until(browser, ".tile", "Healthy", "and is up to date")


def test_behind_a_login(browser, make_chain):
    port = free_port()
    make_chain(gateway=with_login(port))
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": login()})
    open_page(browser, f"http://127.0.0.1:{port}/")
    until(browser, ".tile", "Healthy", "the page works with a login")
    time.sleep(1.2)
    assert complaints(browser) == []


def shot(browser, name):
    """A picture for whoever wants to look: FRUN_SHOTS names a folder."""
    folder = os.environ.get("FRUN_SHOTS")
    if folder:
        size = browser.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        picture = browser.execute_cdp_cmd("Page.captureScreenshot", {
            "captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 4000), "scale": 1}})
        with open(os.path.join(folder, name + ".png"), "wb") as f:
            f.write(base64.b64decode(picture["data"]))


def wide(browser, width):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600})


def test_a_thousand_endpoints(browser, make_chain):
    """As usable as with two: the first rows are drawn, trouble stands first, the rest is found by a filter."""
    ports = free_port(), free_port()
    n = 1200
    away = {f"connector AWAY{i:03}": {"certificate_subject": f"CN=away-{i:03}", "location_id": f"A{i:03}"} for i in range(300)}
    chain = make_chain(gateway={"admin": {"listen": f"127.0.0.1:{ports[0]}"}, **many_endpoints(n), **away},
                       connector={"admin": {"listen": f"127.0.0.1:{ports[1]}"}})
    for status in ("500", "200", "200"):
        chain.push(target=f"/ACME_PROD/sap/frun/x?_sim=status:{status}")
    with chain.raw(timeout=60) as c:
        for i in range(0, n, 4):
            c.send(chain.octets("POST", f"/TENANT_{i:03}/sap/frun/x", body=b"{}"))
            assert c.answer().status in (401, 403)
    wide(browser, 1400)
    open_page(browser, f"http://127.0.0.1:{ports[0]}/")
    until(browser, "#n-endpoints", "1,202", "all are counted")
    wait_until(lambda: text(browser, "#endpoints tbody tr strong")[:1] == ["ACME_PROD"], "trouble stands first", PATIENCE)
    assert len(text(browser, "#endpoints tbody tr")) == 40
    until(browser, "#n-tunnels", "301 connectors away", "who is away is counted")
    assert len(text(browser, "#tunnels tbody tr")) == 20
    until(browser, "#tunnels tbody tr", "not dialled in", "and why")
    wait_until(lambda: browser.execute_script("return document.querySelectorAll('svg.spark').length") > 5, "charts of what is shown", PATIENCE)
    nodes = browser.execute_script("return document.querySelectorAll('*').length")
    assert nodes < 6000, nodes
    for box, rows, what in (("#filter", "#endpoints tbody tr", "t0777"), ("#s-tunnels input", "#tunnels tbody tr", "away123")):
        browser.find_element(By.CSS_SELECTOR, box).send_keys(what)
        wait_until(lambda r=rows, w=what: len(text(browser, r)) == 1 or w, "one is left", PATIENCE)
        browser.find_element(By.CSS_SELECTOR, box).send_keys(Keys.ESCAPE)
    wait_until(lambda: len(text(browser, "#endpoints tbody tr")) == 40, "all again", PATIENCE)
    browser.find_element(By.ID, "show-all").click()
    wait_until(lambda: len(text(browser, "#endpoints tbody tr")) == 140, "a hundred more", PATIENCE)
    browser.refresh()
    for scheme in ("light", "dark"):
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        for width in (1400, 400):
            wide(browser, width)
            for k, url in enumerate(ports):
                open_page(browser, f"http://127.0.0.1:{url}/")
                until(browser, "#tunnels tbody tr", "Open" if k else "Away", "tunnels are there")
                until(browser, "#requests tbody tr", "/sap/frun/x", "requests too")
                assert not is_too_wide(browser), (url, width)
                shot(browser, f"{('gateway', 'connector')[k]}-{width}-{scheme}")
    assert complaints(browser) == []
