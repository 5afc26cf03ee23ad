"""Chromium by its debugging pipe: JSON messages that end with a zero byte. Needs no package of Python."""
import base64
import json
import os
import subprocess
import tempfile
import threading
import time

LIMIT = 60  # seconds


class Browser:
    """One browser with one page. It keeps the errors of the console and the URL of each request."""

    def __init__(self, profile, *more):
        to_browser, self.out = os.pipe()
        self.answers, from_browser = os.pipe()

        def descriptors():
            # The pipe is read on 3 and written on 4. Copies keep the numbers apart.
            one, other = os.dup(to_browser), os.dup(from_browser)
            os.dup2(one, 3)
            os.dup2(other, 4)

        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-proxy-server",
             "--disable-background-networking", "--hide-scrollbars", f"--user-data-dir={profile}",
             "--remote-debugging-pipe", *more, "about:blank"],
            close_fds=False, preexec_fn=descriptors, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.number, self.results, self.changed = 0, {}, threading.Condition()
        self.errors, self.requests, self.statuses, self.session = [], [], [], None
        threading.Thread(target=self.read, daemon=True).start()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.call(f"{domain}.enable")

    def read(self):
        rest = b""
        while piece := os.read(self.answers, 65536):
            *messages, rest = (rest + piece).split(b"\0")
            for message in map(json.loads, messages):
                with self.changed:
                    self.take(message)
                    self.changed.notify_all()

    def take(self, message):
        told = message.get("params", {})
        match message.get("method"):
            case None:
                self.results[message["id"]] = message
            case "Runtime.exceptionThrown":
                self.errors.append(json.dumps(told["exceptionDetails"])[:400])
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                self.errors.append(json.dumps(told["args"])[:400])
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                self.errors.append(told["entry"]["text"] + " " + told["entry"].get("url", ""))
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Network.responseReceived":
                self.statuses.append((told["response"]["url"], told["response"]["status"]))

    def call(self, method, **params):
        with self.changed:
            self.number += 1
            number, message = self.number, {"id": self.number, "method": method, "params": params}
            if self.session:
                message["sessionId"] = self.session
            os.write(self.out, json.dumps(message).encode() + b"\0")
            if not self.changed.wait_for(lambda: number in self.results, LIMIT):
                raise TimeoutError(method)
            answer = self.results.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def run(self, script):
        """The value of an expression in the page. A promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, what, script):
        """Waits until an expression is true."""
        end = time.monotonic() + LIMIT
        while not self.run(script):
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: {self.run('document.body.innerText')}")
            time.sleep(0.05)

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.until("the page is there", f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def type(self, text):
        self.call("Input.insertText", text=text)

    def press(self, key, code):
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ["keyDown", "keyUp"]:
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def look(self, width, height, scheme, is_phone=False, scale=2):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=is_phone)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=False)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def close(self):
        self.process.terminate()
        self.process.wait()


def temporary():
    return tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
