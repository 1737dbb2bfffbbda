import type { Api } from "./api.js";
import { Emitter } from "./emitter.js";
import type { ComposedState, RecordingComposed, RecordingStop } from "./proto.js";
import type { Socket } from "./socket.js";

export type RecordingState = "starting" | "running" | "finishing" | "ready" | "failed";

/** One file of a recording: a person's camera and microphone, a shared screen, or all of them composed. */
export interface RecordingFile {
  fileId: string;
  kind: "participant" | "screen" | "composed";
  userId: string | null;
  nickname: string | null;
  state: "recording" | "finishing" | "ready" | "failed";
  /** The server stopped in the middle, and the file was finished later. */
  interrupted: boolean;
  container: "webm" | "matroska";
  /** Where it begins on the recording's clock. */
  startsAtMs: number;
  durationMs: number | null;
  sizeBytes: number | null;
  sha256: string | null;
}

/** The job that makes one file of all. */
export interface Composition {
  state: ComposedState;
  /** 0 to 1. */
  progress: number;
  /** Why it failed, or what it had to do without. */
  error: string | null;
}

export interface Recording {
  recordingId: string;
  callId: string;
  roomId: string;
  roomName: string;
  state: RecordingState;
  startedAt: string | null;
  endedAt: string | null;
  startedBy: string;
  stopReason: RecordingStop | null;
  files: RecordingFile[];
  composed: Composition | null;
  /** Whether the asker may delete and compose it. */
  mayManage: boolean;
}

/** An address that opens one file, without a token, for an hour. */
export interface FileLink {
  url: string;
  expiresAt: string;
}

/** Recordings of calls: start and stop them, and get what was recorded. */
export class Recordings extends Emitter<{ composed: RecordingComposed }> {
  readonly #api: Api;

  constructor(api: Api, socket: Socket) {
    super();
    this.#api = api;
    socket.on("frame", (frame) => {
      if (frame.type === "recording.composed") this.emit("composed", frame.data);
    });
  }

  /** Owners and moderators of the room may; everybody in the call is told. */
  start(callId: string): Promise<Recording> {
    return this.#api.request("POST", ofCall(callId));
  }

  stop(callId: string): Promise<Recording> {
    return this.#api.request("DELETE", ofCall(callId));
  }

  /** Those of one call, newest first. */
  async ofCall(callId: string): Promise<Recording[]> {
    return (await this.#api.request<{ recordings: Recording[] }>("GET", ofCall(callId))).recordings;
  }

  /** All that one may see, newest first. */
  async list(): Promise<Recording[]> {
    return (await this.#api.request<{ recordings: Recording[] }>("GET", "/recordings")).recordings;
  }

  /** For a `<video>` or a download, which can send no token. */
  async link(recordingId: string, fileId: string): Promise<FileLink> {
    const link = await this.#api.request<FileLink>("POST", `${ofFile(recordingId, fileId)}/link`);
    return { ...link, url: this.#api.address(link.url) };
  }

  async delete(recordingId: string): Promise<void> {
    await this.#api.request<void>("DELETE", of(recordingId));
  }

  async deleteFile(recordingId: string, fileId: string): Promise<void> {
    await this.#api.request<void>("DELETE", ofFile(recordingId, fileId));
  }

  /** Begins to make one file of all; `composed` events tell how far it is. */
  async compose(recordingId: string): Promise<void> {
    await this.#api.request<void>("POST", `${of(recordingId)}/composed`);
  }

  composition(recordingId: string): Promise<Composition> {
    return this.#api.request("GET", `${of(recordingId)}/composed`);
  }

  async cancelComposition(recordingId: string): Promise<void> {
    await this.#api.request<void>("DELETE", `${of(recordingId)}/composed`);
  }
}

function ofCall(callId: string): string {
  return `/calls/${encodeURIComponent(callId)}/recording`;
}

function of(recordingId: string): string {
  return `/recordings/${encodeURIComponent(recordingId)}`;
}

function ofFile(recordingId: string, fileId: string): string {
  return `${of(recordingId)}/files/${encodeURIComponent(fileId)}`;
}
