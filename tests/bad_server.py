"""A server that does everything wrong that servers do, one behaviour a function."""

from __future__ import annotations

import re
from http.server import BaseHTTPRequestHandler

import numpy as np

NAME = "events.h5"
DATA = np.random.default_rng(1).bytes(300_000)


class Handler(BaseHTTPRequestHandler):
    """Answers each request with the next behaviour of the server's list; the last one stays."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        index = min(len(server.ranges), len(server.behaviours)) - 1
        self.close_connection = True
        try:
            server.behaviours[index](self)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client had enough

    def head(self, status, **headers):
        self.send_response(status)
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def start(self, data=DATA, **headers):
        """Send the headers of a proper answer and give the body that belongs to them."""
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(wanted[1]) if wanted else 0
        if wanted:
            headers["Content_Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        self.head(206 if wanted else 200, **{"Content_Length": len(data) - first} | headers)
        return data[first:]


def good(handler):
    handler.wfile.write(handler.start(ETag='"one"'))


def changed(handler):
    handler.wfile.write(handler.start(DATA[::-1], ETag='"two"'))


def drops(handler):
    handler.wfile.write(handler.start(ETag='"one"')[:100_000])


def drops_at_once(handler):
    handler.start()


def says_nothing(handler):
    pass


def stalls(handler):
    handler.wfile.write(handler.start(ETag='"one"')[:100_000])
    handler.server.release.wait(5)


def stalls_at_once(handler):
    handler.start()
    handler.server.release.wait(5)


def trickles(handler):
    body = handler.start()
    for place in range(50):
        handler.wfile.write(body[place : place + 1])
        if handler.server.release.wait(0.1):
            break


def corrupts(handler):
    body = bytearray(handler.start())
    body[len(body) // 2] ^= 1
    handler.wfile.write(body)


def ignores_ranges(handler):
    handler.head(200, Content_Length=len(DATA))
    handler.wfile.write(DATA)


def ignores_ranges_and_drops(handler):
    handler.head(200, Content_Length=len(DATA))
    handler.wfile.write(DATA[:150_000])


def another_range(handler):
    handler.head(206, Content_Range=f"bytes 0-{len(DATA) - 1}/{len(DATA)}", Content_Length=9)
    handler.wfile.write(DATA[:9])


def no_content_range(handler):
    handler.head(206, Content_Length=len(DATA))
    handler.wfile.write(DATA)


def unsatisfiable(handler):
    handler.head(416, Content_Range=f"bytes */{len(DATA)}", Content_Length=0)


def says_shorter(handler):
    handler.head(200, Content_Length=1000)
    handler.wfile.write(DATA[:1000])


def says_longer(handler):
    handler.head(200, Content_Length=len(DATA) + 5)
    handler.wfile.write(DATA + b"12345")


def promises_more_than_it_sends(handler):
    handler.head(200, Content_Length=len(DATA))
    handler.wfile.write(DATA[:-5])


def no_length(handler):
    handler.head(200)
    handler.wfile.write(DATA)


def no_length_and_more(handler):
    handler.head(200)
    handler.wfile.write(DATA + b"12345")


def no_length_and_drops(handler):
    handler.head(200)
    handler.wfile.write(DATA[:-5])


def web_page(handler):
    page = b"<html>Sign in to the guest network</html>"
    handler.head(200, Content_Length=len(page))
    handler.wfile.write(page)


def compressed(handler):
    assert handler.headers["Accept-Encoding"] == "identity"
    good(handler)


def no_http(handler):
    handler.wfile.write(b"\x00\x01what?\r\n\r\n")


def status(code, **headers):
    def answer(handler):
        handler.head(code, Content_Length=0, **headers)

    return answer
