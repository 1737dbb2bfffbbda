import type { Api } from "./api.js";
import type { Participant, Quality, QualityDirection, QualityLevel, QualityReason, Rated } from "./proto.js";

/** One direction of a line. */
export interface QualityFlow {
  /** Of a thousand packets, those lost on their first way; `null`: none were sent. */
  lossPerMille: number | null;
  jitterMs: number;
  freezes: number;
}

/** What a line was like in a stretch of time: the worst of it. */
export interface QualityPoint {
  /** The stretch's end. */
  at: string;
  level: QualityLevel;
  reason: QualityReason | null;
  direction: QualityDirection | null;
  /** 0–93, on the scale of the E-model. */
  score: number;
  rttMs: number | null;
  up: QualityFlow;
  down: QualityFlow;
  /** What the line bore of what the tiles asked for. */
  bandwidthPercent: number | null;
}

export interface QualityLine {
  participantId: string;
  userId: string;
  nickname: string;
  /** How long a stretch each point stands for. */
  everyS: number;
  /** Oldest first. */
  points: QualityPoint[];
}

export interface QualityHistory {
  callId: string;
  participants: QualityLine[];
}

/** What the lines of a call were like, while it runs and for ten minutes after: everybody's for hosts, else one's own. */
export function qualityHistory(
  api: Api,
  callId: string,
  { participantId, since }: { participantId?: string; since?: string } = {},
): Promise<QualityHistory> {
  const query = new URLSearchParams({
    ...(participantId ? { participantId } : {}),
    ...(since ? { since } : {}),
  });
  return api.request("GET", `/calls/${encodeURIComponent(callId)}/quality?${query}`);
}

/** Puts what is said of lines to those whose lines they are. */
export function rate(participants: Map<string, Participant>, rated: readonly Rated[]): void {
  for (const { participantId, quality } of rated) {
    const known = participants.get(participantId);
    if (known) participants.set(participantId, { ...known, quality });
  }
}

/** What somebody's line is like; `null` until it has been measured. */
export function qualityOf(participant: Participant | null | undefined): Quality | null {
  return participant?.quality ?? null;
}
