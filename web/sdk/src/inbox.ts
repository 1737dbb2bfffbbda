import type { Api } from "./api.js";
import type { DirectMessages, DirectRequest } from "./direct.js";
import { Emitter } from "./emitter.js";
import { ParlorError } from "./errors.js";
import type { Direct, DirectMessage, Message, ServerFrame, Unread } from "./proto.js";
import { type MyRoom, type Page, queryOf, type Rooms } from "./rooms.js";
import type { Socket } from "./socket.js";

export interface InboxSnapshot {
  /** Whether the lists have come once. */
  ready: boolean;
  /** What one belongs to, newest first. */
  rooms: readonly MyRoom[];
  /** Conversations, stirred last first. */
  directs: readonly Direct[];
  /** What strangers wrote. */
  requests: readonly DirectRequest[];
  /** How much is unread, by the room's id. */
  unread: ReadonlyMap<string, Unread>;
}

const EMPTY: InboxSnapshot = { ready: false, rooms: [], directs: [], requests: [], unread: new Map() };
/** More pages than this are not fetched: a list of hundreds is enough, and nothing loops. */
const MOST_PAGES = 5;

/** What concerns one wherever one is: rooms, conversations, requests, and what is unread in them. */
export class Inbox extends Emitter<{ change: InboxSnapshot; message: DirectMessage }> {
  readonly #api: Api;
  readonly #rooms: Rooms;
  readonly #direct: DirectMessages;
  /** Whether the server offers direct messages at all; whoever knows that it does not spares it the questions. */
  offersDirect = true;
  #snapshot = EMPTY;
  #loading: Promise<void> | null = null;
  /** Something was told while the lists were on their way: they may be older than that. */
  #stirred = false;

  constructor(api: Api, socket: Socket, rooms: Rooms, direct: DirectMessages) {
    super();
    this.#api = api;
    this.#rooms = rooms;
    this.#direct = direct;
    socket.on("authenticated", () => void this.refresh().catch(() => undefined));
    socket.on("frame", (frame) => this.#receive(frame));
    socket.on("state", (state) => state === "closed" && this.#become(EMPTY));
  }

  /** The same object until something changes. */
  get snapshot(): InboxSnapshot {
    return this.#snapshot;
  }

  /** Fetches all of it; again, if something is told meanwhile. */
  refresh(): Promise<void> {
    if (this.#loading) {
      this.#stirred = true;
      return this.#loading;
    }
    this.#loading = this.#load().finally(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  async #load(): Promise<void> {
    for (let turn = 0; turn === 0 || (this.#stirred && turn < MOST_PAGES); turn++) {
      this.#stirred = false;
      const me = this.#api.user?.id;
      if (me === undefined) return;
      const [rooms, directs, requests, unread] = await Promise.all([
        all((cursor) => this.#rooms.mine(cursor)),
        this.offersDirect ? unlessOff(all((after) => this.#direct.list(after))) : [],
        this.offersDirect ? unlessOff(all((after) => this.#direct.requests(after))) : [],
        all((after) => this.#api.request<Page<Unread>>("GET", `/unread${queryOf({ after, limit: 50 })}`)),
      ]);
      // Somebody else has entered while it was on its way: nothing of it is for them, and theirs is still to come.
      if (this.#api.user?.id !== me) {
        this.#stirred = true;
        continue;
      }
      this.#become({
        ready: true,
        rooms,
        directs,
        requests,
        unread: new Map(unread.map((it) => [it.roomId, it])),
      });
    }
  }

  #receive(frame: ServerFrame): void {
    switch (frame.type) {
      case "dm_message":
        return this.#written(frame.data);
      case "dm_room":
        return this.#changed(frame.data);
      case "unread":
        return this.#counted(frame.data);
      case "new_message":
        // What is written in direct rooms comes as `dm_message` too.
        if (frame.epoch !== undefined && !this.#snapshot.directs.some(({ room }) => room.id === frame.roomId))
          this.#count(frame.data.message);
        return;
      case "block":
      case "removed":
      case "room_updated":
      case "room_owner":
      case "call.admitted":
        return void this.refresh().catch(() => undefined);
      case "member_role":
        if (frame.data.userId === this.#api.user?.id) void this.refresh().catch(() => undefined);
    }
  }

  #written(told: DirectMessage): void {
    this.emit("message", told);
    const known = this.#snapshot.directs.find(({ room }) => room.id === told.roomId);
    if (told.request || !known) return void this.refresh().catch(() => undefined);
    this.#stirred = true;
    this.#changed({ ...known, lastMessage: told.message, stirredAt: told.message.createdAt });
    this.#count(told.message);
  }

  #changed(direct: Direct): void {
    this.#stirred = true;
    const me = this.#api.user?.id;
    const others = this.#snapshot.directs.filter(({ room }) => room.id !== direct.room.id);
    const mine = direct.people.some(({ userId, accepted }) => userId === me && accepted);
    const directs = (mine ? [direct, ...others] : others).sort((a, b) =>
      a.stirredAt < b.stirredAt ? 1 : a.stirredAt > b.stirredAt ? -1 : 0,
    );
    const requests = this.#snapshot.requests.filter(({ room }) => !mine || room.id !== direct.room.id);
    this.#become({ ...this.#snapshot, directs, requests });
  }

  #count(message: Message): void {
    const me = this.#api.user?.id;
    const before = this.#snapshot.unread.get(message.roomId);
    // What the server tells of a room is nothing to be read.
    if (!before || message.sender.id === me || message.content.type === "system") return;
    const calls = message.content.mentions;
    const called = calls?.room || calls?.users?.includes(me ?? "");
    const mentions = before.mentions + (called ? 1 : 0);
    this.#counted({ ...before, unread: before.unread + 1, mentions });
  }

  #counted(unread: Unread): void {
    this.#stirred = true;
    this.#become({ ...this.#snapshot, unread: new Map(this.#snapshot.unread).set(unread.roomId, unread) });
  }

  #become(snapshot: InboxSnapshot): void {
    if (snapshot === this.#snapshot) return;
    this.#snapshot = snapshot;
    this.emit("change", snapshot);
  }
}

/** Nothing, where the server offers none of it. */
async function unlessOff<T>(items: Promise<T[]>): Promise<T[]> {
  try {
    return await items;
  } catch (error) {
    if (error instanceof ParlorError && error.code === "feature_off") return [];
    throw error;
  }
}

/** The items of all pages, up to a bound. */
async function all<T>(page: (cursor?: string) => Promise<Page<T>>): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  for (let count = 0; count < MOST_PAGES; count++) {
    const { items: more, next } = await page(cursor);
    items.push(...more);
    if (next === null) break;
    cursor = next;
  }
  return items;
}
