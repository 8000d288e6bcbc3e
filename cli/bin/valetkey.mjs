#!/usr/bin/env node
import { start } from "./start.mjs";

start(process.argv.slice(2));
