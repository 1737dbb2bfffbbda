import type { Api } from "./api.js";

/** What a stream key lets a program do: publish by WHIP, or watch by WHEP. */
export type StreamKind = "publish" | "watch";

/** A key that lets a program into a room's call, in the name of the host who made it. */
export interface StreamKey {
  keyId: string;
  roomId: string;
  /** What its publisher is called in the call. */
  name: string;
  kind: StreamKind;
  createdBy: { userId: string; nickname: string };
  createdAt: string;
  /** null: until it is revoked. */
  expiresAt: string | null;
  /** How many take part by it now. */
  inUse: number;
}

/** A key that was just made. */
export interface NewStreamKey extends Omit<StreamKey, "inUse"> {
  /** The bearer token. It is told once. */
  secret: string;
  /** Where the program sends its offer: a path on the server. */
  path: string;
}

/** The stream keys of a room: for its hosts. */
export class StreamKeys {
  readonly #api: Api;
  readonly #path: string;

  constructor(api: Api, roomId: string) {
    this.#api = api;
    this.#path = `/rooms/${encodeURIComponent(roomId)}/stream-keys`;
  }

  async list(): Promise<StreamKey[]> {
    return (await this.#api.request<{ keys: StreamKey[] }>("GET", this.#path)).keys;
  }

  create(name: string, kind: StreamKind): Promise<NewStreamKey> {
    return this.#api.request<NewStreamKey>("POST", this.#path, { name, kind });
  }

  /** Whoever takes part by it is out at once. */
  async revoke(keyId: string): Promise<void> {
    await this.#api.request("DELETE", `${this.#path}/${encodeURIComponent(keyId)}`);
  }
}
