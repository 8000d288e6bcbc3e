// examples/fastapi: a backend in FastAPI that signs tokens.
import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { findChromium } from "../../support/browser.mjs";
import { Service } from "../../support/processes.mjs";
import { findPython, run } from "../../support/program.mjs";
import { backendEnvironment, installPage, signedInJourneys } from "../signed_in.mjs";

const ROOT = resolve(import.meta.dirname, "../../..");
const COPY = join(ROOT, "dist/examples/fastapi");
const python = findPython("jwt, fastapi, uvicorn");

export function missing() {
  if (python === undefined) return "no python3 with the packages of tests/requirements.txt";
  return findChromium() === undefined ? "no Chromium (set CHROMIUM_BIN or install Debian's chromium)" : undefined;
}

const UVICORN = ["-m", "uvicorn", "main:app", "--port", "0"];
let started;

function open({ stack, services }) {
  started ??= (async () => {
    installPage();
    rmSync(COPY, { recursive: true, force: true });
    cpSync(join(ROOT, "examples/fastapi"), COPY, { recursive: true, filter: (path) => !/\.venv|__pycache__/.test(path) });
    const service = new Service("fastapi", python, UVICORN, backendEnvironment(stack), COPY);
    services.push(service);
    return (await service.line(/running on (http:\S+)/))[1];
  })();
  return started;
}

export default [
  ...signedInJourneys("fastapi", open),
  [
    "fastapi: without a secret, or with a weak one, it does not start and says why",
    async (world) => {
      await open(world);
      for (const APP_TOKEN_SECRET of ["", "too short"]) {
        const { code, stderr } = await run(python, UVICORN, { cwd: COPY, env: { ...backendEnvironment(world.stack), APP_TOKEN_SECRET } });
        assert.notEqual(code, 0);
        assert.match(stderr, /Set APP_TOKEN_SECRET to at least 32 bytes/);
      }
    },
  ],
];
