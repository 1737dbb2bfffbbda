import type { MatchEnd, MatchFound, MatchMode, MatchStage, ServerFrame, Stranger } from "./proto.js";

/** What one looks for in a stranger. */
export interface Wishes {
  mode: MatchMode;
  /** Up to 10, of up to 32 characters each. */
  interests: string[];
  /** BCP 47 primary tag; null: any. */
  language: string | null;
  /** Both say yes before they meet. */
  confirm: boolean;
}

/**
 * `searching` for a stranger · `waiting` until the server lets us search again · `found`, and both have to say yes · `ready`:
 * there is a room to join · `ended` · `timeout`: nobody was there.
 */
export type MatchPhase = "idle" | "searching" | "waiting" | "found" | "ready" | "ended" | "timeout";

export interface Match {
  matchId: string;
  mode: MatchMode;
  partner: Stranger;
  sharedInterests: string[];
  roomId: string | null;
  callId: string | null;
  /** We have said yes. */
  accepted: boolean;
}

/** Why a match is over; `lost`: our own connection was away for too long. */
export type MatchOver = MatchEnd | "lost";

export interface MatchSnapshot {
  phase: MatchPhase;
  wishes: Wishes | null;
  /** How far the search has widened; null until the server has it. */
  stage: MatchStage | null;
  estimatedWaitMs: number | null;
  /** When this phase is over, in milliseconds since 1970 by this page's clock: the search, the waiting, the time to say yes. */
  until: number | null;
  /** The match; the last one when it has ended. */
  match: Match | null;
  reason: MatchOver | null;
  /** Why the server would not search. */
  problem: { code: string; message: string } | null;
}

export type MatchEvent =
  | { type: "start"; wishes: Wishes }
  /** The server has us search later. */
  | { type: "wait"; until: number }
  | { type: "stop" }
  | { type: "accept" }
  | { type: "refuse"; problem: { code: string; message: string } }
  /** Our part is over, whatever the server said of it. */
  | { type: "over"; reason: MatchOver }
  /** The server should have spoken by now. */
  | { type: "expire" }
  | { type: "frame"; frame: ServerFrame; now: number };

export const IDLE: MatchSnapshot = {
  phase: "idle",
  wishes: null,
  stage: null,
  estimatedWaitMs: null,
  until: null,
  match: null,
  reason: null,
  problem: null,
};

const NO_SEARCH = { stage: null, estimatedWaitMs: null, until: null } as const;

/** Where a search for strangers stands after an event. The same object when the event changes nothing. */
export function matchAfter(before: MatchSnapshot, event: MatchEvent): MatchSnapshot {
  switch (event.type) {
    case "start":
      return { ...IDLE, phase: "searching", wishes: event.wishes };
    case "wait":
      return { ...before, ...NO_SEARCH, phase: "waiting", until: event.until };
    case "stop":
      return { ...IDLE, wishes: before.wishes };
    case "refuse":
      return { ...IDLE, wishes: before.wishes, problem: event.problem };
    case "accept":
      return before.match ? { ...before, match: { ...before.match, accepted: true } } : before;
    case "over":
      return { ...before, ...NO_SEARCH, phase: "ended", reason: event.reason };
    case "expire":
      if (before.phase === "searching") return { ...before, ...NO_SEARCH, phase: "timeout" };
      if (before.phase === "found") return { ...before, ...NO_SEARCH, phase: "ended", reason: "unconfirmed" };
      return before;
    case "frame":
      // Who looks for nobody is told nothing: such a frame has crossed our own stop, or belongs to another page of ours.
      return before.phase === "idle" ? before : told(before, event.frame, event.now);
  }
}

function told(before: MatchSnapshot, frame: ServerFrame, now: number): MatchSnapshot {
  switch (frame.type) {
    case "match.searching": {
      const { stage, estimatedWaitMs, expiresInMs } = frame.data;
      const reason = before.phase === "searching" || before.phase === "ended" ? before.reason : null;
      return {
        ...before,
        phase: "searching",
        stage,
        estimatedWaitMs,
        until: now + expiresInMs,
        match: null,
        reason,
      };
    }
    case "match.found":
      return { ...found(before, frame.data), until: until(frame.data.confirmWithinMs, now) };
    case "match.ready": {
      const { matchId, roomId, callId } = frame.data;
      if (before.match?.matchId !== matchId) return before;
      const match = { ...before.match, roomId, callId };
      return { ...before, ...NO_SEARCH, phase: "ready", match };
    }
    case "match.ended":
      // A search ends like a match, when it was begun again in another page of ours.
      return (before.match?.matchId ?? null) === frame.data.matchId
        ? ended(before, frame.data.reason)
        : before;
    case "match.timeout":
      return before.phase === "searching" ? { ...before, ...NO_SEARCH, phase: "timeout" } : before;
    default:
      return before;
  }
}

function found(before: MatchSnapshot, { confirmWithinMs, ...match }: MatchFound): MatchSnapshot {
  const accepted = before.match?.matchId === match.matchId && before.match.accepted;
  return {
    ...before,
    ...NO_SEARCH,
    phase: match.roomId ? "ready" : "found",
    match: { ...match, accepted },
    reason: null,
  };
}

function ended(before: MatchSnapshot, reason: MatchEnd): MatchSnapshot {
  // Our own doing: the search that follows it, or nothing.
  if (reason === "next") return { ...before, ...NO_SEARCH, phase: "searching", match: null, reason: null };
  if (reason === "stopped") return { ...IDLE, wishes: before.wishes };
  return { ...before, ...NO_SEARCH, phase: "ended", reason };
}

function until(withinMs: number | null, now: number): number | null {
  return withinMs === null ? null : now + withinMs;
}
