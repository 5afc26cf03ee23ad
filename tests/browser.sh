#!/usr/bin/env bash
# Policies and files under Chromium: CORS with preflights, cookies and errors that pages can read, a single-page
# application, a sign-in by `auth.forward`, compression and streams, pages of one's own and maintenance. Then the page of the
# internal API, in tests/page.py, and axe-core from npm for it. Needs the
# Debian packages chromium and python3. Everything is on loopback: names below `localhost` lead there.
# shellcheck source=tests/scripts/common.sh
source "$(dirname "$0")/scripts/common.sh"

# Nothing listens on the last one.
free_ports 3
read -r port target unused <<<"${ports[*]}"

mkdir -p "$work/site/assets"
cat >"$work/site/index.html" <<'HTML'
<!doctype html><title>app</title><script src="/assets/app.js"></script>
HTML
cat >"$work/site/assets/app.js" <<'JS'
(async () => {
    const missing = await fetch("/assets/none.js");
    const deep = location.pathname === "/settings/profile";
    await fetch(`/report/spa?ok=${deep && missing.status === 404}&detail=${location.pathname},${missing.status}`);
})();
JS
cat >"$work/maintenance.html" <<'HTML'
<!doctype html><title>back soon</title><style>body{color:#333}</style><p id="status">{status}</p>
<script>
const shown = document.getElementById("status").textContent;
fetch(`/report/maintenance?ok=${document.title === "back soon" && shown === "503"}&detail=${shown}`);
</script>
HTML
cat >"$work/sorry.html" <<'HTML'
<!doctype html><title>sorry</title><p id="why">{status} {reason}</p>
<script>fetch(`/report${location.pathname}?ok=true&detail=${encodeURIComponent(why.textContent)}`)</script>
HTML

cat >"$work/smolgate.yml" <<YAML
internal_api: { bind: "unix:$work/api.sock" }
pages: { 4xx: ./sorry.html, 5xx: ./sorry.html }
http_config: { port: "127.0.0.1:$port" }
http_routes:
  - { path_prefix: /report, target: "http://127.0.0.1:$target" }
  - host: api.site.localhost
    path_prefix: /limited
    cors: &app { origins: "http://app.site.localhost:$port", credentials: true }
    rate_limit: { requests: 1, per: 1h, by: all }
    target: "http://127.0.0.1:$target"
  - { host: api.site.localhost, path_prefix: /dead, cors: *app, target: "http://127.0.0.1:$unused" }
  - { host: api.site.localhost, path_prefix: /closed, cors: "https://other.example", target: "http://127.0.0.1:$target" }
  - { host: api.site.localhost, cors: *app, target: "http://127.0.0.1:$target" }
  - host: spa.site.localhost
    files: { root: ./site, fallback: /index.html }
  - host: wiki.site.localhost
    auth:
      forward:
        url: "http://127.0.0.1:$target/auth"
        sign_in: "http://login.site.localhost:$port/login?rd={url}"
    target: "http://127.0.0.1:$target"
  - { host: login.site.localhost, target: "http://127.0.0.1:$target" }
  - host: shop.site.localhost
    respond: { status: 503, page: ./maintenance.html, headers: { Retry-After: "300" } }
  - { host: app.site.localhost, path_prefix: /gone, target: "http://127.0.0.1:$unused" }
  - { host: app.site.localhost, path_prefix: /broken, intercept: 5xx, target: "http://127.0.0.1:$target" }
  - { host: app.site.localhost, compress: true, target: "http://127.0.0.1:$target" }
YAML

cat >"$work/target.py" <<'PY'
# The targets, the server that knows the users, and the place to which pages report.
import http.server
import json
import sys
import threading
import urllib.parse

port, gate = int(sys.argv[1]), sys.argv[2]
WANTED = {"preflight", "credentials", "limited", "dead", "closed", "compression", "stream", "spa", "sign-in",
          "maintenance", "none", "gone", "broken"}
reports, all_reported, go_on = {}, threading.Event(), threading.Event()

START = f"""<!doctype html><title>start</title>
<iframe src="http://spa.site.localhost:{gate}/settings/profile"></iframe>
<iframe src="http://wiki.site.localhost:{gate}/a page?q=1"></iframe>
<iframe src="http://shop.site.localhost:{gate}/any"></iframe>
<iframe src="http://unknown.site.localhost:{gate}/none"></iframe>
<iframe src="/gone"></iframe>
<iframe src="/broken"></iframe>
<script>
const api = "http://api.site.localhost:{gate}";
const report = (name, ok, detail) =>
    fetch(`/report/${{name}}?ok=${{ok}}&detail=${{encodeURIComponent(detail)}}`);
const test = (name, run) => run().then(([ok, detail]) => report(name, ok, detail), error => report(name, false, error));
test("preflight", async () => {{
    const answer = await fetch(`${{api}}/echo`, {{
        method: "PUT", headers: {{ "X-Own": "1", "Content-Type": "application/json" }}, body: "{{}}",
    }});
    const seen = await answer.json();
    return [seen.method === "PUT" && seen.own === "1", JSON.stringify(seen)];
}});
test("credentials", async () => {{
    await fetch(`${{api}}/set-cookie`, {{ credentials: "include" }});
    const seen = await (await fetch(`${{api}}/echo`, {{ credentials: "include" }})).json();
    return [seen.cookie.includes("api=yes"), seen.cookie];
}});
test("limited", async () => {{
    const first = await fetch(`${{api}}/limited`), second = await fetch(`${{api}}/limited`);
    const text = await second.text();
    return [first.status === 200 && second.status === 429 && text.includes("rate_limited"), `${{second.status}} ${{text}}`];
}});
test("dead", async () => {{
    const answer = await fetch(`${{api}}/dead`), text = await answer.text();
    return [answer.status >= 502 && text.length > 0, `${{answer.status}} ${{text}}`];
}});
test("closed", async () => {{
    try {{
        return [false, (await fetch(`${{api}}/closed`)).status];
    }} catch (error) {{
        return [error instanceof TypeError, error];
    }}
}});
test("compression", async () => {{
    const answer = await fetch("/long"), numbers = await answer.json();
    const coding = answer.headers.get("content-encoding");
    const timing = performance.getEntriesByName(new URL("/long", location).href)[0];
    const shorter = timing.encodedBodySize < timing.decodedBodySize / 2;
    return [numbers.length === 20000 && numbers[19999] === 19999 && coding === "gzip" && shorter,
        `${{coding}} ${{timing.encodedBodySize}} of ${{timing.decodedBodySize}}`];
}});
test("stream", async () => {{
    const answer = await fetch("/stream"), reader = answer.body.getReader();
    const first = new TextDecoder().decode((await reader.read()).value);
    // The target sends the rest only after this.
    await fetch("/go-on");
    let rest = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) rest += new TextDecoder().decode(part.value);
    return [answer.headers.get("content-encoding") === "gzip" && first === "first" && rest === "second", `${{first}} ${{rest}}`];
}});
</script>"""


class Target(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body="", **fields):
        self.send_response(status)
        fields = {"Content_Type": "text/html", "Content_Length": str(len(body.encode())), **fields}
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body.encode())

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query, cookie = urllib.parse.parse_qs(url.query), self.headers.get("Cookie", "")
        if url.path.startswith("/report/"):
            reports[url.path.removeprefix("/report/")] = (query["ok"] == ["true"], *query.get("detail", []))
            self.answer(204)
            if reports.keys() >= WANTED:
                all_reported.set()
        elif url.path == "/auth":
            if "session=ann" in cookie:
                self.answer(200, Remote_User="ann")
            else:
                self.answer(401)
        elif url.path == "/login":
            self.answer(302, Location=query["rd"][0], Set_Cookie="session=ann; Domain=site.localhost; Path=/")
        elif self.headers.get("Remote-User"):
            user, place = self.headers["Remote-User"], json.dumps(self.path)
            self.answer(200, f"<script>fetch('/report/sign-in?ok=' + ({json.dumps(user)} === 'ann' && "
                             f"{place} === '/a%20page?q=1') + '&detail=' + encodeURIComponent({place}))</script>")
        elif url.path == "/echo":
            seen = {"method": self.command, "own": self.headers.get("X-Own"), "cookie": cookie}
            # A target that means well: two such fields would be an error to a browser.
            self.answer(200, json.dumps(seen), Content_Type="application/json", Access_Control_Allow_Origin="*")
        elif url.path == "/set-cookie":
            self.answer(200, "set", Set_Cookie="api=yes")
        elif url.path == "/long":
            self.answer(200, json.dumps(list(range(20000))), Content_Type="application/json")
        elif url.path == "/stream":
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nfirst\r\n")
            self.wfile.flush()
            go_on.wait(60)
            self.wfile.write(b"6\r\nsecond\r\n0\r\n\r\n")
        elif url.path == "/go-on":
            go_on.set()
            self.answer(200)
        elif url.path == "/broken":
            self.answer(500, "a trace of the program")
        elif url.path == "/start":
            self.answer(200, START)
        else:
            self.answer(200, "fine")


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Target)
threading.Thread(target=server.serve_forever, daemon=True).start()
all_reported.wait(90)
# The values of the placeholders, with which two pages have reported.
for name, shown in {"none": "404 no_rule", "broken": "500 "}.items():
    if name in reports and reports[name][1:] != (shown,):
        reports[name] = (False, *reports[name][1:])
failed = False
for name in sorted(WANTED | reports.keys()):
    ok, *detail = reports.get(name, (False, "no report"))
    failed |= not ok
    print("fine  " if ok else "FAILED", name, *detail)
sys.exit(failed)
PY

python3 "$work/target.py" "$target" "$port" >"$work/report.txt" 2>"$work/target.log" &
report=$!
start gate "$gate" run -c "$work/smolgate.yml"
until_true "the gate answers" curl -fsS "http://127.0.0.1:$port/report/warm?ok=true"
start chromium chromium --headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking --no-proxy-server \
    --user-data-dir="$work/profile" --remote-debugging-port=0 "http://app.site.localhost:$port/start"

code=0
wait "$report" || code=1
cat "$work/report.txt"
# The page of the internal API.
mkdir -p target/axe
npm install --silent --no-audit --no-fund --no-save --prefix target/axe axe-core@4.14.1 || fail "no axe-core from npm"
AXE=$PWD/target/axe/node_modules/axe-core/axe.min.js timeout 300 python3 tests/page.py || code=1
exit "$code"
