import type { CallOver, Held, Hosted } from "./hosting.js";
import type {
  Controls,
  Participant,
  Quality,
  Rated,
  RecordingStopped,
  Speaker,
  Track,
  TrackSource,
  TrackStopped,
  Waiter,
} from "./proto.js";
import type { RecordingNow } from "./recording.js";

/** `consent`: the call is recorded, and we are not in it until `acceptRecording`. */
export type CallPhase = "idle" | "connecting" | "consent" | "connected" | "reconnecting" | "ended" | "failed";

/** The sound of one audio slot, to be played by an <audio> element. */
export interface AudioSlot {
  mid: string;
  stream: MediaStream;
  participantId: string | null;
}

export interface CallSnapshot {
  phase: CallPhase;
  callId: string | null;
  participantId: string | null;
  participants: Participant[];
  /** How many watch a live room's call without being named; 0 in others. */
  viewers: number;
  /** What our own line is like; `null` until it has been measured. Everybody's is in `participants`. */
  quality: Quality | null;
  /** Loudest first. */
  speakers: Speaker[];
  audio: AudioSlot[];
  /** The recording that is about to start or runs. */
  recording: RecordingNow | null;
  /** What of ours the site's moderation stopped; it stays so as long as the call lasts. */
  moderated: readonly TrackSource[];
  /** What the call's hosts have settled. */
  controls: Controls;
  /** What of ours a host, or the site's moderation, holds. */
  held: Held;
  /** Who waits to be let in; hosts alone know. */
  waiting: readonly Waiter[];
  /** Why the call is over, where we did not leave. */
  over: CallOver | null;
  /** Why the call could not be entered. */
  reason: { code: string; message: string } | null;
}

export interface CallEvents {
  change: CallSnapshot;
  /** The host or the site's moderation stopped a track of ours. */
  stopped: TrackStopped;
  /** A host did something. */
  hosted: Hosted;
  /** These participants' lines are another than they were. */
  quality: readonly Rated[];
  /** The call is being recorded: ask the person, then `acceptRecording` or `leave`. */
  consent: { message: string };
  recordingStopped: RecordingStopped;
}

/** The track of a participant with this source. */
export function trackOf(participant: Participant, source: TrackSource): Track | null {
  return participant.tracks.find((track) => track.source === source) ?? null;
}
