/** A gateway with a certificate: HTTP/2 for who can, and what its streams leave behind when their reader leaves early. */
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect as connectHttp2, constants, type ClientHttp2Session } from "node:http2";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { promisify } from "node:util";
import { keep, keepPlayable, videoOf } from "../support/catalogue.ts";
import { eventually } from "../support/eventually.ts";
import { describeWith, needs } from "../support/neighbours.ts";
import { startWithPeople, type GatewayWithPeople } from "../support/people.ts";

const id = "0189abcd-0000-7000-8000-0000000000b2";
const API = "/api/v1";
/** Of one address: services/gateway/live/hub.ts. */
const PLACES = 50;
/** A sixteenth of what may be in flight: services/gateway/http/reply.ts. */
const BODY_BYTES = 16 * 1024 * 1024;
const READERS = 16;
/** At the same time, with the settings as they are by default. */
const UPLOADS = 16;

interface Http2Answer {
  readonly headers: Record<string, unknown>;
  readonly body: string;
}
async function overHttp2(session: ClientHttp2Session, headers: Record<string, string>, body?: string): Promise<Http2Answer> {
  const stream = session.request({ ":path": "/", ...headers });
  let answered: Record<string, unknown> = {};
  stream.on("response", (received) => (answered = received));
  stream.end(body);
  const parts: Buffer[] = [];
  for await (const part of stream as AsyncIterable<Buffer>) parts.push(part);
  return { headers: answered, body: Buffer.concat(parts).toString() };
}

describeWith("openssl", "with a certificate", () => {
  const folder = mkdtempSync(join(tmpdir(), "tritontube-tls-"));
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  let gateway: GatewayWithPeople;
  beforeAll(async () => {
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    execFileSync(
      needs("openssl"),
      [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-keyout",
        key,
        "-out",
        cert,
        ...subject,
      ],
      { stdio: "ignore" },
    );
    gateway = await startWithPeople({
      TLS_CERT_FILE: cert,
      TLS_KEY_FILE: key,
      RATE_LIMITS: "false",
      TRUSTED_PROXIES: "",
      CORS_ORIGINS: "",
    });
    keepPlayable(gateway.catalogue, id);
  });
  afterAll(async () => {
    await gateway.stop();
    rmSync(folder, { recursive: true });
  });

  it("speaks HTTP/2: reading, ranges, uploads, refusals, several at once", async () => {
    const ann = await gateway.person("uploader");
    const session = connectHttp2(gateway.url, { ca: readFileSync(cert) });
    const segment = { ":path": `${API}/videos/${id}/streams/1/720p/1.m4s` };
    const [list, part, head, refusal, upload] = await Promise.all([
      overHttp2(session, { ":path": `${API}/videos` }),
      overHttp2(session, { ...segment, range: "bytes=0-9" }),
      overHttp2(session, { ...segment, ":method": "HEAD" }),
      overHttp2(session, { ":path": `${API}/nothing` }),
      overHttp2(
        session,
        {
          ":path": `${API}/videos/upload`,
          ":method": "POST",
          "content-type": "video/mp4",
          authorization: ann.headers["Authorization"] ?? "",
        },
        "video",
      ),
    ]);
    expect([list, part, head, refusal, upload].map(({ headers }) => headers[":status"])).toEqual([200, 206, 200, 404, 202]);
    expect(part.body).toHaveLength(10);
    expect(head.headers["content-length"]).toBe("1000");
    const lines = await eventually(() => {
      const found = gateway.log.filter(({ fields }) => fields["route"] === `${API}/videos/upload`);
      return found.length > 0 ? found : undefined;
    });
    expect(lines[0]?.fields).toMatchObject({ status: 202, user: ann.user.id, client: "127.0.0.1", aborted: false });
    session.close();
  });

  it("speaks HTTP/1.1 to who does, also when he calls it HTTP/2.0, with the headers of every answer, each once", async () => {
    const socket = connectTls({
      port: Number(new URL(gateway.url).port),
      host: "127.0.0.1",
      ca: readFileSync(cert),
      ALPNProtocols: ["http/1.1"],
    });
    socket.write("GET /nothing HTTP/2.0\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    const parts: Buffer[] = [];
    for await (const part of socket as AsyncIterable<Buffer>) parts.push(part);
    const answer = Buffer.concat(parts).toString();
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
    expect(answer.match(/^content-security-policy: /gim)).toHaveLength(1);
  });

  const isOver = (name: string): boolean =>
    gateway.log.some(({ fields, message }) => message === "request" && fields["requestId"] === name);

  /** Asks so often for something that waits for an action, and leaves before it is there. */
  async function leaveEarly(path: string, action: string, count: number): Promise<void> {
    const { catalogue } = gateway;
    const held = Promise.withResolvers<void>();
    catalogue.waits.set(action, held.promise);
    const asked = catalogue.calls.get(action) ?? 0;
    const names = Array.from({ length: count }, () => randomUUID());
    const session = connectHttp2(gateway.url, { ca: readFileSync(cert) });
    await once(session, "connect");
    const streams = names.map((name) => session.request({ ":path": path, "x-request-id": name }).on("error", () => {}));
    // Its answer comes when the server has seen all that was sent before it.
    await promisify(session.ping.bind(session))();
    await eventually(() => (catalogue.calls.get(action) ?? 0) > asked, { what: "somebody to wait" });
    for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
    await eventually(() => names.every(isOver), { what: "the end of all of them" });
    catalogue.waits.delete(action);
    held.resolve();
    session.close();
    await once(session, "close");
  }

  it("keeps no place for an upload that was cancelled, however it was, and makes no video of what came", async () => {
    const ann = await gateway.person("uploader");
    const headers = { authorization: ann.headers["Authorization"] ?? "", "content-type": "video/mp4" };
    const upload = { ...headers, ":path": `${API}/videos/upload`, ":method": "POST" };
    const session = connectHttp2(gateway.url, { ca: readFileSync(cert) });
    const names = Array.from({ length: UPLOADS }, () => randomUUID());
    const streams = names.map((name, n) => {
      const length = n % 2 === 0 ? { "content-length": "1000" } : {};
      return session.request({ ...upload, ...length, "x-request-id": name }).on("error", () => {});
    });
    for (const stream of streams) stream.write("a part of it");
    await eventually(async () => (await overHttp2(session, upload, "whole")).headers[":status"] === 503, {
      what: "all places to be taken",
    });
    const before = gateway.catalogue.videos.size;
    for (const [n, stream] of streams.entries()) {
      // Node's client ends the body before it closes: only its length tells that it is not whole. Who destroys a stream only cancels it.
      if (n % 4 === 0) stream.close(constants.NGHTTP2_CANCEL);
      else stream.destroy();
    }
    await eventually(() => names.every(isOver), { what: "the end of all of them" });
    await eventually(async () => (await overHttp2(session, upload, "whole")).headers[":status"] === 202, {
      what: "a place",
      timeoutMs: 20_000,
    });
    expect(gateway.catalogue.videos.size).toBe(before + 1);
    session.close();
  });

  async function statusOf(path: string): Promise<unknown> {
    const session = connectHttp2(gateway.url, { ca: readFileSync(cert) });
    const stream = session.request({ ":path": path });
    const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
    session.destroy();
    return headers[":status"];
  }

  it("keeps no place for who leaves before there is a first event", async () => {
    const video = randomUUID();
    gateway.catalogue.videos.set(video, videoOf({ id: video, status: "processing" }));
    const path = `${API}/videos/${video}/events`;
    await leaveEarly(path, "videos.status", PLACES);
    expect(await eventually(async () => (await statusOf(path)) === 200, { what: "a place" })).toBe(true);
  });

  it("takes no memory for a body whose reader left before it was looked for", async () => {
    const video = randomUUID();
    keepPlayable(gateway.catalogue, video, 1);
    const large = keep(gateway.catalogue, Buffer.alloc(BODY_BYTES));
    const rows = gateway.catalogue.segments.get(`${video}/1/720p`) ?? [];
    gateway.catalogue.segments.set(
      `${video}/1/720p`,
      rows.map((row) => ({ ...row, ...large })),
    );
    const path = `${API}/videos/${video}/streams/1/720p/1.m4s`;
    await leaveEarly(path, "videos.segments", READERS);
    expect(await eventually(async () => (await statusOf(path)) === 200, { what: "memory for one body" })).toBe(true);
  });

  it("speaks HTTP/1.1 to others, and gives a cookie that never leaves TLS", async () => {
    const root = await gateway.person("admin", "root");
    const answer = await new Promise<{ status: number; cookie: string }>((resolve, reject) => {
      const body = JSON.stringify({ name: root.user.name, password: "correct horse battery" });
      const sent = request(
        `${gateway.url}${API}/session`,
        { method: "POST", ca: readFileSync(cert), headers: { "Content-Type": "application/json" }, agent: false },
        (response) => {
          response.resume();
          resolve({ status: response.statusCode ?? 0, cookie: response.headers["set-cookie"]?.[0] ?? "" });
        },
      );
      sent.on("error", reject);
      sent.end(body);
    });
    expect(answer.status).toBe(201);
    expect(answer.cookie).toMatch(/^__Host-tritontube=session_.*; Secure$/);
  });

  it("stops although a connection of HTTP/2 is open", async () => {
    const session = connectHttp2(gateway.url, { ca: readFileSync(cert) });
    session.on("error", () => {});
    await overHttp2(session, { ":path": "/health/live" });
    await gateway.broker.stop();
    expect(await eventually(() => session.destroyed || session.closed)).toBe(true);
  });
});
