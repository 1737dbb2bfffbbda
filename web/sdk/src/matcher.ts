import { Emitter } from "./emitter.js";
import { ConnectionLost, ParlorError } from "./errors.js";
import { IDLE, type MatchEvent, type MatchSnapshot, matchAfter, type Wishes } from "./match.js";
import type { MatchEnded, MatchFound, MatchReady, MatchSearching, ServerFrame } from "./proto.js";
import type { Socket } from "./socket.js";

export interface MatcherEvents {
  change: MatchSnapshot;
  searching: MatchSearching;
  found: MatchFound;
  /** There is a room to join: at once, or when both have said yes. */
  ready: MatchReady;
  ended: MatchEnded;
  timeout: { ticketId: string };
}

/** The server is given this much longer than it said before we stop waiting for its word. */
const SLACK_MS = 3_000;
/** Without a time in the refusal, the next try is this far off. */
const RETRY_MS = 1_000;

/** Looks for strangers, one at a time, over lost sockets and refusals for haste. The room of a match is joined by the page. */
export class Matcher extends Emitter<MatcherEvents> {
  readonly #socket: Socket;
  readonly #off: (() => void)[];
  #snapshot: MatchSnapshot = IDLE;
  #fallback = false;
  /** Changes with each thing we ask, so that a late answer to an earlier one does nothing. */
  #turn = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** A stop that no socket could carry. */
  #unsaid = false;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    this.#off = [
      socket.on("frame", (frame) => this.#receive(frame)),
      socket.on("authenticated", ({ resumed }) => this.#again(resumed)),
    ];
  }

  get snapshot(): MatchSnapshot {
    return this.#snapshot;
  }

  /** Looks for a stranger; `fallback` waits for anybody at once. A refusal shows in the snapshot's `problem`. */
  async start(wishes: Wishes, fallback = false): Promise<void> {
    this.#fallback = fallback;
    this.#apply({ type: "start", wishes });
    await this.#search();
  }

  /** Leaves this stranger and looks for another one, with the same wishes. */
  async next(): Promise<void> {
    const { phase, wishes, match } = this.#snapshot;
    if (!wishes || phase === "searching" || phase === "waiting") return;
    if (phase === "ready" && this.#socket.state === "open") return this.#leaveForNext(wishes);
    if (phase === "found" && match)
      this.#socket.send("match.confirm", { matchId: match.matchId, accept: false });
    await this.start(wishes);
  }

  /** Ends the match or the search. At once for us, whether the server hears of it now or later. */
  stop(): void {
    if (this.#snapshot.phase === "idle") return;
    this.#turn += 1;
    this.#apply({ type: "stop" });
    this.#unsaid = !this.#socket.send("match.stop", {});
  }

  /** Says yes or no to the stranger that was found. */
  async confirm(accept: boolean): Promise<void> {
    const { phase, match } = this.#snapshot;
    if (phase !== "found" || !match) return;
    this.#apply(accept ? { type: "accept" } : { type: "over", reason: "declined" });
    try {
      await this.#socket.request("match.confirm", { matchId: match.matchId, accept });
    } catch (error) {
      if (error instanceof ConnectionLost || this.#snapshot.match?.matchId !== match.matchId) return;
      if (!(error instanceof ParlorError) || error.code !== "not_in_match") throw error;
      if (accept) this.#apply({ type: "over", reason: "unconfirmed" });
    }
  }

  /** Stops, and listens no more. */
  close(): void {
    this.stop();
    clearTimeout(this.#timer);
    for (const off of this.#off) off();
  }

  async #leaveForNext(wishes: Wishes): Promise<void> {
    const turn = ++this.#turn;
    this.#fallback = false;
    const answer = this.#socket.request("match.next", {});
    // Whatever the answer is, we are away from this stranger now.
    this.#apply({ type: "start", wishes });
    try {
      await answer;
    } catch (error) {
      if (turn !== this.#turn || error instanceof ConnectionLost) return;
      const { code } = error as ParlorError;
      // The stranger was faster: there is nothing to leave.
      if (code === "not_in_match") return this.#search();
      this.#socket.send("match.stop", {});
      this.#refused(error as ParlorError);
    }
  }

  async #search(): Promise<void> {
    const { wishes } = this.#snapshot;
    // Without the socket it is asked when the socket is back.
    if (!wishes || this.#socket.state !== "open") return;
    const turn = ++this.#turn;
    this.#unsaid = false;
    try {
      await this.#socket.request("match.start", { ...wishes, fallback: this.#fallback });
    } catch (error) {
      if (turn !== this.#turn || error instanceof ConnectionLost) return;
      this.#refused(error as ParlorError);
    }
  }

  /** Searches later, when waiting helps; else it is over. */
  #refused({ code, message, retryAfterMs }: ParlorError): void {
    const turn = ++this.#turn;
    if (retryAfterMs === null && code !== "rate_limited")
      return this.#apply({ type: "refuse", problem: { code, message } });
    const afterMs = retryAfterMs ?? RETRY_MS;
    this.#apply({ type: "wait", until: Date.now() + afterMs });
    this.#timer = setTimeout(() => {
      const { wishes } = this.#snapshot;
      if (turn === this.#turn && wishes) void this.start(wishes, this.#fallback);
    }, afterMs);
  }

  // A resumed session has its ticket or match; a new one has nothing. What was said meanwhile may be lost: the timer finds out.
  #again(resumed: boolean): void {
    const { phase, stage } = this.#snapshot;
    if (this.#unsaid) {
      this.#unsaid = false;
      if (resumed) this.#socket.send("match.stop", {});
    }
    if (phase === "searching" && (!resumed || stage === null)) void this.#search();
    else if (!resumed && (phase === "found" || phase === "ready"))
      this.#apply({ type: "over", reason: "lost" });
  }

  #receive(frame: ServerFrame): void {
    const before = this.#snapshot;
    this.#apply({ type: "frame", frame, now: Date.now() });
    const after = this.#snapshot;
    if (after === before) return;
    if (frame.type === "match.searching") this.emit("searching", frame.data);
    else if (frame.type === "match.found") {
      this.emit("found", frame.data);
      const { matchId, roomId, callId } = frame.data;
      if (roomId && callId) this.emit("ready", { matchId, roomId, callId });
    } else if (frame.type === "match.ready") this.emit("ready", frame.data);
    else if (frame.type === "match.ended") this.emit("ended", frame.data);
    else if (frame.type === "match.timeout") this.emit("timeout", frame.data);
  }

  #apply(event: MatchEvent): void {
    const before = this.#snapshot;
    const after = matchAfter(before, event);
    if (after === before) return;
    this.#snapshot = after;
    clearTimeout(this.#timer);
    if (after.until !== null && (after.phase === "searching" || after.phase === "found")) {
      const leftMs = Math.max(0, after.until - Date.now());
      this.#timer = setTimeout(() => this.#apply({ type: "expire" }), leftMs + SLACK_MS);
    }
    this.emit("change", after);
  }
}
