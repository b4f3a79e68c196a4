import { join } from "node:path";
import { defineConfig } from "vite";

export default defineConfig({
  build: {
    // The page, and the API's documentation.
    rollupOptions: { input: [join(import.meta.dirname, "index.html"), join(import.meta.dirname, "docs.html")] },
    // Everything is a file of its own under /assets: the page's content security policy allows no inline script, and the gateway serves nothing else.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // shaka-player alone is 500 kB (170 kB compressed), and only the watch page loads it.
    chunkSizeWarningLimit: 600,
    // The licences of what is bundled have to travel with it.
    license: { fileName: "licenses.txt" },
  },
  // The gateway answers a page only under its own name.
  server: { proxy: { "/api": { target: "http://127.0.0.1:3000", changeOrigin: true, headers: { origin: "http://127.0.0.1:3000" } } } },
});
