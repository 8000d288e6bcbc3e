// After worker-build: a leaner shim around the wasm module, and no names in it (docs/decisions/0009-lean-shim.md).
//
// worker-build wraps the entry point and every exported class in Proxies that cost several microseconds a request, and
// hands objects a Request where a text is enough. This rewrites the end of the bundle, keeps the recovery after a panic
// (a new instance for the next request), and fails the build where the bundle is not what it was written for:
// worker-build's version is pinned.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { lastResort } from "./last-resort.mjs";

const build = join(resolve(import.meta.dirname, ".."), "build");
// A short reply of an object travels in a header: src/edge/platform.js reads it.
const IN_HEADER_MAX = 4_000;
const NAME = "([\\w$]+)";

function find(source, what, pattern) {
  const found = new RegExp(pattern).exec(source);
  if (found === null) throw new Error(`worker-build's bundle has changed: no ${what}`);
  return found.slice(1);
}

function rewrite(source) {
  const [, scheduled] = find(source, "scheduled", `${NAME}\\.prototype\\.scheduled=function\\(\\w\\)\\{return ${NAME}\\.call\\(this,`);
  const [state, , check] = find(source, "state", `var ${NAME}=${NAME}\\(\\);function ${NAME}\\(\\)\\{\\1\\.criticalError&&`);
  const [critical] = find(source, "critical", `function ${NAME}\\(\\w\\)\\{\\w instanceof WebAssembly\\.RuntimeError`);
  const object = (name) => {
    const [proxy] = find(source, name, `${NAME} as ${name}[,}]`);
    const [raw] = find(source, `class ${name}`, `[,\\s]${proxy.replaceAll("$", "\\$")}=new Proxy\\(${NAME},`);
    return raw;
  };
  const [dispatcher, ledger, exchange] = [object("Dispatcher"), object("Ledger"), object("DrivenRequest")];
  const [callObject] = find(source, "callObject", `callObject:\\(\\)=>${NAME}[,}]`);
  const end = source.lastIndexOf("export{");
  return `${source.slice(0, end)}
${lastResort}
const __guard = async (work) => {
  try {
    return await work();
  } catch (error) {
    ${critical}(error);
    throw error;
  }
};
const __calls = (step) => __guard(async () => {
  const instance = ${state}.instanceId;
  while (Array.isArray(step)) {
    const [namespace, name, message, timeout, exchange] = step;
    const reply = await ${callObject}(namespace, name, message, timeout).catch(() => undefined);
    // A panic in another request: this one was in the instance that is gone.
    if (instance !== ${state}.instanceId) throw new Error("the instance was replaced");
    step = exchange.resume(reply);
  }
  return step;
});
const __reply = (text) =>
  text.length <= ${IN_HEADER_MAX} && /^[\\x20-\\x7e]*$/.test(text) ? new Response(null, { headers: { reply: text } }) : new Response(text);
const __object = (Raw) => class {
  #state;
  #env;
  #raw;
  #instance;
  constructor(state, env) {
    this.#state = state;
    this.#env = env;
  }
  // A panic drops the instance of the module, and every object in it: what is stored stays, and a new one loads it.
  #live() {
    ${check}();
    if (this.#raw === undefined || this.#instance !== ${state}.instanceId) {
      this.#raw = new Raw(this.#state, this.#env);
      this.#instance = ${state}.instanceId;
    }
    return this.#raw;
  }
  fetch(request) {
    if (request.method === "GET") return this.#handle(decodeURIComponent(request.url.slice("https://object/?".length)));
    return request.text().then((message) => this.#handle(message));
  }
  // What needs no await is answered in the same turn.
  #handle(message) {
    let reply;
    try {
      reply = this.#live().handle(message);
    } catch (error) {
      ${critical}(error);
      throw error;
    }
    return typeof reply === "string" ? __reply(reply) : __guard(() => reply).then(__reply);
  }
  alarm() {
    return __guard(() => this.#live().alarm());
  }
};
export const Dispatcher = __object(${dispatcher});
export const Ledger = __object(${ledger});
export default {
  // A Response, a promise of one, or a call of an object to make first (src/edge/exchange.rs).
  fetch(request, env, context) {
    try {
      ${check}();
      const step = ${exchange}.begin(request, env, context);
      if (Array.isArray(step)) return __calls(step).catch(lastResort);
      return step instanceof Promise ? __guard(() => step).catch(lastResort) : step;
    } catch (error) {
      ${critical}(error);
      return lastResort();
    }
  },
  scheduled(event, env, context) {
    ${check}();
    return __guard(() => ${scheduled}(event, env, context));
  },
};
`;
}

const bundle = join(build, "index.js");
writeFileSync(bundle, rewrite(readFileSync(bundle, "utf8")));

const wasm = join(build, "index_bg.wasm");

// The names of functions are a tenth of the deployed size, and wasm-bindgen needs them before this point. KEEP_NAMES=1
// leaves them in for a profile. Below address 1,024 is the end of the stack, which grows down to 0: no object lies there.
const names = process.env.KEEP_NAMES === "1" ? ["--debuginfo"] : ["--strip-debug", "--strip-producers", "--strip-target-features"];
const options = ["--all-features", "--low-memory-unused", ...names, "-Os", "--gufa", "-Os"];
execFileSync(process.env.WASM_OPT_BIN ?? "wasm-opt", [...options, wasm, "-o", wasm], { stdio: "inherit" });
