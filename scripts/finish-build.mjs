// After worker-build: drops the names of functions from the wasm module. They are a tenth of the deployed size, and
// wasm-bindgen needs them before this point, so that Cargo's `strip` cannot do it.
import { execFileSync } from "node:child_process";
import { join, resolve } from "node:path";

const wasm = join(resolve(import.meta.dirname, ".."), "build/index_bg.wasm");
execFileSync(process.env.WASM_OPT_BIN ?? "wasm-opt", ["-Os", "--all-features", "--strip-debug", "--strip-producers", wasm, "-o", wasm], {
  stdio: "inherit",
});
