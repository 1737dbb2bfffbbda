import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Api } from "../src/api.js";
import { Emitter } from "../src/emitter.js";
import { ParlorError } from "../src/errors.js";
import type { SocketEvents } from "../src/socket.js";
import { Upload } from "../src/upload.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

class Line extends Emitter<SocketEvents> {
  say(frame: object): void {
    this.emit("frame", frame as SocketEvents["frame"]);
  }
}

const attachment = (state: string) => ({ fileId: "f", kind: "file", name: "a.bin", state, fault: null });

/** A server that takes parts; `breaks` says how much of the next part arrives before the line breaks. */
function serverOf() {
  const server = {
    received: 0,
    requests: [] as string[],
    breaks: [] as number[],
    refuses: null as ParlorError | null,
    /** Refusals of the next parts. */
    parts: [] as ParlorError[],
    state: "scanning",
    gone: false,
  };
  const raw = async (method: string, path: string, { body }: { body?: Blob } = {}) => {
    server.requests.push(`${method} ${path}`);
    if (server.refuses) throw server.refuses;
    if (method === "POST") return new Response(JSON.stringify(attachment("uploading")), { status: 201 });
    const refused = server.parts.shift();
    if (refused) throw refused;
    const broken = server.breaks.shift();
    server.received += broken ?? body?.size ?? 0;
    if (broken !== undefined) throw new TypeError("network");
    return new Response(null, { status: 204, headers: { "upload-offset": String(server.received) } });
  };
  const request = async (method: string, path: string) => {
    server.requests.push(`${method} ${path}`);
    if (server.gone) throw new ParlorError("not_found", "Nothing here.");
    return { ...attachment(server.state), receivedBytes: server.received };
  };
  return { server, api: { raw, request } as unknown as Api };
}

const MIB = 1024 * 1024;
const file = (bytes: number) => new File([new Uint8Array(bytes)], "a.bin");

test("a file goes in parts, is checked, and is ready when the server says so", async () => {
  const { server, api } = serverOf();
  const line = new Line();
  const upload = new Upload(file(2 * MIB + 5), api, line);
  const seen: number[] = [];
  upload.on("change", ({ sentBytes }) => seen.push(sentBytes));
  upload.start();
  await vi.waitFor(() => expect(upload.snapshot.state).toBe("checking"));
  expect(server.requests.filter((it) => it.startsWith("PATCH"))).toHaveLength(3);
  expect(seen).toContain(MIB);
  line.say({ type: "file.checked", data: { ...attachment("clean"), fileId: "another" } });
  expect(upload.snapshot.state).toBe("checking");
  line.say({ type: "file.checked", data: attachment("clean") });
  expect(upload.snapshot).toMatchObject({ state: "ready", sentBytes: 2 * MIB + 5 });
});

test("after a lost network it goes on where the server stands", async () => {
  const { server, api } = serverOf();
  server.breaks = [1000, 0];
  const upload = new Upload(file(MIB), api, new Line());
  upload.start();
  for (let wait = 0; wait < 20 && upload.snapshot.state === "sending"; wait++)
    await vi.advanceTimersByTimeAsync(1_000);
  expect(upload.snapshot.state).toBe("checking");
  expect(server.received).toBe(MIB);
  server.state = "infected";
  await vi.advanceTimersByTimeAsync(6_000);
  expect(upload.snapshot).toMatchObject({ state: "failed", file: { state: "infected" } });
});

test("a refusal is told at once, and may be tried again; what is given up is deleted", async () => {
  const { server, api } = serverOf();
  server.refuses = new ParlorError("quota_full", "Too much.");
  const upload = new Upload(file(10), api, new Line());
  upload.start();
  await vi.waitFor(() => expect(upload.snapshot.state).toBe("failed"));
  expect(upload.snapshot.error?.code).toBe("quota_full");
  server.refuses = null;
  upload.start();
  await vi.waitFor(() => expect(upload.snapshot.state).toBe("checking"));
  upload.cancel();
  expect(server.requests.at(-1)).toBe("DELETE /uploads/f");
  expect(upload.snapshot.state).toBe("cancelled");
});

test("parts that come too fast wait as long as they are told, however often", async () => {
  const { server, api } = serverOf();
  server.parts = Array.from({ length: 20 }, () => new ParlorError("rate_limited", "Wait.", 700));
  const upload = new Upload(file(MIB), api, new Line());
  upload.start();
  await vi.advanceTimersByTimeAsync(19 * 700);
  expect(upload.snapshot).toMatchObject({ state: "sending", sentBytes: 0 });
  await vi.advanceTimersByTimeAsync(700);
  expect(upload.snapshot.state).toBe("checking");
});

test("what the server has forgotten goes again as a whole", async () => {
  const { server, api } = serverOf();
  server.parts = [new ParlorError("not_found", "Nothing here.")];
  const upload = new Upload(file(MIB), api, new Line());
  upload.start();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(upload.snapshot).toMatchObject({ state: "checking", sentBytes: MIB });
  expect(server.requests.filter((it) => it === "POST /uploads")).toHaveLength(2);
});

test("a file that is gone while it is checked has failed, and may be tried again", async () => {
  const { server, api } = serverOf();
  const upload = new Upload(file(10), api, new Line());
  upload.start();
  await vi.waitFor(() => expect(upload.snapshot.state).toBe("checking"));
  server.gone = true;
  await vi.advanceTimersByTimeAsync(6_000);
  expect(upload.snapshot).toMatchObject({ state: "failed", file: null, error: { code: "not_found" } });
});
