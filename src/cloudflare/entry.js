// The module that Cloudflare loads: the compiled core, wired to what the platform calls (worker.js).
import module from "./core.wasm";
import * as core from "valetkey-core"; // made by wasm-bindgen; scripts/build.sh says where it is
import { createWorker } from "./worker.js";

const worker = createWorker(core, module);

export const Ledger = worker.Ledger;
export const Dispatcher = worker.Dispatcher;
export default worker.handlers;
