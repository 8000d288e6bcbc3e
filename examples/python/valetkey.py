"""What a client does: it creates a prediction and follows it to its end. How tokens are made is not its business."""

import json
import time
from collections.abc import Callable, Iterable, Iterator

import requests

ENDS = ("succeeded", "failed", "canceled")
# Too early (409), too many (429), not now (503): the same request is sent again.
NOT_NOW = (409, 429, 503)
# The connection broke, or was never made.
BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
CONNECT_SECS = 10
# A stream has a heartbeat every 15 s, and a create may take 30 s: longer silence is a broken connection.
SILENCE_SECS = 40
LONGEST_PAUSE_SECS = 30
POLL_SECS = 1


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, response: requests.Response) -> None:
        try:
            error = response.json()["error"]
        except (requests.JSONDecodeError, KeyError, TypeError):
            # Something between here and Valetkey answered.
            error = {"message": response.reason, "code": "unknown"}
        self.job_id = error.get("details", {}).get("job_id")
        request_id = error.get("request_id") or request_id_of(response)
        super().__init__(f"{error['message']} ({response.status_code} {error['code']}, request {request_id})")


class OutOfTime(Exception):
    """The deadline came first."""


class Client:
    """One user's view of Valetkey. `token` is called for each request, so that none is sent with an old one; `notify` is
    told why something takes longer."""

    def __init__(
        self, base_url: str, token: Callable[[], str], timeout_secs: float, notify: Callable[[str], None]
    ) -> None:
        self._base_url = f"{base_url.rstrip('/')}/v1"
        self._token = token
        self._notify = notify
        self._deadline = time.monotonic() + timeout_secs
        self._session = requests.Session()
        self.request_id = "unknown"
        """What the log calls the create."""

    def create(self, model: str, body: dict, idempotency_key: str) -> dict:
        """The prediction, made once: with the same key the request may be sent as often as it takes."""
        try:
            response = self._send("POST", f"/{model}/predictions", json=body, headers={"Idempotency-Key": idempotency_key})
        except Refused as refused:
            if refused.job_id is None:
                raise
            # The vendor's answer was bad or did not come, and the prediction exists: it says itself what became of it.
            return self.get(refused.job_id)
        self.request_id = request_id_of(response)
        return response.json()

    def get(self, job_id: str) -> dict:
        """The prediction as it is now."""
        return self._send("GET", f"/predictions/{job_id}").json()

    def poll(self, job_id: str) -> Iterator[dict]:
        """The prediction again and again, up to its end."""
        while True:
            prediction = self.get(job_id)
            yield prediction
            if prediction["status"] in ENDS:
                return
            self._pause(POLL_SECS)

    def follow(self, job_id: str) -> Iterator[dict]:
        """The prediction whenever it changes, up to its end. A stream that breaks is resumed where it was."""
        headers = {"Accept": "text/event-stream"}
        while True:
            with self._send("GET", f"/predictions/{job_id}/events", headers=headers, stream=True) as response:
                try:
                    for event_id, data in read_events(self._lines(response)):
                        headers["Last-Event-ID"] = event_id
                        prediction = json.loads(data)
                        yield prediction
                        if prediction["status"] in ENDS:
                            return
                except BROKEN as broken:
                    self._notify(f"the stream broke: {broken}")
            # A stream that did not break was closed, as each is after five minutes and at the end of its token.
            self._pause(POLL_SECS)

    def _lines(self, response: requests.Response) -> Iterator[str]:
        # A larger chunk would keep an event back until the next one fills it.
        for line in response.iter_lines(chunk_size=1):
            if time.monotonic() > self._deadline:
                raise OutOfTime
            yield line.decode()

    def _send(self, method: str, path: str, headers: dict | None = None, **options) -> requests.Response:
        """Sends until the answer is anything but "not now"."""
        backoff = 1
        while True:
            authorized = {"Authorization": f"Bearer {self._token()}", **(headers or {})}
            options["timeout"] = (CONNECT_SECS, SILENCE_SECS)
            try:
                response = self._session.request(method, self._base_url + path, headers=authorized, **options)
            except BROKEN as broken:
                pause, reason = None, broken
            else:
                if response.ok:
                    return response
                pause, reason = seconds_to_wait(response), Refused(response)
                if response.status_code not in NOT_NOW:
                    raise reason
            self._pause(pause or backoff, reason)
            backoff = min(2 * backoff, LONGEST_PAUSE_SECS)

    def _pause(self, seconds: float, reason: Exception | None = None) -> None:
        if time.monotonic() + seconds > self._deadline:
            raise OutOfTime from reason
        if reason is not None:
            self._notify(f"{reason}; next try in {seconds} s")
        time.sleep(seconds)


def read_events(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """`(id, data)` of each server-sent event. An event ends with an empty line; comments are heartbeats."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        if "data" in fields:
            yield fields.get("id", ""), fields["data"]
        fields = {}


def seconds_to_wait(response: requests.Response) -> int | None:
    value = response.headers.get("Retry-After", "")
    return int(value) if value.isdecimal() else None


def request_id_of(response: requests.Response) -> str:
    return response.headers.get("X-Request-Id", "unknown")
