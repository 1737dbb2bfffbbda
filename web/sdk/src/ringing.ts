import type { Api } from "./api.js";
import { Emitter } from "./emitter.js";
import { ParlorError } from "./errors.js";
import type { CallRecord, CallType, ServerFrame } from "./proto.js";
import { type Page, queryOf } from "./rooms.js";
import { expectType, type Socket } from "./socket.js";

export interface RingingSnapshot {
  /** Calls that ring for us; the first one came first. */
  incoming: readonly CallRecord[];
  /** The call that we started and nobody has answered yet. */
  outgoing: CallRecord | null;
}

export interface RingingEvents {
  change: RingingSnapshot;
  /** Something about a call is different; it is always the whole of it. */
  call: CallRecord;
}

/** An invitation says how long it rings. The word that ends it may be lost: this much later nothing rings any more, in milliseconds. */
const GRACE_MS = 5_000;

/** Calls that ring. A device rings while the state of its own person is `ringing`, whichever device answers. */
export class Ringing extends Emitter<RingingEvents> {
  readonly #api: Api;
  readonly #socket: Socket;
  readonly #calls = new Map<string, CallRecord>();
  readonly #ends = new Map<string, ReturnType<typeof setTimeout>>();
  #snapshot: RingingSnapshot | null = null;

  constructor(api: Api, socket: Socket) {
    super();
    this.#api = api;
    this.#socket = socket;
    // After each login come those that still ring: what is not among them rings no more.
    socket.on("authenticated", () => this.#forget());
    socket.on("frame", (frame) => this.#receive(frame));
    socket.on("state", (state) => state === "closed" && this.#forget());
  }

  /** The same object until something changes. */
  get snapshot(): RingingSnapshot {
    this.#snapshot ??= this.#take();
    return this.#snapshot;
  }

  /** Rings: everybody in a direct room, in others these people. Two who call each other at once meet: the answer is then answered. */
  async start(roomId: string, type: CallType, participants?: string[]): Promise<CallRecord> {
    const answer = await this.#socket.request("start_call", {
      roomId,
      type,
      ...(participants ? { participants } : {}),
    });
    const { data } = expectType(answer, "call.ring");
    this.#put(data);
    return data;
  }

  /** Throws `not_found` when it rings no more. */
  async accept(callId: string): Promise<void> {
    await this.#socket.request("call.accept", { callId });
  }

  async decline(callId: string): Promise<void> {
    await this.#unlessOver(callId, this.#socket.request("call.decline", { callId }));
  }

  /** Whoever called thinks better of it. */
  async cancel(callId: string): Promise<void> {
    await this.#unlessOver(callId, this.#socket.request("call.cancel", { callId }));
  }

  /** One's calls of the last 90 days, the latest first. */
  history(userId: string, before?: string): Promise<Page<CallRecord>> {
    return this.#api.request("GET", `/users/${encodeURIComponent(userId)}/calls${queryOf({ before })}`);
  }

  #receive(frame: ServerFrame): void {
    if (frame.type === "call.ring") this.#put(frame.data);
    else if (frame.type === "call_invite") {
      const { expiresInMs, ...invite } = frame.data;
      const startedAt = new Date().toISOString();
      this.#put({ ...invite, startedAt, answeredAt: null, endedAt: null, outcome: null });
      clearTimeout(this.#ends.get(invite.callId));
      const end = setTimeout(() => this.#lapse(invite.callId), expiresInMs + GRACE_MS);
      this.#ends.set(invite.callId, end);
    }
  }

  #put(call: CallRecord): void {
    if (call.outcome === null) this.#calls.set(call.callId, call);
    else this.#drop(call.callId);
    this.#changed();
    this.emit("call", call);
  }

  /** What the server knows no more is over here too; the refusal is for whoever asked. */
  async #unlessOver(callId: string, asked: Promise<unknown>): Promise<void> {
    try {
      await asked;
    } catch (error) {
      if (error instanceof ParlorError && error.code === "not_found" && this.#drop(callId)) this.#changed();
      throw error;
    }
  }

  #lapse(callId: string): void {
    if (this.snapshot.incoming.some((call) => call.callId === callId) && this.#drop(callId)) this.#changed();
  }

  #drop(callId: string): boolean {
    clearTimeout(this.#ends.get(callId));
    this.#ends.delete(callId);
    return this.#calls.delete(callId);
  }

  #forget(): void {
    if (this.#calls.size === 0) return;
    for (const callId of [...this.#calls.keys()]) this.#drop(callId);
    this.#changed();
  }

  #changed(): void {
    this.#snapshot = null;
    this.emit("change", this.snapshot);
  }

  #take(): RingingSnapshot {
    const me = this.#api.user?.id;
    const calls = [...this.#calls.values()];
    return {
      incoming: calls.filter(
        ({ initiator, participants }) =>
          initiator.id !== me &&
          participants.some(({ userId, state }) => userId === me && state === "ringing"),
      ),
      outgoing: calls.find(({ initiator, answeredAt }) => initiator.id === me && answeredAt === null) ?? null,
    };
  }
}
