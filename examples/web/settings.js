// Where things are: those of `make dev`.
export const BASE_URL = "http://127.0.0.1:8787";
export const SESSION_URL = "http://127.0.0.1:8788/session";
