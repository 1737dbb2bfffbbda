import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const server = process.env.PARLOR_SERVER ?? "http://localhost:3003";

export default defineConfig({
  plugins: [react(), tailwindcss()],
  // Nothing is inlined: the page's policy allows files of its own origin, no data: scripts or fonts.
  build: { target: "es2022", assetsInlineLimit: 0, sourcemap: false },
  server: {
    proxy: {
      "/api": server,
      "/ws": { target: server, ws: true },
    },
  },
});
