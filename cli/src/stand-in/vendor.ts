// A stand-in for the vendor, for `valetkey dev --mock`: predictions that end after some seconds, and pictures that say what
// they are. It keeps everything in memory and accepts any key.
import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pictureOf } from "./picture.ts";

/** How long a prediction takes. */
const PREDICTION_MS = 2_500;
/** The most bytes of a JSON body. The Worker sends no larger ones. */
const BODY_MAX_BYTES = 1024 * 1024;
/** Bounds of what is kept. With `--lan` everybody on the network can send requests. */
const KEPT_MAX = 1_000;
const IMAGES_MAX = 100;
const PROMPT_MAX_LENGTH = 4_000;

interface Job {
  model: string;
  prompt: string;
  count: number;
  startedAt: number;
  canceledAt?: number;
}

export interface StandInOptions {
  /** The address to listen on. */
  host: string;
  /** The models of POLICY. The Worker shows only models that the vendor lists. */
  models: string[];
  /** The widget's host name in answers about Turnstile tokens, all of which are good. */
  guestHost: string;
}

/** Starts the stand-in on a free port. Returns the server and its port. */
export async function startStandIn(options: StandInOptions): Promise<{ server: Server; port: number }> {
  const jobs = new Map<string, Job>();
  const files = new Map<string, object>();
  const server = createServer((request, response) => {
    answer(request, response, { ...options, jobs, files }).catch(() => send(response, 500, error("api_error", "internal_error")));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, options.host, resolve);
  });
  return { server, port: (server.address() as AddressInfo).port };
}

interface World extends StandInOptions {
  jobs: Map<string, Job>;
  files: Map<string, object>;
}

async function answer(request: IncomingMessage, response: ServerResponse, world: World): Promise<void> {
  const method = request.method ?? "GET";
  const url = new URL(request.url ?? "/", `http://${request.headers.host ?? "localhost"}`);
  const [, first = "", second = "", third = "", fourth = ""] = url.pathname.split("/");
  if (first === "pictures") return sendPicture(response, world, second, Number(third.replace(".svg", "")));
  if (first === "siteverify") return send(response, 200, { success: true, hostname: world.guestHost, action: "guest", "error-codes": [] });
  if (first !== "v1") return send(response, 404, error("not_found_error", "NOT_FOUND"));
  if (method === "POST" && fourth === "predictions") return create(request, response, world, `${second}/${third}`);
  if (second === "predictions") return read(response, world, url, third, method === "POST" && fourth === "cancel", fourth === "stream");
  if (second === "models") return send(response, 200, { data: world.models.map((id) => ({ id })) });
  if (second === "files") return file(request, response, world, method, third);
  return send(response, 404, error("not_found_error", "NOT_FOUND"));
}

async function create(request: IncomingMessage, response: ServerResponse, { jobs }: World, model: string): Promise<void> {
  const body = JSON.parse(await textOf(request)) as { input?: { prompt?: unknown }; image_count?: unknown };
  const id = `pred_${randomBytes(12).toString("hex")}`;
  const prompt = typeof body.input?.prompt === "string" ? body.input.prompt : model;
  const count = Number.isInteger(body.image_count) ? Math.min(Math.max(Number(body.image_count), 1), IMAGES_MAX) : 1;
  keep(jobs, id, { model, prompt: prompt.slice(0, PROMPT_MAX_LENGTH), count, startedAt: Date.now() });
  send(response, 201, { job_id: id, status: "processing", model, created_at: new Date().toISOString() });
}

function read(response: ServerResponse, { jobs }: World, url: URL, id: string, isCancel: boolean, isStream: boolean): void {
  const job = jobs.get(id);
  if (job === undefined) return send(response, 404, error("not_found_error", "NOT_FOUND"));
  const hasEnded = Date.now() - job.startedAt >= PREDICTION_MS;
  if (isCancel && !hasEnded) job.canceledAt ??= Date.now();
  if (isStream) {
    response.writeHead(200, { "content-type": "text/event-stream" });
    return void response.end(`event: output\ndata: stand-in\n\nevent: done\ndata: {}\n\n`);
  }
  const status = job.canceledAt !== undefined ? "canceled" : hasEnded ? "succeeded" : "processing";
  const output = status === "succeeded" ? Array.from({ length: job.count }, (_, index) => `${url.origin}/pictures/${id}/${index}.svg`) : [];
  send(response, 200, {
    job_id: id,
    status,
    model: job.model,
    created_at: new Date(job.startedAt).toISOString(),
    completed_at: status === "processing" ? null : new Date().toISOString(),
    output,
    metrics: { predict_time: PREDICTION_MS / 1_000 },
  });
}

function sendPicture(response: ServerResponse, { jobs }: World, id: string, index: number): void {
  const job = jobs.get(id);
  if (job === undefined) return send(response, 404, error("not_found_error", "NOT_FOUND"));
  // Pages of any origin may download a picture, as from the vendor.
  response.writeHead(200, { "content-type": "image/svg+xml", "access-control-allow-origin": "*" });
  response.end(pictureOf(job.prompt, index));
}

async function file(request: IncomingMessage, response: ServerResponse, { files }: World, method: string, id: string): Promise<void> {
  if (method === "POST") {
    let bytes = 0;
    for await (const chunk of request) bytes += (chunk as Buffer).length;
    const made = { file_id: `file_${randomBytes(12).toString("hex")}`, bytes, created_at: new Date().toISOString() };
    keep(files, made.file_id, made);
    return send(response, 201, made);
  }
  const found = files.get(id);
  if (found === undefined) return send(response, 404, error("not_found_error", "NOT_FOUND"));
  if (method === "DELETE") files.delete(id);
  return method === "DELETE" ? void response.writeHead(204).end() : send(response, 200, found);
}

/** Keeps a value, and forgets the oldest one where there are too many. */
function keep<T>(kept: Map<string, T>, id: string, value: T): void {
  kept.set(id, value);
  const [oldest] = kept.keys();
  if (kept.size > KEPT_MAX && oldest !== undefined) kept.delete(oldest);
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length;
    if (bytes > BODY_MAX_BYTES) throw new Error("the body is too large");
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function error(type: string, code: string): object {
  return { error: { type, code, message: "The stand-in refuses this." } };
}

function send(response: ServerResponse, status: number, body: object): void {
  if (response.headersSent) return void response.end();
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}
