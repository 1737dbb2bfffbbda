export {
  type Account,
  Accounts,
  type AgeLevel,
  type Earned,
  type Login,
  type Me,
  type MfaWanted,
  type NewAccount,
  type Passkey,
  type PresenceOfMe,
  type Receipt,
  type Registration,
  type SecondFactor,
  type SignedReceipt,
  secondFactorOf,
  type TotpWanted,
  type Wish,
} from "./accounts.js";
export { Acts } from "./acts.js";
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
  type ReusedLogin,
} from "./api.js";
export {
  Archive,
  type Found,
  type FoundPage,
  lookAt,
  type MessagePage,
  type Preview,
  type SearchOptions,
  search,
  type Version,
  type Which,
} from "./archive.js";
export { backoffMs } from "./backoff.js";
export { Call, type CallOptions } from "./call.js";
export { type Cluster, clusterOf, type Feature, type Theme } from "./cluster.js";
export { type Declining, type DirectFrom, DirectMessages, type DirectRequest } from "./direct.js";
export { Emitter } from "./emitter.js";
export { type PictureCodec, SHARE_PLANS, type ShareMode } from "./encodings.js";
export { ConnectionLost, ParlorError } from "./errors.js";
export { type Guest, Guests } from "./guests.js";
export { type CallOver, type Held, type Hosted, Hosting, NO_CONTROLS } from "./hosting.js";
export { Inbox, type InboxSnapshot } from "./inbox.js";
export { type Invite, Invites, type JoinRequest, type NewInvite } from "./invites.js";
export { Marks } from "./marks.js";
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
export { type Belonging, Members, type Outcast } from "./members.js";
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
export { type Entry, type EntryState, OUTBOX_LIMIT, type Unsent } from "./outbox.js";
export { Pages } from "./pages.js";
export { Parlor, type ParlorOptions } from "./parlor.js";
export { createPasskey, havePasskeys, showPasskey } from "./passkeys.js";
export {
  ACTIONS,
  type Action,
  may,
  outranks,
  ROLES,
  rolesToGive,
  type Standing,
} from "./permissions.js";
export type * from "./proto.js";
/** What the server says of a room; `Room` is the one that one is in. */
export type { Room as RoomInfo } from "./proto.js";
export { CLOSE_ACTIONS, CloseCode } from "./proto.js";
export {
  type QualityFlow,
  type QualityHistory,
  type QualityLine,
  type QualityPoint,
  qualityHistory,
  qualityOf,
} from "./quality.js";
export { calls, counts } from "./reading.js";
export { type RecordingNow, recordingAfter } from "./recording.js";
export {
  type Composition,
  type FileLink,
  type Recording,
  type RecordingFile,
  type RecordingState,
  Recordings,
} from "./recordings.js";
export { Ringing, type RingingSnapshot } from "./ringing.js";
export { Room, type RoomEvents } from "./room.js";
export {
  type MadeKind,
  type MyRoom,
  type Page,
  type RoomChange,
  Rooms,
  type RoomsWanted,
  type RoomToMake,
  type SeenRoom,
} from "./rooms.js";
export type { Keep } from "./shelf.js";
export type { OpenThread, RoomSnapshot, RoomState } from "./shown.js";
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
export { Upload, type UploadEvents, type UploadSnapshot, type UploadState } from "./upload.js";
export { viewOf } from "./view.js";
export { forwardTo, type Writing } from "./writing.js";
