// Valetkey's create in JavaScript, with the same hops, transactions and rows (README.md counts them):
//
// 1. Verify the token.
// 2. Admit the prediction in the user's Ledger.
// 3. Hand it to the one Dispatcher, which stores it, calls the vendor, stores the result and sends it to the Ledger.
//
// It has no queue, no limits per minute, no polls and no recovery: the comparison is of languages, not of products.
import { Hono } from "hono";
import { jwtVerify } from "jose";

const app = new Hono();
let secret;

app.use("/v1/*", async (context, next) => {
  secret ??= new TextEncoder().encode(context.env.TEST_SECRET);
  const token = (context.req.header("Authorization") ?? "").replace(/^Bearer /, "");
  try {
    const options = { algorithms: ["HS256"], issuer: "https://issuer.example", audience: "bench", maxTokenAge: "1h", requiredClaims: ["exp", "sub"] };
    const { payload } = await jwtVerify(token, secret, options);
    context.set("user", payload.sub);
  } catch {
    return context.json({ error: { type: "authentication_error", message: "The token is not valid.", code: "invalid_token" } }, 401);
  }
  return next();
});

const ask = async (namespace, name, message) => {
  const answer = await namespace.getByName(name).fetch("https://object/", { method: "POST", body: JSON.stringify(message) });
  return answer.json();
};

app.post("/v1/:owner/:model/predictions", async (context) => {
  const body = await context.req.json();
  const { LEDGER, DISPATCHER } = context.env;
  const user = context.get("user");
  const jobId = `pred_${crypto.randomUUID()}`;
  const created = await ask(LEDGER, user, { create: { user, jobId, input: body.input, model: `${context.req.param("owner")}/${context.req.param("model")}` } });
  if (created.refused) return context.json(created, 402);
  const news = await ask(DISPATCHER, "main", { outcome: { jobId } });
  return context.json({ ...created, ...news }, 201);
});

export default app;

class Base {
  constructor(state, env) {
    this.state = state;
    this.env = env;
    this.sql = state.storage.sql;
  }
  async fetch(request) {
    const [[name, value]] = Object.entries(await request.json());
    return Response.json((await this[name](value)) ?? {});
  }
  transaction(work) {
    this.state.storage.transactionSync(work);
  }
}

const today = () => Math.floor(Date.now() / 86_400_000);

export class Ledger extends Base {
  constructor(state, env) {
    super(state, env);
    this.sql.exec("CREATE TABLE IF NOT EXISTS predictions (job_id TEXT PRIMARY KEY, status TEXT NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID");
    this.sql.exec("CREATE TABLE IF NOT EXISTS days (day INTEGER PRIMARY KEY, spent INTEGER NOT NULL, reserved INTEGER NOT NULL)");
    this.sql.exec("CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID");
  }
  day() {
    return this.sql.exec("SELECT spent, reserved FROM days WHERE day = ?", today()).toArray()[0] ?? { spent: 0, reserved: 0 };
  }
  write(prediction) {
    this.sql.exec("INSERT OR REPLACE INTO predictions VALUES (?, ?, ?)", prediction.job_id, prediction.status, JSON.stringify(prediction));
  }
  async create({ user, jobId, input, model }) {
    const { spent, reserved } = this.day();
    if (spent + reserved + 1 > 1e9) return { refused: true };
    const prediction = { job_id: jobId, status: "queued", model, created_at: new Date().toISOString(), output: [] };
    this.transaction(() => {
      this.write(prediction);
      this.sql.exec("INSERT OR REPLACE INTO days VALUES (?, ?, ?)", today(), spent, reserved + 1);
      this.sql.exec("INSERT OR REPLACE INTO marks VALUES ('minute', ?)", JSON.stringify({ creates: [[Date.now(), 1]] }));
    });
    if (this.armed === undefined) this.state.storage.setAlarm((this.armed = Date.now() + 1_800_000));
    const { stage } = await ask(this.env.DISPATCHER, "main", { enqueue: { user, jobId, input, model } });
    const accepted = { ...prediction, status: stage };
    this.write(accepted);
    return accepted;
  }
  stored(jobId) {
    return JSON.parse(this.sql.exec("SELECT doc FROM predictions WHERE job_id = ?", jobId).toArray()[0].doc);
  }
  news({ jobId, status, output, completed_at }) {
    const prediction = this.stored(jobId);
    const { spent, reserved } = this.day();
    this.transaction(() => {
      this.write({ ...prediction, status, output, completed_at });
      this.sql.exec("INSERT OR REPLACE INTO days VALUES (?, ?, ?)", today(), spent + 1, reserved - 1);
    });
  }
  alarm() {}
}

export class Dispatcher extends Base {
  sent = [];
  spent = 0;
  reserved = 0;
  waiters = new Map();
  constructor(state, env) {
    super(state, env);
    for (const table of ["jobs", "outbox", "tombstones", "state"]) {
      this.sql.exec(`CREATE TABLE IF NOT EXISTS ${table} (name TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID`);
    }
  }
  put(table, name, doc) {
    this.sql.exec(`INSERT OR REPLACE INTO ${table} VALUES (?, ?)`, name, JSON.stringify(doc));
  }
  drop(table, name) {
    this.sql.exec(`DELETE FROM ${table} WHERE name = ?`, name);
  }
  async enqueue(job) {
    if (this.sql.exec("SELECT name FROM tombstones WHERE name = ?", job.jobId).toArray().length > 0) return { stage: "refused" };
    this.sent = [...this.sent.filter((at) => Date.now() - at < 61_000).slice(-999), Date.now()];
    const { input, ...terms } = job;
    this.reserved += 1;
    this.transaction(() => {
      this.put("jobs", job.jobId, { ...terms, stage: "submitting" });
      this.put("state", "window", { sent: this.sent });
      this.put("state", "spending:", { spent: this.spent, reserved: this.reserved });
    });
    const ended = this.submit(job);
    this.waiters.set(job.jobId, ended);
    this.state.waitUntil(ended);
    return { stage: "processing" };
  }
  async submit({ user, jobId, input, model }) {
    const answer = await fetch(`${this.env.UPSTREAM_URL}/${model}/predictions`, {
      method: "POST",
      headers: { Authorization: `Bearer ${this.env.DEEPCREATIVE_API_KEY}`, "Content-Type": "application/json" },
      body: JSON.stringify({ input }),
    });
    const { status, output } = await answer.json();
    const news = { jobId, status, output, completed_at: new Date().toISOString() };
    this.reserved -= 1;
    this.spent += 1;
    this.transaction(() => {
      this.drop("jobs", jobId);
      this.put("outbox", jobId, news);
      this.put("tombstones", jobId, Date.now() + 90_000_000);
      this.put("state", "spending:", { spent: this.spent, reserved: this.reserved });
    });
    this.state.storage.setAlarm(Date.now() + 10_000);
    // The Ledger acknowledges the end before the create is answered, so that no later read goes back.
    await ask(this.env.LEDGER, user, { news });
    this.drop("outbox", jobId);
    return { status, output, completed_at: news.completed_at };
  }
  async outcome({ jobId }) {
    const news = await this.waiters.get(jobId);
    this.waiters.delete(jobId);
    return news;
  }
  alarm() {}
}
