// A server for the pages of one example at a time. run.mjs adds its origin to ALLOWED_ORIGINS.
import { once } from "node:events";
import { cpSync, createReadStream, mkdirSync, rmSync, statSync, symlinkSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

export class Pages {
  #directory;
  #server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://page");
    const file = join(this.#directory, normalize(pathname === "/" ? "/index.html" : pathname));
    if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) {
      response.writeHead(404).end();
      return;
    }
    response.setHeader("content-type", TYPES[extname(file)] ?? "application/octet-stream");
    createReadStream(file).pipe(response);
  });

  static async start() {
    const pages = new Pages();
    pages.#server.listen(0, "127.0.0.1");
    await once(pages.#server, "listening");
    return pages;
  }

  get origin() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  serve(directory) {
    this.#directory = directory;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/**
 * Copies an example to dist/examples and returns the copy's path. The copy is as after `npm install`: `valetkey` links
 * to clients/web, and `packages` are copied. Other packages resolve to the repository's node_modules, further up.
 */
export function install(name, packages = []) {
  const copy = join(ROOT, "dist/examples", name);
  rmSync(copy, { recursive: true, force: true });
  cpSync(join(ROOT, "examples", name), copy, { recursive: true, filter: (path) => !path.includes("node_modules") });
  mkdirSync(join(copy, "node_modules"));
  symlinkSync(join(ROOT, "clients/web"), join(copy, "node_modules/valetkey"));
  for (const own of packages) cpSync(join(ROOT, "node_modules", own), join(copy, "node_modules", own), { recursive: true });
  return copy;
}
