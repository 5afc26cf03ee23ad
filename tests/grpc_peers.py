"""A server and a client of gRPC by grpcio, with raw bytes for messages: `server PORT`, `client PORT PLACE_OF_NO_SERVER`."""

import sys
import threading
import time
from concurrent import futures

import grpc

PLAIN = dict(request_deserializer=None, response_serializer=None)


class Calls(grpc.GenericRpcHandler):
    """One of each kind of call."""

    def service(self, details):
        kinds = {
            "/test.Calls/Unary": grpc.unary_unary_rpc_method_handler(self.unary, **PLAIN),
            "/test.Calls/Fail": grpc.unary_unary_rpc_method_handler(self.fail, **PLAIN),
            "/test.Calls/Sleep": grpc.unary_unary_rpc_method_handler(self.sleep, **PLAIN),
            "/test.Calls/Down": grpc.unary_stream_rpc_method_handler(self.down, **PLAIN),
            "/test.Calls/Up": grpc.stream_unary_rpc_method_handler(self.up, **PLAIN),
            "/test.Calls/Both": grpc.stream_stream_rpc_method_handler(self.both, **PLAIN),
        }
        return kinds.get(details.method)

    def unary(self, request, context):
        context.send_initial_metadata((("x-first", "1"),))
        context.set_trailing_metadata((("x-last", "2"), ("x-raw-bin", b"\0\xff")))
        return request

    def fail(self, _request, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not so: 100 %")

    def sleep(self, _request, context):
        # The deadline of the client has come with the call.
        assert 0 < context.time_remaining() < 60
        while context.is_active():
            time.sleep(0.01)
        return b""

    def down(self, request, _context):
        for number in range(int(request)):
            yield b"%d" % number

    def up(self, requests, _context):
        return b"%d" % sum(len(request) for request in requests)

    def both(self, requests, _context):
        for request in requests:
            yield request[::-1]


def serve(port):
    server = grpc.server(futures.ThreadPoolExecutor(64))
    server.add_generic_rpc_handlers((Calls(),))
    assert server.add_insecure_port(f"127.0.0.1:{port}") == port
    server.start()
    server.wait_for_termination()


def expect_status(code, call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, (error.code(), error.details())
        return error
    raise AssertionError(f"the call has not ended with {code}")


def ask(port, path_of_none):
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    grpc.channel_ready_future(channel).result(20)
    unary = channel.unary_unary("/test.Calls/Unary")
    answer, call = unary.with_call(b"hello", timeout=20)
    assert answer == b"hello"
    assert ("x-first", "1") in [tuple(pair) for pair in call.initial_metadata()]
    assert {("x-last", "2"), ("x-raw-bin", b"\0\xff")} <= {tuple(pair) for pair in call.trailing_metadata()}
    for size in (0, 1, 100_000, 3_000_000):
        assert unary(bytes(size), timeout=30) == bytes(size), size
    failed = expect_status(
        grpc.StatusCode.FAILED_PRECONDITION, lambda: channel.unary_unary("/test.Calls/Fail")(b"", timeout=20)
    )
    assert failed.details() == "not so: 100 %"
    # The server answers with a head alone.
    expect_status(grpc.StatusCode.UNIMPLEMENTED, lambda: channel.unary_unary("/test.Calls/None")(b"", timeout=20))
    # The gate answers with a head alone.
    down = expect_status(grpc.StatusCode.UNAVAILABLE, lambda: channel.unary_unary(path_of_none)(b"", timeout=20))
    assert "connect_refused" in down.details(), down.details()
    expect_status(
        grpc.StatusCode.DEADLINE_EXCEEDED, lambda: channel.unary_unary("/test.Calls/Sleep")(b"", timeout=0.3)
    )
    many = channel.unary_stream("/test.Calls/Down")(b"1000", timeout=20)
    assert [int(message) for message in many] == list(range(1000))
    pieces = (bytes(10_000) for _ in range(100))
    assert channel.stream_unary("/test.Calls/Up")(pieces, timeout=20) == b"1000000"
    # Each message is sent when the answer to the one before is here.
    turn = threading.Semaphore(1)

    def messages():
        for number in range(50):
            turn.acquire()
            yield b"<%d" % number

    count = 0
    for message in channel.stream_stream("/test.Calls/Both")(messages(), timeout=20):
        assert message == (b"<%d" % count)[::-1]
        count += 1
        turn.release()
    assert count == 50
    # Calls at once, beyond the streams of one connection.
    calls = [unary.future(b"%d" % number, timeout=30) for number in range(300)]
    assert [int(call.result()) for call in calls] == list(range(300))
    # A call that the client cancels ends.
    stream = channel.stream_stream("/test.Calls/Both")(iter(lambda: time.sleep(0.01) or b"x", None), timeout=20)
    assert next(stream) == b"x"
    stream.cancel()
    print("grpcio: all calls are right")


if __name__ == "__main__":
    if sys.argv[1] == "server":
        serve(int(sys.argv[2]))
    else:
        ask(int(sys.argv[2]), sys.argv[3])
