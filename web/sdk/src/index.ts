export {
  Api,
  type Banned,
  type Block,
  bannedOf,
  type Entry as UserEntry,
  type ListedRoom,
  type NewReport,
  type NewRoom,
  REPORT_REASONS,
  type ReportReason,
} from "./api.js";
export { backoffMs } from "./backoff.js";
export { Call, type CallOptions } from "./call.js";
export { Emitter } from "./emitter.js";
export { type PictureCodec, SHARE_PLANS, type ShareMode } from "./encodings.js";
export { ConnectionLost, ParlorError } from "./errors.js";
export { type CallOver, type Held, type Hosted, Hosting, NO_CONTROLS } from "./hosting.js";
export {
  IDLE,
  type Match,
  type MatchEvent,
  type MatchOver,
  type MatchPhase,
  type MatchSnapshot,
  matchAfter,
  type Wishes,
} from "./match.js";
export { Matcher, type MatcherEvents } from "./matcher.js";
export {
  type Act,
  type Ban,
  type CaseAction,
  type CaseDetails,
  type CaseEvent,
  type CaseFilter,
  type CasePriority,
  type CaseReport,
  type CaseStatus,
  type Decision,
  type Evidence,
  type FrozenMessages,
  type LogEntry,
  type Model,
  Moderation,
  type Named,
  type ReviewCase,
  type SamplingStatus,
} from "./moderation.js";
export { type Entry, type EntryState, OUTBOX_LIMIT } from "./outbox.js";
export { Parlor, type ParlorOptions } from "./parlor.js";
export type * from "./proto.js";
export { CLOSE_ACTIONS, CloseCode } from "./proto.js";
export {
  type QualityFlow,
  type QualityHistory,
  type QualityLine,
  type QualityPoint,
  qualityHistory,
  qualityOf,
} from "./quality.js";
export { type RecordingNow, recordingAfter } from "./recording.js";
export {
  type Composition,
  type FileLink,
  type Recording,
  type RecordingFile,
  type RecordingState,
  Recordings,
} from "./recordings.js";
export { Room, type RoomEvents, type RoomSnapshot, type RoomState } from "./room.js";
export type { Keep } from "./shelf.js";
export { SlotMap } from "./slots.js";
export {
  type AudioSlot,
  type CallEvents,
  type CallPhase,
  type CallSnapshot,
  trackOf,
} from "./snapshot.js";
export {
  closeAction,
  type FrameOf,
  Socket,
  type SocketEvents,
  type SocketState,
} from "./socket.js";
export { type Position, Stream, type Verdict } from "./stream.js";
export { type NewStreamKey, type StreamKey, StreamKeys, type StreamKind } from "./streaming.js";
export type { TileOptions } from "./tile.js";
export { viewOf } from "./view.js";
