"""The page of the internal API under Chromium: a target that goes down, a token that is asked for, the keyboard, no error in
the console, no request elsewhere, a page of another site, and the rules of WCAG by axe-core, the file that AXE names.
`tests/browser.sh` runs it; `--pictures DIR` makes pictures."""
import http.client
import http.server
import math
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from chromium import Browser, temporary  # noqa: E402

PROGRAM = os.environ.get("SMOLGATE") or pathlib.Path(__file__).resolve().parent.parent / "target/debug/smolgate"


class Target:
    """A server that answers, and whose health can be taken away."""

    def __init__(self, delay=0.0):
        target = self
        self.is_well = True

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                time.sleep(delay)
                status = 503 if self.path == "/healthz" and not target.is_well else 404 if "missing" in self.path else 200
                body = b"x" * 2000
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Gate:
    """A running gate with a configuration."""

    def __init__(self, folder, configuration, name="smolgate"):
        file = pathlib.Path(folder) / f"{name}.yml"
        file.write_text(configuration)
        self.process = subprocess.Popen([PROGRAM, "run", "-c", file.name], cwd=folder, stderr=subprocess.PIPE, text=True)
        self.http = self.api = None
        for line in self.process.stderr:
            if "listening: " in line:
                self.http = line.split("http on ")[1].split(";")[0].split(",")[0].strip()
                self.api = line.split("internal API on ")[1].strip()
                break
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        assert self.api, "the gate did not start"

    def get(self, host, path):
        connection = http.client.HTTPConnection(self.http, timeout=60)
        try:
            connection.request("GET", path, headers={"Host": host})
            return connection.getresponse().status
        finally:
            connection.close()

    def stop(self):
        self.process.terminate()
        self.process.wait()


def configuration(api, web, token=""):
    return f"""
internal_api: {{ bind: "127.0.0.1:0"{token} }}
upstreams:
  api:
    health: {{ path: /healthz, interval: 1s, rise: 1, fall: 1 }}
    targets: [{", ".join(json.dumps("http://" + one.address) for one in api)}]
http_config: {{ port: "127.0.0.1:0" }}
http_routes:
  - {{ name: login, host: app.example, path_prefix: /login, rate_limit: "10/1m", upstream: api }}
  - {{ name: api, host: app.example, path_prefix: /api, cors: "https://app.example", upstream: api }}
  - {{ name: site, host: [www.example, "*.docs.example"], compress: true, target: "http://{web.address}" }}
  - {{ name: old, host: old.example, redirect: "https://www.example" }}
  - {{ name: batch, host: batch.example, target: "http://127.0.0.1:1" }}
"""


def text(browser, name):
    return browser.run(f"document.getElementById('{name}').innerText")


def check_rules(browser, where):
    """Names for what has none, contrast, headings, landmarks: the rules of WCAG 2.2, level AA, and what axe-core advises."""
    # Of the page at each load. The debugger may run it in spite of the policy of the page.
    if browser.run("typeof axe") == "undefined":
        browser.run(pathlib.Path(os.environ["AXE"]).read_text() + "; 0")
    found = json.loads(browser.run("""
        axe.run(document, {
            preload: false,
            runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
        }).then(({ violations, passes }) => JSON.stringify({
            passes: passes.map(rule => rule.id),
            violations: violations.flatMap(({ id, nodes }) => nodes.map(node => `${id}: ${node.html} ${node.failureSummary}`)),
        }))"""))
    violations = "\n".join(found["violations"])
    assert not violations, f"{where}:\n{violations}"
    # They have looked at the page, and not at an empty one.
    assert "color-contrast" in found["passes"], f"{where}: {found['passes']}"


def check_page(browser, folder):
    api, web = [Target(), Target()], Target()
    gate = Gate(folder, configuration(api, web))
    for path in ["/api/a", "/api/b", "/login", "/missing"]:
        gate.get("app.example", path)
    gate.get("batch.example", "/")
    origin = f"http://{gate.api}"
    browser.open(f"{origin}/")
    browser.until("it is ready", "document.getElementById('phase').innerText === 'ready'")
    browser.until("both endpoints are up", "document.getElementById('state-word').innerText === 'All is well'")
    browser.until("a rate is there", "document.getElementById('rate').innerText.startsWith('0')")
    for name, parts in {
        "upstreams": [api[0].address, api[1].address, "up"],
        "rules": ["login", "app.example/api", "rate_limit", "redirect https://www.example", "*.docs.example"],
        "replies": ["connect_refused (502)", "The target refused the connection."],
    }.items():
        shown = text(browser, name)
        missing = [part for part in parts if part not in shown]
        assert not missing, f"{name} has no {missing}: {shown}"
    api[1].is_well = False
    browser.until("a target goes down", "document.getElementById('upstreams').innerText.includes('health check: status 503')")
    browser.until("the page says so", "document.getElementById('state-word').innerText === 'Attention'")
    for scheme in ["light", "dark"]:
        browser.look(1180, 900, scheme)
        check_rules(browser, f"a target is down, {scheme}")
    api[0].is_well = False
    browser.until("the upstream is dead", "document.getElementById('state-text').innerText.includes('api has no endpoint')")
    api[0].is_well = api[1].is_well = True
    browser.until("all is well again", "document.getElementById('state-word').innerText === 'All is well'")

    # By the keyboard alone.
    browser.run("document.activeElement.blur()")
    browser.press("Tab", 9)
    assert browser.run("document.activeElement.id") == "url", "the field is the first that the keyboard finds"
    browser.type(f"http://app.example/login?<b>")
    browser.press("Enter", 13)
    browser.until("it explains", "document.getElementById('story').innerText.includes('wins')")
    assert "login?<b>" in text(browser, "story") and browser.run("document.querySelectorAll('#story b').length") == 0

    elsewhere = [url for url in browser.requests if not url.startswith((origin, "data:"))]
    assert not elsewhere, f"requests elsewhere: {elsewhere}"
    assert sum(url == f"{origin}/stats" for url in browser.requests) > 2
    assert not browser.errors, browser.errors
    narrow = "document.documentElement.scrollWidth <= innerWidth"
    for width in [320, 390, 768, 1440]:
        browser.look(width, 800, "light", is_phone=width < 700)
        browser.until(f"it fits {width} pixels", narrow)
    for width, scheme in [(390, "light"), (390, "dark"), (1180, "light"), (1180, "dark")]:
        browser.look(width, 800, scheme, is_phone=width < 700)
        check_rules(browser, f"{width} pixels, {scheme}")
    return gate


def check_token(browser, folder):
    gate = Gate(folder, configuration([Target()], Target(), ', token: "s3cret"'), "token")
    browser.open(f"http://{gate.api}/")
    browser.until("it asks for the token", "!document.getElementById('ask').hidden")
    assert browser.run("document.activeElement.id") == "token"
    for scheme in ["light", "dark"]:
        browser.look(1180, 900, scheme)
        check_rules(browser, f"the token, {scheme}")
    browser.type("guess")
    browser.press("Enter", 13)
    browser.until("a guess is refused", "!document.getElementById('token-wrong').hidden")
    browser.type("s3cret")
    browser.press("Enter", 13)
    browser.until("the token opens it", "!document.getElementById('all').hidden")
    browser.open(f"http://{gate.api}/?again")
    browser.until("the tab keeps it", "!document.getElementById('all').hidden")
    statuses = {status for url, status in browser.statuses if url == f"http://{gate.api}/stats"}
    assert statuses == {200, 401}, statuses
    # The browser itself tells of each 401.
    others = [error for error in browser.errors if "401" not in error]
    assert not others, others
    gate.stop()


def check_elsewhere(browser, gate):
    """A page of another site gets nothing, whatever it tries."""
    browser.open(f"http://{gate.http}/nothing")
    for path in ["/stats", "/tail", "/explain?url=a"]:
        url = f"http://{gate.api}{path}"
        for mode in ["cors", "no-cors"]:
            browser.run(f"fetch({json.dumps(url)}, {{ mode: '{mode}' }}).then(() => 0, () => 0)")
        statuses = {status for seen, status in browser.statuses if seen == url}
        assert statuses == {403} or (path == "/stats" and statuses == {200, 403}), f"{path}: {statuses}"


def pictures(browser, folder, out, minutes):
    """Traffic for some minutes, and then pictures of the page in light, dark and on a phone."""
    api, web = [Target(.002), Target(.004)], Target(.001)
    gate = Gate(folder, configuration(api, web))
    end = time.monotonic() + 60 * minutes

    def load(number):
        hosts = [("app.example", "/api/a"), ("www.example", "/")] * 8 + [("www.example", "/missing"), ("app.example", "/api/b")]
        turn = number
        while time.monotonic() < end + 8:
            turn += 1
            host, path = hosts[turn % len(hosts)]
            try:
                gate.get(host, path)
            except OSError:
                # The pictures are made, and the gate has stopped.
                return
            if turn % 97 == 0:
                gate.get("batch.example", "/")
            if turn % 41 == 0:
                gate.get("app.example", "/login")
            if turn % 61 == 0:
                gate.get("old.example", "/")
            time.sleep(.035 + .02 * math.sin(time.monotonic() / 23) + .006 * math.sin(time.monotonic() / 3 + number))

    browser.open(f"http://{gate.api}/")
    for number in range(4):
        threading.Thread(target=load, args=(number,), daemon=True).start()
    time.sleep(max(0, end - time.monotonic() - 10))
    api[1].is_well = False
    time.sleep(10)
    browser.run("document.getElementById('url').value = 'http://app.example/login'; document.getElementById('explain').requestSubmit()")
    time.sleep(1.5)
    for name, width, height, scheme, is_phone in [
        ("page", 1180, 1100, "light", False),
        ("page-dark", 1180, 1100, "dark", False),
        ("page-phone", 390, 844, "light", True),
    ]:
        browser.look(width, height, scheme, is_phone, 1)
        time.sleep(1.5)
        browser.picture(pathlib.Path(out) / f"{name}.png")
    gate.stop()


def main():
    with temporary() as folder:
        browser = Browser(f"{folder}/profile")
        try:
            if "--pictures" in sys.argv:
                out, minutes = sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 5
                return pictures(browser, folder, out, minutes)
            gate = check_page(browser, folder)
            print("fine   the page")
            check_elsewhere(browser, gate)
            print("fine   a page of another site")
            gate.stop()
            browser.errors.clear()
            check_token(browser, folder)
            print("fine   the token")
        finally:
            browser.close()


main()
