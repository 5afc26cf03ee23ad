"""Chromium over HTTP/2: a page with 200 pictures, a POST of 50 MB, events and a WebSocket, all on one connection."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from chromium import Browser, temporary

port, log = sys.argv[1], pathlib.Path(sys.argv[2])
WANTED = {"pictures": 200, "post": "50000000", "events": "0,1,2,3,4", "websocket": "hello,300000,true"}

with temporary() as profile:
    browser = Browser(profile, "--ignore-certificate-errors")
    # It would tell the whole body of the POST.
    browser.call("Network.disable")
    for target in ("http1", "h2c"):
        browser.open(f"https://localhost:{port}/{target}/page")
        browser.until("all is told", "Object.values(results).length === 4 && !Object.values(results).includes(null)")
        results = browser.run("results")
        assert results == WANTED, results
        protocols = browser.run("[...new Set(performance.getEntriesByType('resource').map(entry => entry.nextHopProtocol))].join()")
        assert protocols == "h2", protocols
        sockets = [json.loads(line) for line in log.read_text().splitlines() if f"/{target}/ws" in line]
        assert [(line["version"], line["status"]) for line in sockets] == [("HTTP/2.0", 200)], sockets
        print(f"chromium: 200 pictures, a POST of 50 MB, events and a WebSocket over HTTP/2, target {target}")
    browser.close()
