// Every error code that a client can report: those of docs/openapi.json, and the clients' own (`ClientErrorCode`).
// Programs that are no pages have no CORS, and lack `unreachable`.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");
const { ErrorCode, PredictionErrorCode } = JSON.parse(readFileSync(join(ROOT, "docs/openapi.json"), "utf8")).components.schemas;
const [own] = /^export type ClientErrorCode =[^]*?";$/m.exec(readFileSync(join(ROOT, "clients/web/src/errors.ts"), "utf8"));

export const CODES = [...new Set([...ErrorCode.enum, ...PredictionErrorCode.enum, ...[...own.matchAll(/^ {2}\| "(\w+)"/gm)].map(([, code]) => code)])].sort();
export const CODES_OF_APPS = CODES.filter((code) => code !== "unreachable");
