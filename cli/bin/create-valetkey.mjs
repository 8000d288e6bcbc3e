#!/usr/bin/env node
import { start } from "./start.mjs";

start(["create", ...process.argv.slice(2)]);
