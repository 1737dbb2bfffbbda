import type { ClientBody as GeneratedBody, ServerFrame as GeneratedFrame } from "./proto.js";

// What docs/protocol.md says in section 8 and src/proto.rs does not generate yet.

export type MatchMode = "video" | "text";
export type MatchStage = "strict" | "interests" | "language" | "fallback";
export type MatchEnd =
  | "stopped"
  | "next"
  | "partner_left"
  | "partner_next"
  | "partner_lost"
  | "blocked"
  | "reported"
  | "violation"
  | "declined"
  | "unconfirmed"
  | "replaced";

export interface MatchStart {
  mode: MatchMode;
  interests: string[];
  language: string | null;
  confirm: boolean;
  fallback: boolean;
}

export interface MatchSearching {
  ticketId: string;
  stage: MatchStage;
  expiresInMs: number;
  estimatedWaitMs: number | null;
}

export interface MatchFound {
  matchId: string;
  mode: MatchMode;
  partner: { userId: string; nickname: string };
  sharedInterests: string[];
  roomId: string | null;
  callId: string | null;
  confirmWithinMs: number | null;
}

export interface MatchReady {
  matchId: string;
  roomId: string;
  callId: string;
}

export interface MatchEnded {
  /** `null` when it was a search that ended. */
  matchId: string | null;
  reason: MatchEnd;
}

export type ClientBody =
  | GeneratedBody
  | { type: "match.start"; data: MatchStart }
  | { type: "match.confirm"; data: { matchId: string; accept: boolean } }
  | { type: "match.next"; data: object }
  | { type: "match.stop"; data: object };

type Body =
  | { type: "match.searching"; data: MatchSearching }
  | { type: "match.found"; data: MatchFound }
  | { type: "match.ready"; data: MatchReady }
  | { type: "match.ended"; data: MatchEnded }
  | { type: "match.timeout"; data: { ticketId: string } };

export type ServerFrame =
  | GeneratedFrame
  | (Pick<GeneratedFrame, "roomId" | "epoch" | "offset" | "id"> & Body);
