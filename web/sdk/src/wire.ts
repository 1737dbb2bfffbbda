import type {
  CallOffer,
  ClientBody as GeneratedBody,
  Call as GeneratedCall,
  ServerFrame as GeneratedFrame,
  Participant as GeneratedParticipant,
  Track as GeneratedTrack,
  TrackSource,
} from "./proto.js";

// What docs/protocol.md says in sections 6 to 8 and src/proto.rs does not generate yet.

export type Track = GeneratedTrack & { cleared?: boolean };
export type Participant = Omit<GeneratedParticipant, "tracks"> & { tracks: Track[] };
export type Call = Omit<GeneratedCall, "participants"> & {
  participants: Participant[];
  recording?: CallRecording | null;
};

export interface CallRecording {
  recordingId: string;
  state: "starting" | "running";
  startedAt: string | null;
  startedBy: string;
}

export interface RecordingStarting {
  recordingId: string;
  startsInMs: number;
  startedBy: string;
}

export interface RecordingStarted {
  recordingId: string;
  startedAt: string;
}

export type RecordingStop = "stopped" | "call_ended" | "disk_full" | "failed" | "server_stopped";

export interface RecordingStopped {
  recordingId: string;
  reason: RecordingStop;
}

export type ComposeState = "queued" | "running" | "done" | "failed" | "cancelled";

export interface RecordingComposed {
  recordingId: string;
  state: ComposeState;
  progress: number;
  error: string | null;
}

export interface TrackStopped {
  trackId: string;
  source: TrackSource;
  reason: "muted_by_host" | "moderation";
}

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
  | "unconfirmed";

export interface MatchStart {
  mode: MatchMode;
  interests: string[];
  language: string;
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
  matchId: string;
  reason: MatchEnd;
}

export type ClientBody =
  | GeneratedBody
  | { type: "call.offer"; data: CallOffer & { acceptRecording?: boolean } }
  | { type: "match.start"; data: MatchStart }
  | { type: "match.confirm"; data: { matchId: string; accept: boolean } }
  | { type: "match.next"; data: object }
  | { type: "match.stop"; data: object };

type Body =
  | { type: "recording.starting"; data: RecordingStarting }
  | { type: "recording.started"; data: RecordingStarted }
  | { type: "recording.stopped"; data: RecordingStopped }
  | { type: "recording.composed"; data: RecordingComposed }
  | { type: "match.searching"; data: MatchSearching }
  | { type: "match.found"; data: MatchFound }
  | { type: "match.ready"; data: MatchReady }
  | { type: "match.ended"; data: MatchEnded }
  | { type: "match.timeout"; data: { ticketId: string } };

export type ServerFrame =
  | GeneratedFrame
  | (Pick<GeneratedFrame, "roomId" | "epoch" | "offset" | "id"> & Body);
