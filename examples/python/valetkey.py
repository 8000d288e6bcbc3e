"""The client's part: creates a prediction and follows it until it ends. It gets its tokens from a function."""

import json
import time
from collections.abc import Callable, Iterable, Iterator

import requests

ENDS = ("succeeded", "failed", "canceled")
# Temporary refusals: a request with the same key is in progress (409), too many requests (429), unavailable (503). The
# client sends the same request again.
NOT_NOW = (409, 429, 503)
# The connection failed or broke.
BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
CONNECT_SECS = 10
# Valetkey sends a heartbeat every 15 s on a stream, and waits up to 35 s before it responds to a create. A longer
# silence means that the connection is broken.
SILENCE_SECS = 40
LONGEST_PAUSE_SECS = 30
POLL_SECS = 1


class Refused(Exception):
    """An error response."""

    def __init__(self, response: requests.Response) -> None:
        try:
            error = response.json()["error"]
        except (requests.JSONDecodeError, KeyError, TypeError):
            # The response is not from Valetkey but from something in between, such as a proxy.
            error = {"message": response.reason, "code": "unknown"}
        self.job_id = error.get("details", {}).get("job_id")
        request_id = error.get("request_id") or request_id_of(response)
        super().__init__(f"{error['message']} ({response.status_code} {error['code']}, request {request_id})")


class OutOfTime(Exception):
    """The client's time limit expired. `__cause__` is the last failure, if there was one."""


class Client:
    """A client for one user. Calls `token` for each request, so that no request has an expired token.
    Calls `notify` with the reason for each delay."""

    def __init__(
        self, base_url: str, token: Callable[[], str], timeout_secs: float, notify: Callable[[str], None]
    ) -> None:
        self._base_url = f"{base_url.rstrip('/')}/v1"
        self._token = token
        self._notify = notify
        self._deadline = time.monotonic() + timeout_secs
        self._session = requests.Session()
        self.request_id = "unknown"
        """Request id of the create, by which the operator finds it in the log."""

    def create(self, model: str, body: dict, idempotency_key: str) -> dict:
        """Creates a prediction and returns its first state. A retry with the same key creates no second one."""
        try:
            response = self._send("POST", f"/{model}/predictions", json=body, headers={"Idempotency-Key": idempotency_key})
        except Refused as refused:
            if refused.job_id is None:
                raise
            # The prediction exists, but the vendor's response was an error or is missing. Return the prediction's
            # state.
            return self.get(refused.job_id)
        self.request_id = request_id_of(response)
        return response.json()

    def get(self, job_id: str) -> dict:
        """Returns the current state of the prediction."""
        return self._send("GET", f"/predictions/{job_id}").json()

    def poll(self, job_id: str) -> Iterator[dict]:
        """Polls the prediction and yields each state until it has ended."""
        while True:
            prediction = self.get(job_id)
            yield prediction
            if prediction["status"] in ENDS:
                return
            self._pause(POLL_SECS)

    def follow(self, job_id: str) -> Iterator[dict]:
        """Yields the prediction whenever it changes until it has ended. Resumes a broken stream where it stopped."""
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
            # The stream broke, or Valetkey closed it: it does so after five minutes and when the token expires.
            self._pause(POLL_SECS)

    def _lines(self, response: requests.Response) -> Iterator[str]:
        # With a larger chunk size, `requests` holds back an event until later ones fill the chunk.
        for line in response.iter_lines(chunk_size=1):
            if time.monotonic() > self._deadline:
                raise OutOfTime
            yield line.decode()

    def _send(self, method: str, path: str, headers: dict | None = None, **options) -> requests.Response:
        """Sends a request. Retries it after a lost connection or a temporary refusal until the time limit expires."""
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
    """Yields `(id, data)` of each server-sent event. An empty line ends an event; comments are heartbeats."""
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
    """Returns `Retry-After` in seconds, if the response has one."""
    value = response.headers.get("Retry-After", "")
    return int(value) if value.isdecimal() else None


def request_id_of(response: requests.Response) -> str:
    return response.headers.get("X-Request-Id", "unknown")
