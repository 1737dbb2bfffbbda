import type { Api } from "./api.js";
import type { Message, TrackSource } from "./proto.js";

export type CaseStatus = "pending" | "reviewing" | "resolved" | "dismissed" | "escalated";
export type CasePriority = "low" | "medium" | "high" | "critical";
/** `open` is everything that still waits for a decision. */
export type CaseFilter = CaseStatus | "open";
export type CaseAction = "dismiss" | "stopTrack" | "remove" | "ban" | "escalate";

/** Somebody, under the name they have now. */
export interface Named {
  userId: string;
  nickname: string;
}

export interface Decision {
  action: CaseAction;
  reason: string;
  by: Named;
  at: string;
}

/** Something that a person has to decide. */
export interface ReviewCase {
  caseId: string;
  status: CaseStatus;
  priority: CasePriority;
  source: "sampler" | "unsampled" | "report";
  /** What the classifier saw, or what was reported. */
  label: string | null;
  subject: Named;
  roomId: string | null;
  roomName?: string | null;
  callId: string | null;
  participantId: string | null;
  trackId: string | null;
  trackSource: TrackSource | null;
  /** The track still runs. */
  live: boolean;
  reportCount: number;
  createdAt: string;
  updatedAt: string;
  claimedBy: (Named & { until: string }) | null;
  decision: Decision | null;
}

export interface Model {
  name: string;
  sha256: string;
}

/** A picture or some messages, as they were. The thing itself is fetched apart, and that is logged. */
export interface Evidence {
  evidenceId: string;
  kind: "frame" | "messages";
  mediaType: string;
  sha256: string;
  takenAt: string;
  expiresAt: string;
  width: number | null;
  height: number | null;
  scores: Record<string, number> | null;
  /** From which probability on the case's label counts. */
  threshold?: number | null;
  model: Model | null;
}

export interface FrozenMessages {
  messages: Message[];
  /** Which of them was reported. */
  reportedId: string;
}

export interface CaseReport {
  reportId: string;
  reason: string;
  description: string | null;
  reporter: Named | null;
  at: string;
}

/** Something that was done about a case. */
export interface CaseEvent {
  action: string;
  /** Null when the server did it. */
  by: Named | null;
  reason: string | null;
  at: string;
  durationS?: number | null;
}

export interface Ban {
  banId: string;
  user: Named;
  reason: string;
  by: Named | null;
  at: string;
  /** Null: for good. */
  until: string | null;
  caseId: string | null;
  liftedAt?: string | null;
}

export interface CaseDetails extends ReviewCase {
  evidence: Evidence[];
  reports: CaseReport[];
  events: CaseEvent[];
  /** What else is known of the person. */
  history: { cases: ReviewCase[]; bans: Ban[] };
}

export interface Act {
  action: CaseAction;
  reason: string;
  /** For a ban; without it, for good. */
  durationS?: number;
}

export interface LogEntry {
  entryId: string;
  at: string;
  by: Named | null;
  action: string;
  subject: Named | null;
  caseId: string | null;
  reason: string | null;
  durationS?: number | null;
}

/** How the sampling of video fares. */
export interface SamplingStatus {
  state: "ok" | "degraded" | "off";
  reasons: string[];
  model: Model | null;
  sampledTracks: number;
  unsampledTracks: number;
}

/** The review desk's REST calls, for the site's moderators. They throw as those of `Api` do. */
export class Moderation {
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
  }

  /** A page of cases: critical ones first, then the oldest. */
  cases(
    status: CaseFilter,
    before?: string,
    limit = 50,
  ): Promise<{ cases: ReviewCase[] /** How many wait for a decision, on all pages. */; open: number }> {
    return this.#api.request("GET", `/moderation/cases?${page({ status, before, limit })}`);
  }

  case(caseId: string): Promise<CaseDetails> {
    return this.#api.request("GET", caseOf(caseId));
  }

  /** Takes a case for five minutes, or keeps it for five more. Throws `conflict` when somebody else has it. */
  async claim(caseId: string): Promise<void> {
    await this.#api.request("POST", `${caseOf(caseId)}/claim`);
  }

  async release(caseId: string): Promise<void> {
    await this.#api.request("DELETE", `${caseOf(caseId)}/claim`);
  }

  /** Decides a case. Throws `conflict` when somebody else has claimed or decided it. */
  async act(caseId: string, act: Act): Promise<void> {
    await this.#api.request("POST", `${caseOf(caseId)}/actions`, act);
  }

  /** The picture or the text itself. Each look is logged. */
  evidence(evidenceId: string): Promise<Blob> {
    return this.#api.file(`/moderation/evidence/${encodeURIComponent(evidenceId)}`);
  }

  /** The bans in force. */
  async bans(): Promise<Ban[]> {
    return (await this.#api.request<{ bans: Ban[] }>("GET", "/moderation/bans")).bans;
  }

  async liftBan(banId: string, reason: string): Promise<void> {
    await this.#api.request("DELETE", `/moderation/bans/${encodeURIComponent(banId)}`, { reason });
  }

  /** A page of what moderators did, newest first. */
  async log(before?: string, limit = 50): Promise<LogEntry[]> {
    const query = page({ before, limit });
    return (await this.#api.request<{ entries: LogEntry[] }>("GET", `/moderation/log?${query}`)).entries;
  }

  status(): Promise<SamplingStatus> {
    return this.#api.request("GET", "/moderation/status");
  }
}

function caseOf(caseId: string): string {
  return `/moderation/cases/${encodeURIComponent(caseId)}`;
}

function page(query: Record<string, string | number | undefined>): string {
  const known = Object.entries(query).filter(([, value]) => value !== undefined);
  return new URLSearchParams(known.map(([name, value]) => [name, String(value)])).toString();
}
