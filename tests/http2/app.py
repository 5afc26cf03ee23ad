"""An ASGI application for hypercorn: bodies that come back, pictures, events, and a WebSocket that echoes."""
import asyncio
import base64

# A picture of one pixel.
PICTURE = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
EVENTS = 5

PAGE = b"""<!doctype html><title>one connection</title><body><script>
const told = (name, run) => { results[name] = null; run().then(value => results[name] = value, error => results[name] = String(error)); };
const results = {};
told("pictures", () => Promise.all([...Array(200).keys()].map(number => new Promise((resolve, reject) => {
    const picture = new Image();
    picture.onload = () => resolve(1);
    picture.onerror = () => reject("picture " + number);
    picture.src = "picture?" + number;
}))).then(all => all.length));
told("post", () => fetch("count", { method: "POST", body: new Uint8Array(50_000_000) }).then(answer => answer.text()));
told("events", () => new Promise((resolve, reject) => {
    const source = new EventSource("events"), seen = [];
    source.onmessage = event => { seen.push(event.data); if (seen.length === 5) { source.close(); resolve(seen.join()); } };
    source.onerror = () => reject("the events broke after " + seen.join());
}));
told("websocket", () => new Promise((resolve, reject) => {
    const socket = new WebSocket(new URL("ws", location).href.replace("http", "ws")), seen = [];
    socket.binaryType = "arraybuffer";
    socket.onopen = () => { socket.send("hello"); socket.send(new Uint8Array(300_000)); };
    socket.onmessage = event => {
        seen.push(typeof event.data === "string" ? event.data : event.data.byteLength);
        if (seen.length === 2) { socket.close(); }
    };
    socket.onclose = event => resolve(seen.join() + "," + event.wasClean);
    socket.onerror = () => reject("the WebSocket broke");
}));
</script>"""


async def application(scope, receive, send):
    match scope["type"]:
        case "lifespan":
            while True:
                kind = (await receive())["type"]
                await send({"type": kind + ".complete"})
                if kind == "lifespan.shutdown":
                    return
        case "websocket":
            await echo(receive, send)
        case "http":
            await answer(scope["path"].rsplit("/", 1)[-1], scope["method"], receive, send)


async def echo(receive, send):
    while (event := await receive())["type"] != "websocket.disconnect":
        if event["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        else:
            await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})


async def bodies(receive):
    more = True
    while more:
        event = await receive()
        yield event.get("body", b"")
        more = event.get("more_body", False)


async def answer(name, method, receive, send):
    async def begin(kind):
        headers = [(b"content-type", kind), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def part(body, more=False):
        await send({"type": "http.response.body", "body": body, "more_body": more})

    match name:
        case "picture":
            await begin(b"image/gif")
            await part(PICTURE)
        case "events":
            await begin(b"text/event-stream")
            for number in range(EVENTS):
                await part(b"data: %d\n\n" % number, True)
                await asyncio.sleep(0.05)
            # The browser closes.
            await asyncio.sleep(20)
            await part(b"")
        case "count":
            count = 0
            async for body in bodies(receive):
                count += len(body)
            await begin(b"text/plain")
            await part(b"%d" % count)
        case "page":
            await begin(b"text/html")
            await part(PAGE)
        case _ if method == "GET":
            await begin(b"text/plain")
            await part(b"fine")
        case _:
            await begin(b"application/octet-stream")
            async for body in bodies(receive):
                await part(body, True)
            await part(b"")
