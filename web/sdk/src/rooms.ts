import type { Api } from "./api.js";
import type {
  ContentLevel,
  NotifyLevel,
  Permits,
  Retention,
  Role,
  Room,
  RoomKind,
  Trust,
  Unread,
  Visibility,
} from "./proto.js";

/** A page of a list, and where the next one begins; null: there is none. */
export interface Page<T> {
  items: T[];
  next: string | null;
}

/** A room as lists show it. */
export type SeenRoom = Room & {
  /** How many are inside now. */
  online: number;
  /** How many belong to it. */
  members: number;
};

/** A room that one belongs to. */
export type MyRoom = SeenRoom & { role: Role };

/** What people make; direct rooms and strangers' rooms come about otherwise. */
export type MadeKind = Extract<RoomKind, "group" | "forum" | "broadcast" | "live" | "call">;

/** What is to be different; what is not named stays. */
export interface RoomChange {
  /** 1 to 100 characters. */
  name?: string;
  /** 3 to 64 small letters, digits and dashes; null: none. */
  slug?: string | null;
  visibility?: Visibility;
  maxParticipants?: number;
  /** Up to 1,000 characters. */
  description?: string;
  /** One of the server's; null: none. */
  category?: string | null;
  contentLevel?: ContentLevel;
  /** `24h`, `days(n)` or `forever`. */
  retention?: Retention;
  /** Seconds between two messages of one person, up to 21,600. */
  slowModeS?: number;
  minTrustToJoin?: Trust;
  minTrustToPost?: Trust;
  joinRequests?: boolean;
  /** 4 to 12 digits; null: none. */
  pin?: string | null;
  permits?: Partial<Permits>;
}

export interface RoomToMake {
  kind: MadeKind;
  name: string;
  visibility: Visibility;
  maxParticipants?: number;
  settings?: RoomChange;
}

export interface RoomsWanted {
  /** Words in name, slug or description. */
  query?: string;
  category?: string;
  kind?: RoomKind;
  cursor?: string;
  /** 1 to 100; 50 when not named. */
  limit?: number;
}

/** Rooms that people make: finding, making, changing and ending them. Refusals are `ParlorError`s with words for people. */
export class Rooms {
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
  }

  /** Public rooms, newest first. */
  async find(wanted: RoomsWanted = {}): Promise<Page<SeenRoom>> {
    const { rooms, next } = await this.#api.request<{ rooms: SeenRoom[]; next: string | null }>(
      "GET",
      `/rooms${queryOf({ ...wanted })}`,
    );
    return { items: rooms, next };
  }

  async categories(): Promise<string[]> {
    return (await this.#api.request<{ items: string[] }>("GET", "/rooms/categories")).items;
  }

  /** Those one belongs to, newest first, also what is put away. */
  mine(cursor?: string): Promise<Page<MyRoom>> {
    return this.#api.request("GET", `/rooms/mine${queryOf({ cursor, limit: 100 })}`);
  }

  /** One room from outside. */
  look(roomId: string): Promise<SeenRoom> {
    return this.#api.request("GET", of(roomId));
  }

  make(room: RoomToMake): Promise<Room> {
    return this.#api.request("POST", "/rooms", room);
  }

  /** Changes what one has seen. Throws `precondition_failed` when somebody else was faster: look again. */
  edit({ id, revision }: Room, change: RoomChange): Promise<Room> {
    return this.#api.request("PATCH", of(id), change, { "if-match": `"${revision}"` });
  }

  /** Becomes a member. Throws `pin_required`, `pin_wrong`, `approval_required`, `room_private`, `trust_too_low`, … */
  join(roomId: string, pin?: string): Promise<SeenRoom> {
    return this.#api.request("POST", `${of(roomId)}/join`, pin === undefined ? {} : { pin });
  }

  /** Is a member no more. */
  async leave(roomId: string): Promise<void> {
    await this.#api.request<void>("POST", `${of(roomId)}/leave`);
  }

  /** Chooses of what one is told there; `mutedUntil` (RFC 3339, within a year): of nothing before. */
  notify(roomId: string, level: NotifyLevel, mutedUntil: string | null = null): Promise<Unread> {
    return this.#api.request("PUT", `${of(roomId)}/notifications`, { level, mutedUntil });
  }

  /** Gives the room to another member. */
  async transfer(roomId: string, userId: string): Promise<void> {
    await this.#api.request<void>("PUT", `${of(roomId)}/owner`, { userId });
  }

  /** Puts the room away, to be read only, or takes it out again. */
  archive(roomId: string, archived: boolean): Promise<Room> {
    return this.#api.request("PUT", `${of(roomId)}/archived`, { archived });
  }

  /** Deletes it with all that is in it. Throws `conflict` while it has recordings. */
  async delete(roomId: string): Promise<void> {
    await this.#api.request<void>("DELETE", of(roomId));
  }
}

/** The path of a room. */
export function of(roomId: string): string {
  return `/rooms/${encodeURIComponent(roomId)}`;
}

/** A query of what is there. */
export function queryOf(values: Record<string, string | number | undefined>): string {
  const there = Object.entries(values).flatMap(([name, value]) =>
    value === undefined || value === "" ? [] : [[name, String(value)]],
  );
  return there.length === 0 ? "" : `?${new URLSearchParams(there)}`;
}
