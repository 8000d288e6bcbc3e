import type { NextConfig } from "next";

// Without `root` the bundler takes the folder of the outermost lock file, which is this repository's.
const config: NextConfig = { turbopack: { root: import.meta.dirname } };

export default config;
