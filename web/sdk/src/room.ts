import { Acts } from "./acts.js";
import type { Api } from "./api.js";
import { Archive } from "./archive.js";
import { Emitter } from "./emitter.js";
import { ConnectionLost, type ParlorError } from "./errors.js";
import { Marks } from "./marks.js";
import { type Entry, newClientId, Outbox, type Unsent } from "./outbox.js";
import { Pages } from "./pages.js";
import type { Call, Message, Role, ServerFrame, Typist, Unread, User } from "./proto.js";
import { counted, type Reading, readTo, toldOf, UNREAD } from "./reading.js";
import { ANSWER_WITHIN_MS, Sending, within } from "./sending.js";
import { type Keep, Shelf } from "./shelf.js";
import { Drawing, type RoomSnapshot, type RoomState } from "./shown.js";
import { expectType, type FrameOf, type Socket } from "./socket.js";
import { Stream } from "./stream.js";
import { applied, EMPTY, entered, known, type Timeline } from "./timeline.js";
import { echoOf, newContentOf, type Writing } from "./writing.js";

export interface RoomEvents {
  change: RoomSnapshot;
  /** A durable event of the room, after it was applied. */
  event: ServerFrame;
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
/** Rooms where people are told how far others have read. */
const WITH_RECEIPTS: readonly string[] = ["dm", "groupDm", "group"];

/** One room: its members and messages, kept in step with the server over lost sockets. */
export class Room extends Emitter<RoomEvents> {
  readonly id: string;
  /** What the server keeps of it, over REST. */
  readonly archive: Archive;
  /** What one has put to its messages oneself. */
  readonly marks: Marks;
  /** Its history. */
  readonly pages: Pages;
  /** What one does to its messages and members. */
  readonly acts: Acts;
  readonly #drawing = new Drawing();
  readonly #socket: Socket;
  readonly #api: Api;
  readonly #stream = new Stream();
  readonly #keep: Keep | null;
  #drafts: Shelf<string> | null = null;
  readonly #sending: Sending;
  readonly #off: (() => void)[];
  readonly #typing = new Map<string, { nickname: string; timer: ReturnType<typeof setTimeout> }>();
  #outbox = new Outbox();
  #draft = "";
  #timeline: Timeline = EMPTY;
  #reading: Reading = UNREAD;
  #mutedUntil: string | null = null;
  #blocked: ReadonlySet<string> = new Set();
  #state: RoomState = "idle";
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
    this.archive = new Archive(api, id);
    this.marks = new Marks(this.archive, () => this.#changed());
    this.pages = new Pages(this.archive, this.#view());
    this.acts = new Acts(id, socket, this.marks);
    this.#keep = keep;
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
      this.#timeline.info?.kind !== "live" ||
      hosts.includes(this.#timeline.role) ||
      (this.#me?.role ?? "member") !== "member"
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

  /** What is being written in a thread. */
  draftOf(threadId: string): string {
    return this.#shelfOf(threadId)?.read() ?? "";
  }

  keepDraft(threadId: string, text: string): void {
    this.#shelfOf(threadId)?.write(text === "" ? null : text);
  }

  /** Too many messages wait to be sent: no more are taken. */
  get isFull(): boolean {
    return this.#outbox.isFull;
  }

  /** What these write does not count as unread: they are those whom one blocks, whom the server does not count either. */
  ignore(userIds: ReadonlySet<string>): void {
    this.#blocked = userIds;
  }

  /**
   * Shows the message at once, and sends it now or when the socket is back. Gives the message's client id, or null when too many
   * wait already: then the text stays as the draft.
   */
  send(what: string | Writing, replyTo: string | null = null): string | null {
    const writing = typeof what === "string" ? { text: what, replyTo } : what;
    const me = this.#me;
    const clientId = newClientId();
    const entry = me && this.#outbox.add(echoOf(this.id, me, clientId, writing));
    // Something else may be on its way to be written by now.
    if (entry && !writing.threadId && this.#draft.trim() === writing.text?.trim()) this.draft = "";
    if (!entry && !writing.threadId && this.#draft === "") this.draft = writing.text ?? "";
    if (!entry) return null;
    this.#typedAt = 0;
    this.#changed();
    void this.#sending.flush();
    return clientId;
  }

  /** Says a message of any room again here. */
  forward(message: Message): string | null {
    return this.send({ forward: message });
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

  /** Says up to where one has read; nothing is sent when that is known. */
  markRead(messageId: string): void {
    const { unread } = this.#reading;
    if (!unread || (unread.readUpTo !== null && unread.readUpTo >= messageId)) return;
    if (this.#state !== "joined") return;
    this.#reading = readTo(this.#reading, messageId);
    this.#changed();
    this.#socket.request("mark_read", { roomId: this.id, messageId }).catch(() => undefined);
  }

  /** That message and all after it count again. */
  async markUnread(messageId: string): Promise<void> {
    await this.#socket.request("mark_unread", { roomId: this.id, messageId });
  }

  /** To be called at each key: tells the others at most every 3 s. */
  typing(): void {
    const now = Date.now();
    if (now - this.#typedAt < TYPING_EVERY_MS) return;
    this.#typedAt = now;
    this.#socket.send("typing", { roomId: this.id, typing: true });
  }

  /** A message, if it is loaded. */
  message(messageId: string): Message | null {
    return known(this.#timeline, messageId);
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
    this.#timeline = entered(this.#timeline, data);
    // Recovered: the missed events follow, one by one, from where we stand.
    if (data.recovered !== true) {
      this.#stream.reset(epoch !== undefined && offset !== undefined ? { epoch, offset } : null);
      this.pages.renew();
      this.marks.forget();
      for (const message of data.messages) this.#acknowledge(message);
    }
    this.#count(data.unread ?? null, data.recovered === true);
    if (WITH_RECEIPTS.includes(data.room.kind)) void this.#askReceipts();
    this.#changed();
    this.emit("state", { call: data.call, resumed });
    void this.#sending.flush();
  }

  /** What follows a recovered state is counted as it comes; it is asked for only when something was read elsewhere meanwhile. */
  #count(unread: Unread | null, recovered: boolean): void {
    const before = this.#reading.unread;
    if (!recovered || !before || !unread) this.#reading = { ...this.#reading, unread };
    else if (before.readUpTo !== unread.readUpTo)
      this.archive.unread().then(
        (told) => {
          this.#reading = { ...this.#reading, unread: told };
          this.#changed();
        },
        () => undefined,
      );
  }

  async #askReceipts(): Promise<void> {
    const told = await this.archive.receipts().catch(() => []);
    this.#reading = toldOf(this.#reading, told);
    this.#changed();
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
    if (verdict === "apply") {
      this.#apply(frame);
      this.emit("event", frame);
    }
    if (verdict === "gap") void this.#join(true);
  }

  #apply(frame: ServerFrame): void {
    const [me, timeline, reading] = [this.#me, this.#timeline, this.#reading];
    const doomed = frame.type === "message_deleted" ? known(timeline, frame.data.messageId) : null;
    this.#timeline = applied(timeline, frame, me);
    this.#reading = counted(reading, frame, { me, blocked: this.#blocked }, doomed);
    this.pages.follow(frame);
    const isMine = me !== null && this.marks.follow(frame, me.id);
    const isElse = this.#notice(frame);
    if (isMine || isElse || this.#timeline !== timeline || this.#reading !== reading) this.#changed();
  }

  /** What is neither of the timeline nor of reading; true when something was. */
  #notice(frame: ServerFrame): boolean {
    switch (frame.type) {
      case "new_message":
        this.#acknowledge(frame.data.message);
        this.#quiet(frame.data.message.sender.id);
        return true;
      case "typing":
        this.#types(frame.data);
        return true;
      case "member_left":
        this.#quiet(frame.data.userId);
        return true;
      case "member_muted":
        if (frame.data.userId !== this.#me?.id) return false;
        this.#mutedUntil = frame.data.until;
        return true;
      default:
        return false;
    }
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
    if (!user || user.id === was?.id) return;
    // Nothing of the former one's is anything of theirs.
    this.#stream.reset(null);
    this.#reading = UNREAD;
    this.marks.forget();
    const keep = this.#keep;
    this.#outbox = new Outbox(keep && new Shelf(keep, "outbox", user.id, this.id));
    this.#drafts = keep && new Shelf(keep, "draft", user.id, this.id);
    this.#draft = this.#drafts?.read() ?? "";
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
      held: ({ message: { clientId } }, error, pauseMs) => {
        this.#outbox.hold(clientId, error, Date.now() + pauseMs);
        this.#changed();
      },
      refused: ({ message: { clientId } }, error) => {
        const { until } = error.detail;
        if (error.code === "muted" && typeof until === "string") this.#mutedUntil = until;
        this.#changed();
        this.emit("refused", { clientId, error });
      },
      outside: () => void (this.#state === "joined" && this.#join(true)),
    });
  }

  async #deliver({ message }: Entry): Promise<void> {
    const { clientId, replyTo, forward, expiresInS } = message as Unsent;
    const asked = this.#socket.request("send_message", {
      roomId: this.id,
      clientId,
      content: forward ? {} : newContentOf(message.content),
      replyTo,
      ...(forward ? { forward } : {}),
      ...(expiresInS ? { expiresInS } : {}),
    });
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

  #shelfOf(threadId: string): Shelf<string> | null {
    return this.#keep && this.#me && new Shelf(this.#keep, "draft", this.#me.id, this.id, threadId);
  }

  /** Where pages of history are put. */
  #view(): { timeline: Timeline } {
    const room = this;
    return {
      get timeline() {
        return room.#timeline;
      },
      set timeline(timeline: Timeline) {
        room.#timeline = timeline;
        for (const message of timeline.latest.messages) room.#acknowledge(message);
        room.#changed();
      },
    };
  }

  #take(): RoomSnapshot {
    return {
      ...this.#drawing.of(this.#timeline, this.#outbox.entries),
      state: this.#state,
      typing: [...this.#typing.values()].map(({ nickname }) => nickname),
      unread: this.#reading.unread,
      receipts: this.#drawing.list(this.#reading.receipts),
      mutedUntil: this.#mutedUntil,
      reason: this.#reason,
    };
  }
}
