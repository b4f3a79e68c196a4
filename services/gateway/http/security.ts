/** The headers that tell browsers what pages and answers of this server may not do. Made once: they are the same for every request. */
import type { IncomingMessage, ServerResponse } from "node:http";
import helmet from "helmet";

const headers = new Map<string, string>();

const protect = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      "default-src": ["'self'"],
      "script-src": ["'self'"],
      "style-src": ["'self'"],
      "img-src": ["'self'", "data:", "blob:"],
      // Media Source Extensions hand the player a blob: address.
      "media-src": ["'self'", "blob:"],
      "connect-src": ["'self'"],
      "worker-src": ["'self'", "blob:"],
      "object-src": ["'none'"],
      "base-uri": ["'none'"],
      "form-action": ["'self'"],
      "frame-ancestors": ["'self'"],
    },
  },
  referrerPolicy: { policy: "no-referrer" },
  // Whoever puts TLS in front says for how long; a promise made here over plain HTTP would be ignored or wrong.
  strictTransportSecurity: false,
});
protect(
  {} as IncomingMessage,
  { setHeader: (name: string, value: string) => headers.set(name, value), removeHeader() {} } as unknown as ServerResponse,
  () => {},
);

export const securityHeaders: readonly (readonly [string, string])[] = [...headers];
