import type { Api } from "./api.js";
import { backoffMs } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { ParlorError } from "./errors.js";
import type { Attachment } from "./proto.js";
import type { Socket } from "./socket.js";

/** How far a file has come that goes to the server. `sending` may rest for a lost network, and goes on by itself. */
export type UploadState = "sending" | "checking" | "ready" | "failed" | "cancelled";

export interface UploadSnapshot {
  state: UploadState;
  /** Bytes that the server has. */
  sentBytes: number;
  sizeBytes: number;
  /** The server's word of the file, once there is one. */
  file: Attachment | null;
  /** Why it failed. Bad pictures and infected files fail too: `file.state` and `file.fault` say how. */
  error: ParlorError | null;
}

export interface UploadEvents {
  change: UploadSnapshot;
}

/** Bytes of one request: a loss costs no more than this, and progress is told as often. */
const PART_BYTES = 1024 * 1024;
/** Tries in a row that bring nothing, before somebody has to ask again. */
const TRIES = 8;
/** The socket tells what became of a file; in case it was away just then, the server is asked this often. */
const LOOK_EVERY_MS = 5_000;
const TUS = "1.0.0";
/** Codes that say nothing about the file: the same may do a moment later. Nothing said at all is the network's. */
const PASSING: readonly (string | null)[] = ["internal", "unavailable", "conflict", null];

/** One file on its way to the server, in parts (tus 1.0): it goes on after a lost network where it stood. */
export class Upload extends Emitter<UploadEvents> {
  readonly file: File;
  readonly #api: Api;
  readonly #off: () => void;
  #snapshot: UploadSnapshot;
  #running = false;
  #abort = new AbortController();
  #looker: ReturnType<typeof setTimeout> | undefined;

  constructor(file: File, api: Api, socket: Pick<Socket, "on">) {
    super();
    this.file = file;
    this.#api = api;
    this.#snapshot = { state: "sending", sentBytes: 0, sizeBytes: file.size, file: null, error: null };
    this.#off = socket.on("frame", (frame) => {
      if (frame.type === "file.checked" && frame.data.fileId === this.#snapshot.file?.fileId)
        this.#checked(frame.data);
    });
  }

  get snapshot(): UploadSnapshot {
    return this.#snapshot;
  }

  /** Sends what the server does not have yet; also after it failed. */
  start(): void {
    if (this.#running || ["checking", "ready", "cancelled"].includes(this.#snapshot.state)) return;
    this.#running = true;
    this.#become({ state: "sending", error: null });
    void this.#send().finally(() => {
      this.#running = false;
    });
  }

  /** Gives it up; the server forgets what it has, unless a message has taken it. */
  cancel(): void {
    if (this.#snapshot.state === "cancelled") return;
    const { file } = this.#snapshot;
    this.#abort.abort();
    this.#become({ state: "cancelled" });
    this.close();
    if (file) void this.#api.request("DELETE", `/uploads/${file.fileId}`).catch(() => undefined);
  }

  /** Listens no more; the file stays where it is. */
  close(): void {
    clearTimeout(this.#looker);
    this.#off();
  }

  async #send(): Promise<void> {
    for (let tries = 0; ; ) {
      const before = this.#snapshot.sentBytes;
      try {
        await this.#parts();
        return;
      } catch (error) {
        if (this.#snapshot.state === "cancelled") return;
        if (this.#snapshot.sentBytes > before) tries = 0;
        const begun = this.#snapshot.file !== null;
        if (begun && codeOf(error) === "rate_limited") {
          // Each part counts: the rest goes when the server has time for it.
          await wait((error as ParlorError).retryAfterMs ?? 1_000);
          if (this.#isCancelled()) return;
          continue;
        }
        // The server has forgotten what it had: all of it goes again.
        const isGone = begun && codeOf(error) === "not_found";
        if (isGone) this.#become({ file: null, sentBytes: 0 });
        if (!(isGone || PASSING.includes(codeOf(error))) || ++tries >= TRIES) {
          const told =
            error instanceof ParlorError
              ? error
              : new ParlorError("unreachable", "The server cannot be reached.");
          return this.#become({ state: "failed", error: told });
        }
        await wait(backoffMs(tries));
        if (this.#isCancelled()) return;
        await this.#ask().catch(() => undefined);
      }
    }
  }

  async #parts(): Promise<void> {
    const { signal } = this.#abort;
    if (!this.#snapshot.file) {
      const headers = {
        "tus-resumable": TUS,
        "upload-length": String(this.file.size),
        "upload-metadata": `filename ${base64(this.file.name)},filetype ${base64(this.file.type || "application/octet-stream")}`,
      };
      const response = await this.#api.raw("POST", "/uploads", { headers, signal });
      this.#become({ file: (await response.json()) as Attachment });
    }
    const path = `/uploads/${this.#snapshot.file?.fileId}`;
    while (this.#snapshot.sentBytes < this.file.size) {
      const offset = this.#snapshot.sentBytes;
      const headers = {
        "tus-resumable": TUS,
        "upload-offset": String(offset),
        "content-type": "application/offset+octet-stream",
      };
      const body = this.file.slice(offset, offset + PART_BYTES);
      const response = await this.#api.raw("PATCH", path, { headers, body, signal });
      this.#become({ sentBytes: Number(response.headers.get("upload-offset") ?? offset + body.size) });
    }
    if (this.#snapshot.state === "sending") this.#become({ state: "checking" });
    this.#look(0);
  }

  /** Where the upload stands, as the server has it. */
  async #ask(): Promise<void> {
    const { file } = this.#snapshot;
    if (!file) return;
    const told = await this.#api.request<Attachment & { receivedBytes: number }>(
      "GET",
      `/uploads/${file.fileId}`,
    );
    this.#become({ sentBytes: told.receivedBytes });
  }

  #look(afterMs: number): void {
    this.#looker = setTimeout(async () => {
      const { file, state } = this.#snapshot;
      if (!file || state !== "checking") return;
      const told = await this.#api
        .request<Attachment>("GET", `/uploads/${file.fileId}`)
        .catch((error: unknown) => this.#lost(error));
      if (told && this.#snapshot.state === "checking") this.#checked(told);
      if (this.#snapshot.state === "checking") this.#look(LOOK_EVERY_MS);
    }, afterMs);
  }

  /** Without the file there is nothing to wait for; tried again, all of it goes. */
  #lost(error: unknown): null {
    if (codeOf(error) === "not_found" && this.#snapshot.state === "checking")
      this.#become({ state: "failed", file: null, sentBytes: 0, error: error as ParlorError });
    return null;
  }

  #checked(file: Attachment): void {
    if (this.#isCancelled() || file.state === "uploading" || file.state === "scanning") return;
    clearTimeout(this.#looker);
    this.#become({ file, state: file.state === "clean" ? "ready" : "failed" });
  }

  #isCancelled(): boolean {
    return this.#snapshot.state === "cancelled";
  }

  #become(change: Partial<UploadSnapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change };
    this.emit("change", this.#snapshot);
  }
}

function codeOf(error: unknown): string | null {
  return error instanceof ParlorError ? error.code : null;
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Base64 of the text's UTF-8, as tus wants its metadata. */
function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
