// After worker-build: a leaner shim around the wasm module, and no names in it (docs/decisions/0009-lean-shim.md).
//
// worker-build wraps the entry point and every exported class in Proxies that cost several microseconds a request, and
// hands objects a Request where a text is enough. This rewrites the end of the bundle, keeps the recovery after a panic
// (a new instance for the next request), and fails the build where the bundle is not what it was written for:
// worker-build's version is pinned.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const build = join(resolve(import.meta.dirname, ".."), "build");
const NAME = "([\\w$]+)";

function find(source, what, pattern) {
  const found = new RegExp(pattern).exec(source);
  if (found === null) throw new Error(`worker-build's bundle has changed: no ${what}`);
  return found.slice(1);
}

function rewrite(source) {
  const [, fetch] = find(source, "fetch", `${NAME}\\.prototype\\.fetch=function\\(\\w\\)\\{return ${NAME}\\.call\\(this,`);
  const [, scheduled] = find(source, "scheduled", `${NAME}\\.prototype\\.scheduled=function\\(\\w\\)\\{return ${NAME}\\.call\\(this,`);
  const [state, , check] = find(source, "state", `var ${NAME}=${NAME}\\(\\);function ${NAME}\\(\\)\\{\\1\\.criticalError&&`);
  const [critical] = find(source, "critical", `function ${NAME}\\(\\w\\)\\{\\w instanceof WebAssembly\\.RuntimeError`);
  const object = (name) => {
    const [proxy] = find(source, name, `${NAME} as ${name}[,}]`);
    const [raw] = find(source, `class ${name}`, `[,\\s]${proxy.replaceAll("$", "\\$")}=new Proxy\\(${NAME},`);
    return raw;
  };
  const [dispatcher, ledger] = [object("Dispatcher"), object("Ledger")];
  const end = source.lastIndexOf("export{");
  return `${source.slice(0, end)}
const __guard = async (work) => {
  try {
    return await work();
  } catch (error) {
    ${critical}(error);
    throw error;
  }
};
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
  async fetch(request) {
    const message = request.method === "GET" ? decodeURIComponent(request.url.slice("https://object/?".length)) : await request.text();
    return new Response(await __guard(() => this.#live().handle(message)));
  }
  alarm() {
    return __guard(() => this.#live().alarm());
  }
};
export const Dispatcher = __object(${dispatcher});
export const Ledger = __object(${ledger});
export default {
  fetch(request, env, context) {
    ${check}();
    return __guard(() => ${fetch}(request, env, context));
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

// The names of functions are a tenth of the deployed size, and wasm-bindgen needs them before this point. KEEP_NAMES=1
// leaves them in for a profile.
const wasm = join(build, "index_bg.wasm");
const names = process.env.KEEP_NAMES === "1" ? [] : ["--strip-debug", "--strip-producers"];
execFileSync(process.env.WASM_OPT_BIN ?? "wasm-opt", ["-Os", "--all-features", ...names, wasm, "-o", wasm], { stdio: "inherit" });
