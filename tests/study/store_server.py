"""A real server of S3's protocol on this machine, which can be told to go wrong."""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

FORBIDDEN = (
    b"<?xml version='1.0'?><Error><Code>%s</Code><Message>%s</Message>"
    b"<RequestId>1</RequestId></Error>"
)


@dataclass
class Faults:
    """What goes wrong, around the server's application.

    Attributes:
        requests: How many requests there were, by method, and `LIST` for listings.
        read_only: Buckets that can't be written to.
        unlisted: Texts: listings leave out the keys that contain one.
        slow: Seconds that a listing takes longer.
        plans: How a request whose method and path match goes wrong, and how often.
    """

    app: Any
    requests: Counter = field(default_factory=Counter)
    read_only: set[str] = field(default_factory=set)
    unlisted: set[str] = field(default_factory=set)
    slow: float = 0.0
    plans: list[list[Any]] = field(default_factory=list)

    def plan(self, method: str, pattern: str, how: str, times: int = 1) -> None:
        """The next requests that match are `lost` (half of the body arrives), `unanswered` (done,
        but the answer is lost), `busy` (503) or `silent` (no answer for seconds).
        """
        self.plans.append([method, pattern, how, times])

    def reset(self) -> None:
        self.requests.clear(), self.read_only.clear(), self.unlisted.clear(), self.plans.clear()
        self.slow = 0.0

    def __call__(self, environ: dict[str, Any], start: Callable) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        query = environ.get("QUERY_STRING", "")
        listing = method == "GET" and "list-type" in query
        self.requests["LIST" if listing else method] += 1
        if "unknown-key" in environ.get("HTTP_AUTHORIZATION", ""):
            return self._refuse(environ, start, b"InvalidAccessKeyId", b"no such key")
        if method in ("PUT", "POST", "DELETE") and path.split("/")[1] in self.read_only:
            return self._refuse(environ, start, b"AccessDenied", b"Access Denied")
        how = self._next("LIST" if listing else method, path)
        if how == "lost":
            length = int(environ.get("CONTENT_LENGTH") or 0)
            environ["wsgi.input"].read(length // 2)
            raise ConnectionResetError
        if how == "busy":
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start("503 Slow Down", [("Content-Type", "application/xml")])
            return [FORBIDDEN % (b"SlowDown", b"Please reduce your request rate.")]
        if how == "unanswered":
            list(self.app(environ, lambda *_: None))
            raise ConnectionResetError
        if listing:
            time.sleep(self.slow)
            return self._lagging(environ, start)
        return self.app(environ, start)

    def _next(self, method: str, path: str) -> str | None:
        for plan in self.plans:
            if plan[0] == method and re.search(plan[1], path) and plan[3] > 0:
                plan[3] -= 1
                return plan[2]
        return None

    @staticmethod
    def _refuse(environ, start, code: bytes, text: bytes) -> list[bytes]:
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start("403 Forbidden", [("Content-Type", "application/xml")])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [FORBIDDEN % (code, text)]

    def _lagging(self, environ, start) -> list[bytes]:
        """A listing without the keys that it does not show yet."""
        kept: list[Any] = []
        body = b"".join(self.app(environ, lambda *given: kept.extend(given)))
        for text in self.unlisted:
            pattern = rb"<Contents>(?:(?!</Contents>).)*<Key>[^<]*%s[^<]*</Key>.*?</Contents>"
            body = re.sub(pattern % re.escape(text).encode(), b"", body, flags=re.S)
        headers = [(k, v) for k, v in kept[1] if k.lower() != "content-length"]
        start(kept[0], [*headers, ("Content-Length", str(len(body)))])
        return [body]


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def connection_dropped(self, *_: Any) -> None:
        self.close_connection = True

    def log(self, *_: Any, **__: Any) -> None:
        """Nothing: the tests' output stays theirs."""


class Server:
    """The server, on a free port."""

    def __init__(self) -> None:
        self.faults = Faults(DomainDispatcherApplication(create_backend_app))
        self._server = make_server(
            "127.0.0.1", 0, self.faults, threaded=True, request_handler=_Quiet
        )
        self.url = f"http://127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
