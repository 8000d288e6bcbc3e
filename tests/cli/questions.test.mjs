// The questions of `create`, answered at a terminal by tests/cli/terminal.py.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parse } from "jsonc-parser";
import { hasTerminal, unpack, VENDOR_KEY } from "./machine.mjs";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "valetkey-questions-")));
after(() => rmSync(folder, { recursive: true, force: true }));
const tool = unpack(join(folder, "tool"));

const skip = hasTerminal() ? false : "no python3, whose module pty makes a terminal";
const ENTER = "\r";
const DOWN = "\u001b[B";
const CTRL_C = "\u0003";

/** Runs `create` at a terminal. Resolves with its exit code and what the terminal showed. */
function create(steps, flags = []) {
  const args = [join(import.meta.dirname, "terminal.py"), JSON.stringify(steps), process.execPath, join(tool, "bin/create-valetkey.mjs"), "--no-install", ...flags];
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, TERM: "xterm" };
  return new Promise((resolve) => {
    execFile("python3", args, { cwd: folder, env, encoding: "utf8" }, (error, stdout) => resolve({ code: error?.code ?? 0, shown: stdout }));
  });
}

const settingsOf = (name) => parse(readFileSync(join(folder, name, "valetkey.jsonc"), "utf8"));

test("each answer ends up in the folder, and the key is never shown", { skip }, async () => {
  const { code, shown } = await create([
    ["Which folder?", `asked${ENTER}`],
    ["The vendor's key", `${VENDOR_KEY}${ENTER}`],
    ["Who signs your users in?", ENTER],
    ["Origins of the pages", `https://a.example, https://b.example${ENTER}`],
  ]);
  assert.equal(code, 0, shown);
  assert.deepEqual(settingsOf("asked").ALLOWED_ORIGINS, ["https://a.example", "https://b.example"]);
  assert.equal(settingsOf("asked").ISSUERS[0].keys.secret, "APP_TOKEN_SECRET");
  assert.ok(readFileSync(join(folder, "asked/.dev.vars"), "utf8").includes(`DEEPCREATIVE_API_KEY='${VENDOR_KEY}'`));
  assert.ok(!shown.includes(VENDOR_KEY) && !shown.includes(VENDOR_KEY.slice(0, 12)), shown);
  assert.match(shown, /asked is ready\./);
});

test("Enter takes what is proposed, and the key may come later", { skip }, async () => {
  const { code, shown } = await create([
    ["Which folder?", ENTER],
    ["The vendor's key", ENTER],
    ["Who signs your users in?", ENTER],
    ["Origins of the pages", ENTER],
  ]);
  assert.equal(code, 0, shown);
  assert.deepEqual(settingsOf("my-gateway").ALLOWED_ORIGINS, []);
  assert.match(shown, /Put the vendor's key into \.dev\.vars/);
});

test("a provider is asked for what it needs, and a wrong answer is asked for again", { skip }, async () => {
  const { code, shown } = await create(
    [
      ["Who signs your users in?", `${DOWN}${ENTER}`],
      ["Auth0: The domain", `https://example-app.eu.auth0.com${ENTER}`],
      ["not of the form of example-app.eu.auth0.com", `${"\u007f".repeat(40)}example-app.eu.auth0.com${ENTER}`],
      ["The API's identifier", `https://pictures.example${ENTER}`],
      ["Origins of the pages", ENTER],
    ],
    ["provided", "--key-file", "/dev/null"],
  );
  assert.equal(code, 0, shown);
  assert.equal(settingsOf("provided").ISSUERS[0].issuer, "https://example-app.eu.auth0.com/");
});

test("a folder that is taken, or whose name no host may have, is asked for again", { skip }, async () => {
  mkdirSync(join(folder, "taken/x"), { recursive: true });
  const { code, shown } = await create(
    [
      ["Which folder?", `taken${ENTER}`],
      ["taken is not empty", `${"\u007f".repeat(5)}My_Gateway${ENTER}`],
      ["names the Worker", `${"\u007f".repeat(10)}free${ENTER}`],
      ["The vendor's key", ENTER],
    ],
    ["--sign-in", "backend", "--origin", "none"],
  );
  assert.equal(code, 0, shown);
  assert.ok(existsSync(join(folder, "free/valetkey.jsonc")));
});

test("guests are asked for the gateway's address and Turnstile's secret, which is never shown", { skip }, async () => {
  const { code, shown } = await create(
    [
      ["The vendor's key", ENTER],
      ["The gateway's address", `https://g.example.workers.dev${ENTER}`],
      ["Turnstile's secret key", `0x4AAAAAAAsecret${ENTER}`],
    ],
    ["visited", "--sign-in", "guests", "--origin", "none"],
  );
  assert.equal(code, 0, shown);
  assert.equal(settingsOf("visited").PUBLIC_URL, "https://g.example.workers.dev");
  assert.ok(readFileSync(join(folder, "visited/.dev.vars"), "utf8").includes("TURNSTILE_SECRET='0x4AAAAAAAsecret'"));
  assert.ok(!shown.includes("0x4AAAAAAAsecret"));
});

test("Ctrl+C creates nothing", { skip }, async () => {
  const { code, shown } = await create([["Which folder?", `stopped${ENTER}`], ["The vendor's key", CTRL_C]]);
  assert.equal(code, 1, shown);
  assert.match(shown, /Nothing was created\./);
  assert.ok(!existsSync(join(folder, "stopped")));
});

test("with every answer as a flag nothing is asked, also at a terminal", { skip }, async () => {
  const { code, shown } = await create([], ["flagged", "--key-file", "/dev/null", "--sign-in", "backend", "--origin", "none"]);
  assert.equal(code, 0, shown);
  assert.doesNotMatch(shown, /\?/);
});
