import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// npm links `valetkey` to a folder outside of this project, where Vite could find a second copy of React. Hooks fail if
// a page has two copies, so `dedupe` makes all imports use this project's copy.
export default defineConfig({ plugins: [react()], resolve: { dedupe: ["react", "react-dom"] } });
