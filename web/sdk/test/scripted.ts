import type { FakeSocket } from "./fake.js";

/** Chance that can be had again (mulberry32). */
export function seeded(seed: number): () => number {
  let now = seed;
  return () => {
    now = (now + 0x6d2b79f5) | 0;
    let mixed = Math.imul(now ^ (now >>> 15), now | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Stored {
  id: string;
  roomId: string;
  sender: { id: string; nickname: string };
  clientId: string;
  content: { text: string };
  replyTo: null;
  createdAt: string;
  editedAt: string | null;
  deleted: boolean;
}

type Written = { type: string; id?: string; data: Record<string, unknown> };
type Event = { offset: number; frame: object };

/** Events that one resume brings at most; messages that a fresh state has. */
const RESUME = 20;
const STATE = 50;

/** One room as the server keeps it: the stream, the messages, and who listens. What it tells goes through a bad network. */
export class ScriptedRoom {
  readonly messages: Stored[] = [];
  epoch = 1;
  #events: Event[] = [];
  #offset = 0;
  #here = new Set<FakeSocket>();
  #read = new Map<FakeSocket, number>();
  #late: (() => void)[] = [];
  /** What becomes of a frame to the client. */
  fate: () => "now" | "lost" | "twice" | "late" = () => "now";
  /** Whether a request is refused before anything is done. */
  refuses: () => object | null = () => null;

  /** Does what the client asked for since the last time. */
  serve(socket: FakeSocket): void {
    for (let next = this.#read.get(socket) ?? 0; next < socket.written.length; next++) {
      this.#read.set(socket, next + 1);
      this.#take(socket, socket.written[next] as Written);
    }
  }

  /** What was held up arrives, in any order. */
  deliverLate(random: () => number): void {
    const late = this.#late.splice(0);
    while (late.length > 0) late.splice(Math.floor(random() * late.length), 1)[0]?.();
  }

  /** This socket is gone, with all that was on its way. */
  forget(socket: FakeSocket): void {
    this.#here.delete(socket);
    this.#late = [];
  }

  say(
    sender: string,
    clientId: string,
    text: string,
    to?: { socket: FakeSocket; id: string | undefined },
  ): void {
    const known = this.messages.find((it) => it.sender.id === sender && it.clientId === clientId);
    if (known) {
      if (to)
        this.#send(to.socket, { type: "new_message", roomId: "r", id: to.id, data: { message: known } });
      return;
    }
    const message = {
      id: `m${this.messages.length}`,
      roomId: "r",
      sender: { id: sender, nickname: sender },
      clientId,
      content: { text },
      replyTo: null,
      createdAt: "2026-01-31T09:30:00.123Z",
      editedAt: null,
      deleted: false,
    };
    this.messages.push(message);
    this.#tell({ type: "new_message", data: { message: { ...message } } }, to);
  }

  edit(message: Stored, text: string): void {
    Object.assign(message, { content: { text }, editedAt: "2026-01-31T09:31:00.000Z" });
    this.#tell({ type: "message_edited", data: { message: { ...message } } });
  }

  delete(message: Stored): void {
    Object.assign(message, { content: { text: "" }, deleted: true });
    this.#tell({ type: "message_deleted", data: { messageId: message.id, by: message.sender.id } });
  }

  /** The stream begins anew, as when the room's owner node was lost: old positions mean nothing. */
  begin(): void {
    this.epoch++;
    this.#offset = 0;
    this.#events = [];
  }

  #tell(frame: object, to?: { socket: FakeSocket; id: string | undefined }): void {
    const offset = ++this.#offset;
    const event = { ...frame, roomId: "r", epoch: String(this.epoch), offset };
    this.#events.push({ offset, frame: event });
    for (const socket of this.#here)
      this.#send(socket, socket === to?.socket ? { ...event, id: to.id } : event);
  }

  #take(socket: FakeSocket, { type, id, data }: Written): void {
    if (type === "ping") return void socket.say({ type: "pong", id, data: {} });
    if (type !== "join_room" && type !== "send_message") return;
    const refusal = this.refuses();
    if (refusal) return this.#send(socket, { type: "error", id, data: refusal });
    if (type === "join_room") return this.#join(socket, id, data);
    if (!this.#here.has(socket))
      return this.#send(socket, {
        type: "error",
        id,
        data: { code: "not_in_room", message: "", detail: {} },
      });
    const { clientId, content } = data as { clientId: string; content: { text: string } };
    this.say("me", clientId, content.text, { socket, id });
  }

  #join(socket: FakeSocket, id: string | undefined, { epoch, offset }: Record<string, unknown>): void {
    this.#here.add(socket);
    const since = typeof offset === "number" && epoch === String(this.epoch) ? offset : null;
    const missed = since === null ? [] : this.#events.filter((event) => event.offset > since);
    const recovered = epoch === null ? null : since !== null && missed.length <= RESUME;
    this.#send(socket, {
      type: "room_state",
      id,
      roomId: "r",
      epoch: String(this.epoch),
      offset: recovered ? since : this.#offset,
      data: {
        room: {
          id: "r",
          kind: "call",
          name: "Friday",
          visibility: "public",
          maxParticipants: 50,
          createdAt: "",
        },
        you: { role: "owner" },
        members: [],
        online: 1,
        messages: recovered ? [] : this.messages.slice(-STATE).map((message) => ({ ...message })),
        recovered,
        call: null,
      },
    });
    if (recovered) for (const { frame } of missed) this.#send(socket, frame);
  }

  #send(socket: FakeSocket, frame: object): void {
    // As in a browser, each frame is a task of its own.
    const say = () => void setTimeout(() => socket.say(frame), 0);
    const fate = this.fate();
    if (fate === "late") this.#late.push(say);
    if (fate === "now" || fate === "twice") say();
    if (fate === "twice") say();
  }
}
