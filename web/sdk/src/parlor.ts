import { Api } from "./api.js";
import { Matcher } from "./matcher.js";
import { Recordings } from "./recordings.js";
import { Room } from "./room.js";
import type { Keep } from "./shelf.js";
import { Socket } from "./socket.js";

export interface ParlorOptions {
  /** The server's origin, like `https://parlor.example`; the page's own by default. */
  url?: string;
  /** Keeps drafts and unsent messages over a reload, like `localStorage`; without it they live as long as the page. */
  keep?: Keep;
}

/** A client of one server: its REST calls, its socket, its rooms. */
export class Parlor {
  readonly api: Api;
  readonly socket: Socket;
  readonly recordings: Recordings;
  readonly #keep: Keep | null;

  constructor({ url = "", keep }: ParlorOptions = {}) {
    this.#keep = keep ?? null;
    this.api = new Api(url);
    const socketUrl = new URL("/ws", url || location.href);
    socketUrl.protocol = socketUrl.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new Socket({
      url: socketUrl.href,
      token: () => this.api.token(),
      invalidate: () => this.api.invalidate(),
    });
    this.socket.on("siteRole", (role) => this.api.setSiteRole(role));
    this.recordings = new Recordings(this.api, this.socket);
  }

  /** Looks for strangers; `close` it when done. */
  matcher(): Matcher {
    return new Matcher(this.socket);
  }

  /** A room of this server; `join` it, and `leave` it when done. */
  room(id: string): Room {
    return new Room(id, this.socket, this.api, this.#keep);
  }
}
