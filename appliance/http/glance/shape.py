"""How this face says no: status and title, then the sentence; as HTML, JSON or text, whichever the caller takes."""

import html

import orjson
from flask import Response, g, request

from appliance.domain.errors import StorageFull
from appliance.http.errors import Refusal

TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    406: "Not Acceptable", 408: "Request Timeout", 409: "Conflict", 410: "Gone", 413: "Request Entity Too Large",
    415: "Unsupported Media Type", 416: "Requested Range Not Satisfiable", 429: "Too Many Requests",
    424: "Failed Dependency", 500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
    507: "Insufficient Storage",
}  # fmt: skip


def refusal(given: Refusal) -> Response:
    """A full disk is 413 here, as clients of image services know it."""
    status = 413 if isinstance(given.cause, StorageFull) else given.status
    title = TITLES.get(status, "Error")
    sentence = ": ".join(text for text in (given.message, given.why) if text)
    body, kind = _body(f"{status} {title}", sentence, title)
    response = Response(body, status=status, mimetype=kind)
    response.headers["X-Openstack-Request-Id"] = g.get("request_id", "")
    return response


def _body(line: str, sentence: str, title: str) -> tuple[bytes, str]:
    accepts = request.accept_mimetypes
    best = accepts.best_match(["text/html", "application/json", "text/plain"]) if accepts else None
    if best == "application/json":
        return orjson.dumps({"message": sentence, "code": line, "title": title}), best
    if best == "text/html" or not request.headers.get("Accept"):  # the SDK sends it empty, and reads HTML
        page = f"<html>\n <head>\n  <title>{line}</title>\n </head>\n <body>\n  <h1>{line}</h1>\n"
        return f"{page}  {html.escape(sentence, quote=False)}<br /><br />\n\n\n </body>\n</html>".encode(), "text/html"
    return f"{line}\n\n{sentence}\n\n   ".encode(), "text/plain"
