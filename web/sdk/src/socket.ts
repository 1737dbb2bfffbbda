import { backoffMs } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { ConnectionLost, ParlorError } from "./errors.js";
import {
  CLOSE_ACTIONS,
  type ClientBody,
  type CloseAction,
  CloseCode,
  type ErrorBody,
  type ServerFrame,
  type SiteRole,
  type User,
} from "./proto.js";

/** What to do about a close code: the table of `docs/protocol.md`. An unknown one is a network's: try again. */
export function closeAction(code: number): CloseAction {
  return (CLOSE_ACTIONS as Readonly<Record<number, CloseAction>>)[code] ?? "retry";
}

type ClientType = ClientBody["type"];
type DataOf<Type extends ClientType> =
  Extract<ClientBody, { type: Type }> extends { data: infer Data } ? Data : object;

/** A frame of one type. */
export type FrameOf<Type extends ServerFrame["type"]> = ServerFrame & { type: Type };

/** The frame, which must be of this type: anything else is no answer of this protocol. */
export function expectType<Type extends ServerFrame["type"]>(frame: ServerFrame, type: Type): FrameOf<Type> {
  if (frame.type !== type)
    throw new ParlorError("bad_frame", `The server answered ${frame.type} in place of ${type}.`);
  return frame as FrameOf<Type>;
}

export type SocketState = "closed" | "connecting" | "open" | "waiting";

export interface SocketEvents {
  state: SocketState;
  /** Logged in. `resumed`: the seats in rooms and call are as before. */
  authenticated: { resumed: boolean; user: User };
  /** We are something else on the site from now on. */
  siteRole: SiteRole;
  frame: ServerFrame;
  /** It will not come back by itself: the close code says why (4403 removed or banned, 4401 enter again, …). */
  stopped: { code: number };
}

export interface SocketOptions {
  /** ws: or wss: address. */
  url: string;
  /** A valid access token, or null when the user has to enter again. */
  token: () => Promise<string | null>;
  /** The server refused the token. */
  invalidate: () => void;
  /** For tests. */
  open?: (url: string) => WebSocket;
  random?: () => number;
}

interface Waiter {
  resolve: (frame: ServerFrame) => void;
  reject: (error: Error) => void;
}

/** No answer to a ping for this long means that the connection is dead, whatever the browser thinks. */
const PONG_WITHIN_MS = 10_000;
/** Tokens refused so often in a row mean that the user has to enter again. */
const REFUSED_LOGINS = 2;
/** A login that holds this long is a good one: the next loss begins with short waits again. */
const HELD_MS = 5_000;
/** What makes a login worthless; about anything else the server closes as it sees fit. */
const BAD_LOGIN = ["unauthenticated", "token_invalid", "token_expired", "token_reused"];

/** The one WebSocket: logs in, keeps itself alive, comes back after a loss with the token that resumes the session. */
export class Socket extends Emitter<SocketEvents> {
  readonly #options: SocketOptions;
  readonly #waiters = new Map<string, Waiter>();
  #socket: WebSocket | null = null;
  #state: SocketState = "closed";
  #wanted = false;
  #attempt = 0;
  #refused = 0;
  #nextId = 1;
  #resumeToken: string | null = null;
  #advisedMs: number | null = null;
  #openedAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pinger: ReturnType<typeof setInterval> | undefined;

  constructor(options: SocketOptions) {
    super();
    this.#options = options;
  }

  get state(): SocketState {
    return this.#state;
  }

  /** Connects, and stays connected until `close`. */
  connect(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#attempt = 0;
    void this.#open();
  }

  /** Waits no longer for the next try: the network is back, or the user is. */
  hurry(): void {
    if (this.#state === "waiting") {
      clearTimeout(this.#timer);
      this.#attempt = 0;
      void this.#open();
    } else if (this.#state === "open") this.#ping();
  }

  /** Logs in once more on the open socket: what the login may do has changed. */
  renewLogin(): void {
    if (this.#state === "open") void this.#renew(PONG_WITHIN_MS);
  }

  close(): void {
    this.#wanted = false;
    this.#resumeToken = null;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#drop();
    socket?.close(1000);
    this.#become("closed");
  }

  /** Sends a frame; nobody answers it, or nobody cares. False when the socket is not open. */
  send<Type extends ClientType>(type: Type, data: DataOf<Type>): boolean {
    if (this.#state !== "open") return false;
    this.#write(type, data, undefined);
    return true;
  }

  /** Sends a frame and waits for the one that answers it. Throws `ParlorError`, or `ConnectionLost`. */
  request<Type extends ClientType>(type: Type, data: DataOf<Type>): Promise<ServerFrame> {
    if (this.#state !== "open") return Promise.reject(new ConnectionLost());
    return this.#ask(type, data);
  }

  #ask<Type extends ClientType>(type: Type, data: DataOf<Type>): Promise<ServerFrame> {
    const id = String(this.#nextId++);
    return new Promise((resolve, reject) => {
      this.#waiters.set(id, { resolve, reject });
      this.#write(type, data, id);
    });
  }

  #write<Type extends ClientType>(type: Type, data: DataOf<Type>, id: string | undefined): void {
    this.#socket?.send(JSON.stringify(id === undefined ? { type, data } : { type, id, data }));
  }

  async #open(): Promise<void> {
    this.#become("connecting");
    let token: string | null;
    try {
      token = await this.#options.token();
    } catch {
      this.#retry(backoffMs(this.#attempt++, this.#options.random));
      return;
    }
    if (!this.#wanted || this.#socket) return;
    if (token === null) {
      this.#stop(CloseCode.Unauthenticated);
      return;
    }
    const socket = (this.#options.open ?? ((url) => new WebSocket(url)))(this.#options.url);
    this.#socket = socket;
    socket.onopen = () => void this.#authenticate(socket, token);
    socket.onmessage = ({ data }) => {
      // One that we gave up may still have something to say.
      if (this.#socket === socket) this.#receive(String(data));
    };
    socket.onclose = ({ code }) => {
      if (this.#socket === socket) this.#closed(code);
    };
  }

  async #authenticate(socket: WebSocket, token: string): Promise<void> {
    try {
      const answer = await this.#ask("authenticate", { token, resume: this.#resumeToken });
      const { data } = expectType(answer, "authenticated");
      if (this.#socket !== socket) return;
      this.#refused = 0;
      this.#openedAt = Date.now();
      this.#resumeToken = data.resumeToken;
      this.#pinger = setInterval(() => this.#ping(), data.pingEveryMs);
      this.#become("open");
      this.emit("authenticated", { resumed: data.resumed, user: data.user });
    } catch (error) {
      if (!(error instanceof ParlorError) || this.#socket !== socket) return;
      // The error comes first, then the socket closes with a code that says the same.
      this.#advisedMs = error.retryAfterMs;
      if (BAD_LOGIN.includes(error.code)) socket.close(CloseCode.Unauthenticated);
    }
  }

  #receive(text: string): void {
    const frame = JSON.parse(text) as ServerFrame;
    const waiter = frame.id ? this.#waiters.get(frame.id) : undefined;
    if (waiter && frame.id) {
      this.#waiters.delete(frame.id);
      if (frame.type === "error") waiter.reject(errorOf(frame.data));
      else waiter.resolve(frame);
    }
    if (frame.type === "go_away") this.#advisedMs = frame.data.reconnectAfterMs;
    else if (frame.type === "token_expiring") void this.#renew(frame.data.graceMs);
    else if (frame.type === "site_role") this.emit("siteRole", frame.data.role);
    this.emit("frame", frame);
  }

  /** Gets a new token for the live socket, and tries again for as long as the server waits for it. */
  async #renew(graceMs: number): Promise<void> {
    const socket = this.#socket;
    const until = Date.now() + graceMs;
    this.#options.invalidate();
    for (let attempt = 0; socket && this.#socket === socket; attempt++) {
      const got = await this.#options.token().then(
        (token) => ({ token }),
        () => null,
      );
      if (this.#socket !== socket) return;
      // Without a login there is no new token: the server closes with 4402, and the next connection finds out what is wrong.
      if (got)
        return void (got.token && this.#write("authenticate", { token: got.token, resume: null }, undefined));
      const wait = backoffMs(attempt, this.#options.random);
      if (Date.now() + wait >= until) return;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  #ping(): void {
    const socket = this.#socket;
    if (!socket || this.#state !== "open") return;
    const dead = setTimeout(() => {
      if (this.#socket !== socket) return;
      socket.close();
      this.#closed(1006);
    }, PONG_WITHIN_MS);
    this.#ask("ping", {}).then(
      () => clearTimeout(dead),
      () => clearTimeout(dead),
    );
  }

  #closed(code: number): void {
    if (this.#state === "open" && Date.now() - this.#openedAt >= HELD_MS) this.#attempt = 0;
    this.#drop();
    if (!this.#wanted) return;
    const action = closeAction(code);
    if (action === "stop") return this.#stop(code);
    if (action === "refresh") {
      this.#options.invalidate();
      if (code === CloseCode.Unauthenticated && ++this.#refused >= REFUSED_LOGINS) return this.#stop(code);
    }
    const backoff = () => backoffMs(this.#attempt++, this.#options.random);
    const advised = this.#advisedMs;
    this.#advisedMs = null;
    // A server that goes away has given each client another time; any other advice is the least that one has to wait.
    this.#retry(action === "wait" && advised !== null ? advised : Math.max(advised ?? 0, backoff()));
  }

  #retry(afterMs: number): void {
    if (!this.#wanted) return;
    this.#become("waiting");
    this.#timer = setTimeout(() => void this.#open(), afterMs);
  }

  #stop(code: number): void {
    this.#wanted = false;
    this.#resumeToken = null;
    this.#become("closed");
    this.emit("stopped", { code });
  }

  #drop(): void {
    clearInterval(this.#pinger);
    this.#socket = null;
    const waiters = [...this.#waiters.values()];
    this.#waiters.clear();
    for (const { reject } of waiters) reject(new ConnectionLost());
  }

  #become(state: SocketState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.emit("state", state);
  }
}

function errorOf({ code, message, retryAfterMs, detail }: ErrorBody): ParlorError {
  return new ParlorError(code, message, retryAfterMs, detail);
}
