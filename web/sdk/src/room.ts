import type { Api } from "./api.js";
import { Emitter } from "./emitter.js";
import { ConnectionLost, type ParlorError } from "./errors.js";
import { type Entry, echo, keyOf, newClientId, Outbox } from "./outbox.js";
import type { Call, Member, Message, Role, Room as RoomInfo, ServerFrame, Typist, User } from "./proto.js";
import { ANSWER_WITHIN_MS, Sending, within } from "./sending.js";
import { type Keep, Shelf } from "./shelf.js";
import { expectType, type FrameOf, type Socket } from "./socket.js";
import { Stream } from "./stream.js";

/** `waiting`: a host lets people in one by one, and has not let us in yet. */
export type RoomState = "idle" | "joining" | "waiting" | "joined" | "left" | "removed" | "refused";

/** All that a page shows of a room. A new object at each change, so that it can be compared by identity. */
export interface RoomSnapshot {
  state: RoomState;
  info: RoomInfo | null;
  role: Role;
  members: Member[];
  /** The history and, last, what is on its way. */
  messages: Entry[];
  /** There may be older messages than the first one here. */
  hasOlder: boolean;
  /** Nicknames of those who write at the moment. */
  typing: string[];
  /** Why the server refused the room, or removed us from it. */
  reason: { code: string; message: string } | null;
}

export interface RoomEvents {
  change: RoomSnapshot;
  /** Frames of this room's call, in the order they came. */
  call: ServerFrame;
  /** A message of ours was refused; its text stays in `messages`, as failed, until `retry` or `discard`. */
  refused: { clientId: string; error: ParlorError };
  /** The room's state came (again), with who is in the call. */
  state: { call: Call | null; resumed: boolean };
}

/** A note of typing is cleared after this long without another. */
const TYPING_MS = 5_000;
/** Our own typing is told again at most this often. */
const TYPING_EVERY_MS = 3_000;
const PAGE = 50;

/** One room: its members and messages, kept in step with the server over lost sockets. */
export class Room extends Emitter<RoomEvents> {
  readonly id: string;
  readonly #socket: Socket;
  readonly #api: Api;
  readonly #stream = new Stream();
  readonly #keep: Keep | null;
  readonly #drafts: Shelf<string> | null;
  readonly #sending: Sending;
  readonly #off: (() => void)[];
  readonly #typing = new Map<string, { nickname: string; timer: ReturnType<typeof setTimeout> }>();
  #outbox = new Outbox();
  #draft: string;
  #messages: Message[] = [];
  #members = new Map<string, Member>();
  #state: RoomState = "idle";
  #info: RoomInfo | null = null;
  #role: Role = "member";
  #hasOlder = false;
  #reason: RoomSnapshot["reason"] = null;
  #me: User | null = null;
  #typedAt = 0;
  #attempt = 0;
  #snapshot: RoomSnapshot | null = null;

  /** `keep` holds what was written and not sent over a reload. */
  constructor(id: string, socket: Socket, api: Api, keep: Keep | null = null) {
    super();
    this.id = id;
    this.#socket = socket;
    this.#api = api;
    this.#keep = keep;
    this.#drafts = keep && new Shelf(keep, "draft", id);
    this.#draft = this.#drafts?.read() ?? "";
    this.#sending = this.#sender();
    this.#become(api.user);
    this.#off = [
      socket.on("frame", (frame) => this.#receive(frame)),
      socket.on("authenticated", ({ resumed, user }) => {
        this.#become(user);
        if (["joined", "joining", "waiting"].includes(this.#state)) void this.#join(resumed);
      }),
      socket.on("siteRole", (role) => {
        if (this.#me) this.#me = { ...this.#me, role };
      }),
    ];
  }

  get socket(): Socket {
    return this.#socket;
  }

  get api(): Api {
    return this.#api;
  }

  get me(): User | null {
    return this.#me;
  }

  /** Whether we may send anything in its call: in a live room hosts alone do. */
  get mayPublish(): boolean {
    const hosts: readonly Role[] = ["moderator", "admin", "owner"];
    return (
      this.#info?.kind !== "live" || hosts.includes(this.#role) || (this.#me?.role ?? "member") !== "member"
    );
  }

  get snapshot(): RoomSnapshot {
    this.#snapshot ??= this.#take();
    return this.#snapshot;
  }

  /** Joins, now or when the socket is there, and joins again whenever it comes back. */
  join(): void {
    if (["joined", "joining", "waiting"].includes(this.#state)) return;
    this.#state = "joining";
    this.#changed();
    if (this.#socket.state === "open") void this.#join(false);
  }

  leave(): void {
    if (["joined", "joining", "waiting"].includes(this.#state))
      this.#socket.send("leave_room", { roomId: this.id });
    this.#state = "left";
    for (const off of this.#off) off();
    for (const { timer } of this.#typing.values()) clearTimeout(timer);
    this.#changed();
  }

  /** What is being written here; kept until it is sent. */
  get draft(): string {
    return this.#draft;
  }

  set draft(text: string) {
    this.#draft = text;
    this.#drafts?.write(text === "" ? null : text);
  }

  /**
   * Shows the message at once, and sends it now or when the socket is back. Gives the message's client id, or null when too many
   * wait already: then the text stays as the draft.
   */
  send(text: string, replyTo: string | null = null): string | null {
    const me = this.#me;
    const clientId = newClientId();
    const sender = me && { id: me.id, nickname: me.nickname };
    const entry = sender && this.#outbox.add(echo(this.id, sender, clientId, { text }, replyTo));
    this.draft = entry ? "" : text;
    if (!entry) return null;
    this.#typedAt = 0;
    this.#changed();
    void this.#sending.flush();
    return clientId;
  }

  retry(clientId: string): void {
    this.#outbox.retry(clientId);
    this.#changed();
    void this.#sending.flush();
  }

  discard(clientId: string): void {
    this.#outbox.discard(clientId);
    this.#changed();
  }

  async edit(messageId: string, text: string): Promise<void> {
    await this.#socket.request("edit_message", { roomId: this.id, messageId, content: { text } });
  }

  async delete(messageId: string): Promise<void> {
    await this.#socket.request("delete_message", { roomId: this.id, messageId });
  }

  async removeMember(userId: string, reason: string): Promise<void> {
    await this.#socket.request("remove_member", { roomId: this.id, userId, reason });
  }

  async setRole(userId: string, role: Role): Promise<void> {
    await this.#socket.request("set_member_role", { roomId: this.id, userId, role });
  }

  /** To be called at each key: tells the others at most every 3 s. */
  typing(): void {
    const now = Date.now();
    if (now - this.#typedAt < TYPING_EVERY_MS) return;
    this.#typedAt = now;
    this.#socket.send("typing", { roomId: this.id, typing: true });
  }

  /** Fetches a page of older messages. */
  async older(): Promise<void> {
    const first = this.#messages[0];
    if (!first) return;
    const page = await this.#api.messages(this.id, first.id, PAGE);
    if (this.#messages[0] !== first) return;
    this.#hasOlder = page.length === PAGE;
    for (const message of page) this.#acknowledge(message);
    this.#messages = [...page.reverse(), ...this.#messages];
    this.#changed();
  }

  async #join(resumed: boolean): Promise<void> {
    this.#state = "joining";
    this.#changed();
    const attempt = ++this.#attempt;
    const isLate = () => this.#state !== "joining" || attempt !== this.#attempt;
    const position = this.#stream.position;
    try {
      const asked = this.#socket.request("join_room", {
        roomId: this.id,
        epoch: position?.epoch ?? null,
        offset: position?.offset ?? null,
      });
      const frame = await within(asked, ANSWER_WITHIN_MS);
      if (isLate()) return;
      if (!frame) return void this.#join(resumed);
      this.#enter(expectType(frame, "room_state"), resumed);
    } catch (error) {
      if (error instanceof ConnectionLost || isLate()) return;
      const { code, message, retryAfterMs } = error as ParlorError;
      if (["rate_limited", "internal", "unavailable"].includes(code)) {
        setTimeout(() => isLate() || void this.#join(resumed), retryAfterMs ?? 1000);
        return;
      }
      this.#state = code === "waiting" ? "waiting" : "refused";
      this.#reason = { code, message };
      this.#changed();
    }
  }

  #enter({ data, epoch, offset }: FrameOf<"room_state">, resumed: boolean): void {
    this.#state = "joined";
    this.#info = data.room;
    this.#role = data.you.role;
    this.#members = new Map(data.members.map((member) => [member.userId, member]));
    // Recovered: the missed events follow, one by one, from where we stand.
    if (data.recovered !== true) {
      this.#stream.reset(epoch !== undefined && offset !== undefined ? { epoch, offset } : null);
      this.#messages = data.messages;
      // What strangers write is never stored: there is no history to page back through.
      this.#hasOlder = data.messages.length === PAGE && data.room.kind !== "match";
      for (const message of data.messages) this.#acknowledge(message);
    }
    this.#changed();
    this.emit("state", { call: data.call, resumed });
    void this.#sending.flush();
  }

  #receive(frame: ServerFrame): void {
    if (frame.roomId !== this.id) return;
    switch (frame.type) {
      case "removed":
        return this.#removed(frame.data.reason ?? "");
      case "call.admitted":
        if (this.#state === "waiting") void this.#join(false);
        return;
      case "call.denied":
        return this.#denied();
      case "slots":
      case "track.stopped":
      case "call.participant":
      case "call.participant_left":
      case "call.layers":
      case "call.quality":
      case "call.speakers":
      case "call.ended":
      case "call.controls":
      case "call.waiting":
      case "recording.starting":
      case "recording.started":
      case "recording.stopped":
        return this.emit("call", frame);
      default:
        // `room_state` is the answer to `join_room`, which waits for it. A message outside the stream is the answer to one that
        // was sent twice: its event has come, or will.
        if (frame.type === "room_state") return;
        if (frame.epoch !== undefined && frame.offset !== undefined)
          this.#advance(frame, frame.epoch, frame.offset);
        else if (frame.type !== "new_message") this.#apply(frame);
    }
  }

  #advance(frame: ServerFrame, epoch: string, offset: number): void {
    if (this.#state !== "joined") return;
    const verdict = this.#stream.accept(epoch, offset);
    if (verdict === "apply") this.#apply(frame);
    else if (verdict === "gap") void this.#join(true);
  }

  #apply(frame: ServerFrame): void {
    switch (frame.type) {
      case "new_message": {
        const { message } = frame.data;
        this.#acknowledge(message);
        this.#quiet(message.sender.id);
        if (!this.#messages.some(({ id }) => id === message.id))
          this.#messages = [...this.#messages, message];
        break;
      }
      case "message_edited": {
        const { message } = frame.data;
        this.#messages = this.#messages.map((old) => (old.id === message.id ? message : old));
        break;
      }
      case "message_deleted": {
        const { messageId } = frame.data;
        this.#messages = this.#messages.map((old) =>
          old.id === messageId ? { ...old, deleted: true, content: { text: "" } } : old,
        );
        break;
      }
      case "typing":
        this.#types(frame.data);
        break;
      case "member_joined": {
        const { member } = frame.data;
        this.#members.set(member.userId, member);
        break;
      }
      case "member_left":
        this.#members.delete(frame.data.userId);
        this.#quiet(frame.data.userId);
        break;
      case "member_role": {
        const { userId, role } = frame.data;
        const member = this.#members.get(userId);
        if (member) this.#members.set(userId, { ...member, role });
        if (userId === this.#me?.id) this.#role = role;
        break;
      }
      default:
        return;
    }
    this.#changed();
  }

  #acknowledge(message: Message): boolean {
    return message.sender.id === this.#me?.id && this.#outbox.acknowledge(message);
  }

  #removed(reason: string): void {
    this.#state = "removed";
    this.#reason = { code: "removed", message: reason };
    this.#changed();
  }

  #denied(): void {
    if (this.#state !== "waiting") return;
    this.#state = "refused";
    this.#reason = { code: "denied", message: "The host did not let you in." };
    this.#changed();
  }

  #types({ userId, nickname, typing }: Typist): void {
    this.#quiet(userId);
    if (!typing || userId === this.#me?.id) return;
    const timer = setTimeout(() => {
      this.#typing.delete(userId);
      this.#changed();
    }, TYPING_MS);
    this.#typing.set(userId, { nickname, timer });
  }

  #quiet(userId: string): void {
    clearTimeout(this.#typing.get(userId)?.timer);
    this.#typing.delete(userId);
  }

  /** Whose room this is from now on: what they left unsent here goes on its way. */
  #become(user: User | null): void {
    const was = this.#me;
    this.#me = user;
    if (!user || user.id === was?.id || !this.#keep) return;
    this.#outbox = new Outbox(new Shelf(this.#keep, "outbox", user.id, this.id));
    this.#snapshot = null;
  }

  #sender(): Sending {
    const room = this;
    return new Sending({
      get outbox() {
        return room.#outbox;
      },
      isOpen: () => this.#state === "joined",
      send: (entry) => this.#deliver(entry),
      refused: ({ message: { clientId } }, error) => {
        this.#changed();
        this.emit("refused", { clientId, error });
      },
      outside: () => void (this.#state === "joined" && this.#join(true)),
    });
  }

  async #deliver({ message }: Entry): Promise<void> {
    const { clientId, content, replyTo } = message;
    const asked = this.#socket.request("send_message", { roomId: this.id, clientId, content, replyTo });
    // The event itself settles it, whichever way it comes.
    const answer = await within(Promise.race([asked, this.#outbox.settled(clientId)]), ANSWER_WITHIN_MS);
    // Nobody waits for it any more, but it may still be refused, as when the socket is lost.
    asked.catch(() => undefined);
    // What the server says outside of the stream is a message that was sent before.
    if (answer && this.#acknowledge(expectType(answer, "new_message").data.message)) this.#changed();
  }

  #changed(): void {
    this.#snapshot = null;
    this.emit("change", this.snapshot);
  }

  #take(): RoomSnapshot {
    const sent = this.#messages.map(
      (message): Entry => ({ key: keyOf(message), message, state: "sent", error: null }),
    );
    const keys = new Set(sent.map(({ key }) => key));
    return {
      state: this.#state,
      info: this.#info,
      role: this.#role,
      members: [...this.#members.values()],
      messages: [...sent, ...this.#outbox.entries.filter(({ key }) => !keys.has(key))],
      hasOlder: this.#hasOlder,
      typing: [...this.#typing.values()].map(({ nickname }) => nickname),
      reason: this.#reason,
    };
  }
}
