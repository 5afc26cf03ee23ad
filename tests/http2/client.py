"""A client over the Python packages h2 and wsproto: a body, and a WebSocket by extended CONNECT."""
import socket
import sys

import h2.config
import h2.connection
import h2.events
import wsproto
from h2.settings import SettingCodes
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection, TextMessage

port, path = int(sys.argv[1]), sys.argv[2]


class Client:
    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.streams = {}
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def turn(self):
        """Reads once."""
        data = self.socket.recv(65536)
        assert data, "the gate has closed"
        for event in self.h2.receive_data(data):
            match event:
                case h2.events.ResponseReceived():
                    self.streams[event.stream_id] = [dict(event.headers), b"", False]
                case h2.events.DataReceived():
                    self.streams[event.stream_id][1] += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case h2.events.StreamEnded():
                    self.streams[event.stream_id][2] = True
                case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                    raise AssertionError(event)
        self.flush()

    def until(self, condition):
        while not condition():
            self.turn()

    def request(self, method, name, *more, ends=True):
        stream = self.h2.get_next_available_stream_id()
        fields = [(":method", method), (":scheme", "http"), (":authority", "a.test"), (":path", f"{path}/{name}"), *more]
        self.h2.send_headers(stream, fields, end_stream=ends)
        self.flush()
        return stream

    def send(self, stream, body, ends):
        while body:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(body))
            if room == 0:
                self.turn()
                continue
            self.h2.send_data(stream, body[:room])
            body = body[room:]
            self.flush()
        if ends:
            self.h2.end_stream(stream)
            self.flush()

    def answer(self, stream):
        self.until(lambda: stream in self.streams and self.streams[stream][2])
        head, body, _ = self.streams[stream]
        assert head[":status"] == "200", head
        return body


def websocket(client):
    stream = client.request("CONNECT", "ws", (":protocol", "websocket"), ("sec-websocket-version", "13"), ends=False)
    client.until(lambda: stream in client.streams)
    assert client.streams[stream][0][":status"] == "200", client.streams[stream]
    assert "sec-websocket-accept" not in client.streams[stream][0]
    peer = wsproto.Connection(ConnectionType.CLIENT)
    large = bytes(range(256)) * 2000
    for message in (TextMessage(data="hello"), BytesMessage(data=large)):
        client.send(stream, peer.send(message), False)
        got = b""
        while len(got) < len(message.data):
            if not client.streams[stream][1]:
                client.turn()
            piece, client.streams[stream][1] = client.streams[stream][1], b""
            peer.receive_data(piece)
            for event in peer.events():
                got += event.data.encode() if isinstance(event.data, str) else bytes(event.data)
        want = message.data.encode() if isinstance(message.data, str) else message.data
        assert got == want, len(got)
    client.send(stream, peer.send(CloseConnection(code=1000)), False)
    events = []
    while not any(isinstance(event, CloseConnection) for event in events):
        if not client.streams[stream][1]:
            client.turn()
        piece, client.streams[stream][1] = client.streams[stream][1], b""
        peer.receive_data(piece)
        events += peer.events()
    client.h2.reset_stream(stream, 8)
    client.flush()


client = Client()
assert client.answer(client.request("GET", "x")) == b"fine"
body = bytes(range(256)) * 4000
for _ in range(3):
    stream = client.request("POST", "echo", ends=False)
    client.send(stream, body, True)
    assert client.answer(stream) == body
assert client.h2.remote_settings.get(SettingCodes.ENABLE_CONNECT_PROTOCOL) == 1
websocket(client)
print(f"h2: bodies and a WebSocket came back from {path}")
