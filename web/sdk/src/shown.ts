import { type Entry, sentEntry } from "./outbox.js";
import type { Member, Message, Receipt, Role, Room as RoomInfo, Unread } from "./proto.js";
import type { Timeline } from "./timeline.js";

/** `waiting`: a host lets people in one by one, and has not let us in yet. */
export type RoomState = "idle" | "joining" | "waiting" | "joined" | "left" | "removed" | "refused";

/** All that a page shows of a room. A new object at each change, so that it can be compared by identity. */
export interface RoomSnapshot {
  state: RoomState;
  info: RoomInfo | null;
  role: Role;
  members: Member[];
  /** How many are there; of many, `members` names the first alone. */
  online: number;
  /** The history and, last, what is on its way. */
  messages: Entry[];
  /** There may be older messages than the first one here. */
  hasOlder: boolean;
  /** Somebody has jumped into the past: there are newer messages than the last one here. */
  hasNewer: boolean;
  /** The thread that is open. */
  thread: OpenThread | null;
  /** Nicknames of those who write at the moment. */
  typing: string[];
  /** Null where nothing is kept of that. */
  unread: Unread | null;
  /** How far others have read, where they are told of each other. */
  receipts: Receipt[];
  /** Until when we have no voice here, as far as we were told; null: we have one. */
  mutedUntil: string | null;
  /** Why the server refused the room, or removed us from it. */
  reason: { code: string; message: string } | null;
}

/** A thread as a page shows it. */
export interface OpenThread {
  rootId: string;
  /** What it hangs on; null until it is known. */
  root: Message | null;
  messages: Entry[];
  hasOlder: boolean;
}

type OfTimeline = Pick<
  RoomSnapshot,
  "info" | "role" | "members" | "online" | "messages" | "hasOlder" | "hasNewer" | "thread"
>;

/** Draws a timeline for a page. Entries stay the same objects for as long as their messages do, so that a page sees what changed. */
export class Drawing {
  readonly #drawn = new WeakMap<Message, Entry>();
  /** Lists, by what they were made of: what did not change is not made again. */
  readonly #lists = new WeakMap<readonly Message[], Entry[]>();
  readonly #values = new WeakMap<ReadonlyMap<string, unknown>, unknown[]>();

  of(timeline: Timeline, unsent: Entry[]): OfTimeline {
    const { info, role, members, online, latest, visited, thread } = timeline;
    const { messages, hasOlder, hasNewer } = visited ?? latest;
    return {
      info,
      role,
      members: this.list(members),
      online,
      messages: this.#entries(messages, visited ? [] : unsent),
      hasOlder,
      hasNewer,
      thread: thread && {
        rootId: thread.rootId,
        root: thread.root,
        messages: this.#entries(
          thread.messages,
          unsent.filter(({ message }) => message.content.threadId === thread.rootId),
        ),
        hasOlder: thread.hasOlder,
      },
    };
  }

  /** All values of a map that is never changed itself. */
  list<Value>(map: ReadonlyMap<string, Value>): Value[] {
    const known = this.#values.get(map) as Value[] | undefined;
    const values = known ?? [...map.values()];
    if (!known) this.#values.set(map, values);
    return values;
  }

  #sent(messages: readonly Message[]): Entry[] {
    const known = this.#lists.get(messages);
    if (known) return known;
    const sent = messages.map((message) => {
      const entry = this.#drawn.get(message) ?? sentEntry(message);
      this.#drawn.set(message, entry);
      return entry;
    });
    this.#lists.set(messages, sent);
    return sent;
  }

  #entries(messages: readonly Message[], unsent: Entry[]): Entry[] {
    const sent = this.#sent(messages);
    if (unsent.length === 0) return sent;
    const keys = new Set(sent.map(({ key }) => key));
    return [...sent, ...unsent.filter(({ key }) => !keys.has(key))];
  }
}
