"""A web server with the files of one image: Range, a token, and faults on order. Listens on loopback, any free port."""

import http.server
import re
import threading
import urllib.parse
from types import TracebackType
from typing import Self

TOKEN = "t0ken"


class ImageServer:
    """files: by name. break_at: positions in image.data where a connection is closed, each once.

    spoil: positions in it whose byte is sent wrong, each once. status: answered instead, when set.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.break_at: list[int] = []
        self.spoil: list[int] = []
        self.status: int | None = None
        self.requests: list[tuple[str, str | None]] = []
        self._server = _Server(("127.0.0.1", 0), self)
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}/image/some-uuid"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def body(self, name: str, start: int) -> tuple[bytes, bool]:
        """What to send from a position on, and whether the connection breaks after it."""
        data = bytearray(self.files[name])
        if name != "image.data":
            return bytes(data[start:]), False
        for position in [item for item in self.spoil if item >= start]:
            data[position] ^= 0xFF
            self.spoil.remove(position)
        for position in [item for item in self.break_at if item >= start]:
            self.break_at.remove(position)
            return bytes(data[start:position]), True
        return bytes(data[start:]), False


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], fake: ImageServer) -> None:
        super().__init__(address, _Handler)
        self.fake = fake


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        fake, asked = self.server.fake, self.headers.get("Range")
        fake.requests.append((self.path, asked))
        match = re.fullmatch(rf"/image/some-uuid/([\w.]+)\?token={TOKEN}", self.path)
        name = match[1] if match else ""
        if fake.status or name not in fake.files:
            self.send_response(fake.status or 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        body, breaks = fake.body(name, start)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(fake.files[name]) - start))
        self.end_headers()
        self.close_connection = True
        self.wfile.write(body)
        if breaks:
            self.wfile.flush()

    def log_message(self, *arguments: object) -> None:
        pass


class FormReceiver:
    """A web server that keeps the forms posted to it."""

    def __init__(self) -> None:
        self.forms: list[tuple[str, dict[str, list[str]]]] = []
        forms = self.forms

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                forms.append((self.path, urllib.parse.parse_qs(body, keep_blank_values=True)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
