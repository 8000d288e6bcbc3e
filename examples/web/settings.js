// Addresses of Valetkey and of your own backend. These are the ones that `make dev` starts.
export const BASE_URL = "http://127.0.0.1:8787";
export const SESSION_URL = "http://127.0.0.1:8788/session";
