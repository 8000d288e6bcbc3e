import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// `valetkey` is a link to a folder that may have a React of its own nearby, and two Reacts do not work in one page.
export default defineConfig({ plugins: [react()], resolve: { dedupe: ["react", "react-dom"] } });
