"""Takes every mail on port 1025 and shows it on port 8025: a page for people, JSON for programs.

GET /                the newest mails as a page
GET /messages        all mails as JSON, oldest first
GET /messages/ID     one of them
DELETE /messages     forgets them all
GET /healthz         says that it runs
"""

import html
import json
import signal
import smtplib
import sys
import threading
import urllib.request
from collections import deque
from datetime import UTC, datetime
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

SMTP_PORT, HTTP_PORT = 1025, 8025
# Both bound the memory: the newest mails matter, and no alert is longer than this.
MOST_MAILS, MOST_BYTES = 500, 1 << 20

type Mail = dict[str, Any]


class Box:
    """The mails, shared by the thread that takes them and those that show them."""

    def __init__(self) -> None:
        self._mails: deque[Mail] = deque(maxlen=MOST_MAILS)
        self._count = 0
        self._lock = threading.Lock()

    def add(self, mail: Mail) -> None:
        with self._lock:
            self._count += 1
            self._mails.append({"id": self._count, **mail})

    def all(self) -> list[Mail]:
        with self._lock:
            return list(self._mails)

    def clear(self) -> None:
        # Numbers go on: an id never means two mails.
        with self._lock:
            self._mails.clear()


BOX = Box()


class Receiver:
    """What aiosmtpd calls with each mail."""

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content or b""
        message = message_from_bytes(content, policy=policy.default)
        body = message.get_body(preferencelist=("plain", "html"))
        mail: Mail = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": str(message["subject"] or ""),
            "headers": {name.lower(): str(value) for name, value in message.items()},
            # Lines end with CR LF on the wire only.
            "text": body.get_content().replace("\r\n", "\n") if body else "",
        }
        BOX.add(mail)
        print(json.dumps({"time": mail["at"], "level": "info", "message": "mail taken", "subject": mail["subject"]}))
        return "250 taken"


PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<title>Mails</title><style>body{{font:16px system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}}
pre{{white-space:pre-wrap;background:#f4f4f4;padding:1rem;border-radius:6px}}small{{color:#666}}</style>
<h1>{count} mails</h1>{mails}</html>"""


def page(mails: list[Mail]) -> str:
    """The newest first; every text in it comes from outside, so all is escaped."""
    shown = (
        f"<h2>{html.escape(mail['subject'])}</h2><small>{mail['at']} to {html.escape(', '.join(mail['to']))}</small>"
        f"<pre>{html.escape(mail['text'])}</pre>"
        for mail in reversed(mails)
    )
    return PAGE.format(count=len(mails), mails="".join(shown))


class Viewer(BaseHTTPRequestHandler):
    """Answers over HTTP."""

    def do_GET(self) -> None:
        mails = BOX.all()
        if self.path == "/":
            self.answer(200, "text/html; charset=utf-8", page(mails))
        elif self.path == "/healthz":
            self.answer(200, "text/plain", "ok\n")
        elif self.path == "/messages":
            self.answer(200, "application/json", json.dumps(mails))
        else:
            found = [mail for mail in mails if self.path == f"/messages/{mail['id']}"]
            status, body = (200, json.dumps(found[0])) if found else (404, '{"error":"no such mail"}')
            self.answer(status, "application/json", body)

    def do_DELETE(self) -> None:
        if self.path == "/messages":
            BOX.clear()
            self.answer(200, "application/json", "[]")
        else:
            self.answer(404, "application/json", '{"error":"only `/messages` can be deleted"}')

    def answer(self, status: int, kind: str, body: str) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing: the page asks every five seconds."""


def check() -> None:
    """Fails unless both ports answer. `NOOP`, since a check must not leave a mail."""
    with smtplib.SMTP("127.0.0.1", SMTP_PORT, timeout=2) as client:
        client.noop()
    urllib.request.urlopen(f"http://127.0.0.1:{HTTP_PORT}/healthz", timeout=2).close()


def main() -> None:
    receiver = Controller(
        Receiver(), hostname="0.0.0.0", port=SMTP_PORT, data_size_limit=MOST_BYTES, server_hostname="mail"
    )
    receiver.start()
    viewer = ThreadingHTTPServer(("0.0.0.0", HTTP_PORT), Viewer)
    # Process 1 has no default action for SIGTERM: without this a stop would take the whole grace period.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    viewer.serve_forever()


if __name__ == "__main__":
    check() if "--check" in sys.argv else main()
