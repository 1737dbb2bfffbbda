import { Accounts } from "./accounts.js";
import { Api } from "./api.js";
import { DirectMessages } from "./direct.js";
import { Guests } from "./guests.js";
import { Inbox } from "./inbox.js";
import { Invites } from "./invites.js";
import { Matcher } from "./matcher.js";
import { Members } from "./members.js";
import { Recordings } from "./recordings.js";
import { Ringing } from "./ringing.js";
import { Room } from "./room.js";
import { Rooms } from "./rooms.js";
import type { Keep } from "./shelf.js";
import { Socket } from "./socket.js";

export interface ParlorOptions {
  /** The server's origin, like `https://parlor.example`; the page's own by default. */
  url?: string;
  /** Keeps drafts and unsent messages over a reload, like `localStorage`; without it they live as long as the page. */
  keep?: Keep;
  /** Keeps as whom this tab goes on, like `sessionStorage`; with it and `keep` a device may have several guests. */
  tab?: Keep;
}

/** A client of one server: its REST calls, its socket, its rooms. */
export class Parlor {
  readonly api: Api;
  readonly socket: Socket;
  readonly recordings: Recordings;
  readonly accounts: Accounts;
  /** The guests of this device; null without a place to keep them. */
  readonly guests: Guests | null;
  readonly rooms: Rooms;
  readonly invites: Invites;
  readonly members: Members;
  readonly direct: DirectMessages;
  readonly ringing: Ringing;
  readonly inbox: Inbox;
  readonly #keep: Keep | null;

  constructor({ url = "", keep, tab }: ParlorOptions = {}) {
    this.#keep = keep ?? null;
    this.guests = keep && tab ? new Guests(keep, tab) : null;
    this.api = new Api(url, undefined, this.guests);
    const socketUrl = new URL("/ws", url || location.href);
    socketUrl.protocol = socketUrl.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new Socket({
      url: socketUrl.href,
      token: () => this.api.token(),
      invalidate: () => this.api.invalidate(),
    });
    this.socket.on("siteRole", (role) => this.api.setSiteRole(role));
    this.recordings = new Recordings(this.api, this.socket);
    this.accounts = new Accounts(this.api, this.socket);
    this.rooms = new Rooms(this.api);
    this.invites = new Invites(this.api);
    this.members = new Members(this.api);
    this.direct = new DirectMessages(this.api);
    this.ringing = new Ringing(this.api, this.socket);
    this.inbox = new Inbox(this.api, this.socket, this.rooms, this.direct);
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
