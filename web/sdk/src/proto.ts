// Generated from src/proto.rs. Do not edit: `UPDATE_PROTO=1 cargo test --lib proto` writes it.

/**
 * Data of `call.admit`.
 */
export type Admit = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * Whom; everybody who waits. Without it the frame is refused.
 */
target: Whom, };

/**
 * The answer to an offer.
 */
export type Answer = {
/**
 * The call.
 */
callId: CallId,
/**
 * Who the offerer is in it.
 */
participantId: ParticipantId,
/**
 * The SDP answer.
 */
sdp: string,
/**
 * The offerer's own tracks.
 */
tracks: Array<AnsweredTrack>,
/**
 * Everybody in the call, the offerer too.
 */
participants: Array<Participant>,
/**
 * What the call's hosts have settled.
 */
controls: Controls, };

/**
 * A send line of an answered offer: the id that its track has from now on.
 */
export type AnsweredTrack = {
/**
 * The m-line's `a=mid`.
 */
mid: string,
/**
 * The track on it.
 */
trackId: TrackId, };

/**
 * A file, as those see it who may.
 */
export type Attachment = {
/**
 * Which.
 */
fileId: FileId,
/**
 * What it is. As long as it is uploaded: what its uploader says.
 */
kind: AttachmentKind,
/**
 * Its name, cleaned: no part of a path, no control characters.
 */
name: string,
/**
 * Its media type, by its bytes. As long as it is uploaded: what its uploader says.
 */
mediaType: string,
/**
 * Its size as it is kept, which may be less than what was uploaded.
 */
sizeBytes: number,
/**
 * How far it has come.
 */
state: AttachmentState,
/**
 * Why it has failed.
 */
fault: AttachmentFault | null,
/**
 * The SHA-256 of what is kept, in hexadecimal, once it is clean.
 */
sha256: string | null,
/**
 * The width of its picture in pixels, as it is shown.
 */
width: number | null,
/**
 * The height of its picture in pixels, as it is shown.
 */
height: number | null,
/**
 * How long it plays, where that is known.
 */
durationMs: number | null,
/**
 * Whether there is a small picture of it.
 */
thumbnail: boolean,
/**
 * When its upload began.
 */
createdAt: Time, };

/**
 * Why a file has failed.
 */
export type AttachmentFault = "typeNotAllowed" | "unreadable" | "tooLarge" | "tooManyPixels" | "unscannable";

/**
 * What a file is.
 */
export type AttachmentKind = "image" | "video" | "audio" | "file";

/**
 * How far a file has come.
 */
export type AttachmentState = "uploading" | "scanning" | "clean" | "infected" | "failed";

/**
 * Data of `authenticate`.
 */
export type Authenticate = {
/**
 * The access token.
 */
token: string,
/**
 * The resume token of the socket that was lost.
 */
resume?: string | null, };

/**
 * Data of `authenticated`.
 */
export type Authenticated = {
/**
 * Who you are.
 */
user: User,
/**
 * The session.
 */
sessionId: SessionId,
/**
 * What takes the session up on another socket, once, within the time that a seat is kept.
 */
resumeToken: string,
/**
 * Whether a session was taken up.
 */
resumed: boolean,
/**
 * The server's clock.
 */
serverTime: Time,
/**
 * How often the server pings.
 */
pingEveryMs: number, };

/**
 * Who wrote a message.
 */
export type Author = {
/**
 * Who.
 */
id: UserId,
/**
 * The name they had then.
 */
nickname: string, };

/**
 * Data of `block`.
 */
export type BlockChanged = {
/**
 * Whom.
 */
userId: UserId,
/**
 * Blocked from now on, or no more.
 */
blocked: boolean, };

/**
 * A room's call and everybody in it.
 */
export type Call = {
/**
 * Which.
 */
callId: CallId,
/**
 * Everybody in it, first come first; of a live room's only who publishes.
 */
participants: Array<Participant>,
/**
 * How many watch a live room's call: they are not named. 0 in others.
 */
viewers: number,
/**
 * The recording that runs, or is about to.
 */
recording: CallRecording | null,
/**
 * What its hosts have settled.
 */
controls: Controls, };

/**
 * Data of `call.ended`.
 */
export type CallEnded = {
/**
 * Why.
 */
reason: EndReason,
/**
 * Which host did it, where one did.
 */
by: UserId | null, };

/**
 * The one call of a room of kind `call`; it stays the same for the room's life.
 */
export type CallId = string;

/**
 * Data of `call_invite`.
 */
export type CallInvite = {
/**
 * The call that rings.
 */
callId: CallId,
/**
 * Where it takes place.
 */
roomId: RoomId,
/**
 * Who calls.
 */
initiator: Author,
/**
 * With what it begins.
 */
type: CallType,
/**
 * Whom they ring.
 */
participants: Array<Rung>,
/**
 * How long it still rings.
 */
expiresInMs: number, };

/**
 * Data of `call.offer`.
 */
export type CallOffer = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * The SDP offer.
 */
sdp: string,
/**
 * What its send lines carry.
 */
tracks: Array<OfferedSource>,
/**
 * Whether the person agrees to be recorded; needed where the call is.
 */
acceptRecording?: boolean, };

/**
 * How a call that rang has ended.
 */
export type CallOutcome = "answered" | "declined" | "busy" | "missed" | "canceled" | "lost";

/**
 * A call that rings, goes on or is over. It is the whole of it each time it is told, so that a later one replaces an earlier one.
 */
export type CallRecord = {
/**
 * Its own id: a room has many such calls, one after the other.
 */
callId: CallId,
/**
 * Where it takes place.
 */
roomId: RoomId,
/**
 * Who called.
 */
initiator: Author,
/**
 * With what it began.
 */
type: CallType,
/**
 * Whom they rang.
 */
participants: Array<Rung>,
/**
 * Since when it rang.
 */
startedAt: Time,
/**
 * When somebody answered first.
 */
answeredAt: Time | null,
/**
 * When it was over.
 */
endedAt: Time | null,
/**
 * How it ended; `null` while it rings or goes on.
 */
outcome: CallOutcome | null, };

/**
 * That a call is recorded.
 */
export type CallRecording = {
/**
 * Which recording.
 */
recordingId: RecordingId,
/**
 * Whether it has begun.
 */
state: RecordingPhase,
/**
 * Since when; `null` until it begins.
 */
startedAt: Time | null,
/**
 * Who started it.
 */
startedBy: UserId, };

/**
 * With what a call begins. Whoever takes part may switch the camera on later.
 */
export type CallType = "voice" | "video";

/**
 * What a client may say.
 */
export type ClientBody = { "type": "authenticate", "data": Authenticate } | { "type": "ping" } | { "type": "join_room", "data": JoinRoom } | { "type": "leave_room", "data": InRoom } | { "type": "send_message", "data": SendMessage } | { "type": "edit_message", "data": EditMessage } | { "type": "delete_message", "data": DeleteMessage } | { "type": "react", "data": React } | { "type": "vote", "data": Vote } | { "type": "pin_message", "data": PinMessage } | { "type": "lock_thread", "data": LockThread } | { "type": "typing", "data": Typing } | { "type": "remove_member", "data": RemoveMember } | { "type": "set_member_role", "data": SetMemberRole } | { "type": "call.offer", "data": CallOffer } | { "type": "call.ready", "data": InRoom } | { "type": "view", "data": ViewTracks } | { "type": "call.mute", "data": MuteTrack } | { "type": "call.mute_track", "data": MuteTrack } | { "type": "call.leave", "data": InRoom } | { "type": "call.mute_all", "data": MuteAll } | { "type": "call.disable", "data": Disable } | { "type": "call.spotlight", "data": Spotlight } | { "type": "call.lock", "data": Lock } | { "type": "call.waiting_room", "data": WaitingRoom } | { "type": "call.admit", "data": Admit } | { "type": "call.deny", "data": Deny } | { "type": "call.remove", "data": RemoveFromCall } | { "type": "call.end", "data": InRoom } | { "type": "start_call", "data": StartCall } | { "type": "call.accept", "data": OfCall } | { "type": "call.decline", "data": OfCall } | { "type": "call.cancel", "data": OfCall } | { "type": "match.start", "data": MatchStart } | { "type": "match.confirm", "data": MatchConfirm } | { "type": "match.next", "data": Empty } | { "type": "match.stop", "data": Empty } | { "type": "mark_read", "data": MarkRead } | { "type": "mark_unread", "data": MarkRead } | { "type": "presence", "data": ShowPresence };

/**
 * Data of `codes_guessed`.
 */
export type CodesGuessed = {
/**
 * How many were wrong since the last login.
 */
count: number, };

/**
 * How far the making of one file of all has come.
 */
export type ComposedState = "queued" | "running" | "done" | "failed" | "cancelled";

/**
 * What a message says.
 */
export type Content = {
/**
 * Of what kind it is; text when absent.
 */
type?: ContentType,
/**
 * Text as written, after Unicode NFC. Never HTML.
 */
text: string,
/**
 * The files that come with it, up to 10.
 */
attachments?: Array<Attachment>,
/**
 * Whom it calls.
 */
mentions?: Mentions,
/**
 * The hashtags of its text, as written there, without `#`.
 */
hashtags?: Array<string>,
/**
 * What it asks.
 */
poll?: Poll,
/**
 * Where it comes from, if it was said before.
 */
forwardedFrom?: ForwardedFrom,
/**
 * The message with which its thread begins.
 */
threadId?: MessageId,
/**
 * What happened, in a message that the server wrote.
 */
system?: System, };

/**
 * What is shown and said in a room.
 */
export type ContentLevel = "general" | "mature" | "adult" | "extreme";

/**
 * What kind of message it is.
 */
export type ContentType = "text" | "image" | "video" | "audio" | "file" | "sticker" | "gif" | "emoji" | "poll" | "system" | "gift" | "tip";

/**
 * What hosts have settled for a whole call.
 */
export type Controls = {
/**
 * Nobody new comes in, but for hosts.
 */
locked: boolean,
/**
 * Who is no host waits until a host lets them in.
 */
waitingRoom: boolean,
/**
 * Whom everybody is to see.
 */
spotlight: ParticipantId | null,
/**
 * Everybody's microphone is muted, but for hosts'.
 */
mutedAll: MutedAll | null,
/**
 * What nobody may send, but for hosts.
 */
disabled: Array<TrackSource>, };

/**
 * Data of `call.controls`.
 */
export type ControlsChanged = {
/**
 * What holds from now on.
 */
controls: Controls,
/**
 * Who did it; `null`: nobody, the one whom all were to see has left.
 */
by: UserId | null,
/**
 * What they did.
 */
act: HostAct | null, };

/**
 * Data of `delete_message`.
 */
export type DeleteMessage = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * Which.
 */
messageId: MessageId, };

/**
 * Data of `message_deleted`.
 */
export type Deleted = {
/**
 * Which.
 */
messageId: MessageId,
/**
 * By whom.
 */
by: UserId, };

/**
 * Data of `call.denied`.
 */
export type Denied = {
/**
 * When one may knock again, from now.
 */
retryAfterMs: number, };

/**
 * Data of `call.deny`.
 */
export type Deny = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * Whom.
 */
userId: UserId, };

/**
 * A direct room as one of its people sees it.
 */
export type Direct = {
/**
 * The room.
 */
room: Room,
/**
 * Everybody in it, oneself too, by name.
 */
people: Array<DirectPerson>,
/**
 * Whether it is a request that one has not answered.
 */
request: boolean,
/**
 * What was written last.
 */
lastMessage: Message | null,
/**
 * When something was written last, or the room was made.
 */
stirredAt: Time, };

/**
 * Data of `dm_message`: somebody wrote in a direct room. It is told to all that concern it, wherever they are; the message itself
 * comes to whoever is in the room by its stream.
 */
export type DirectMessage = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * A conversation of two, or a group.
 */
kind: RoomKind,
/**
 * Whether it is a request that one has not answered.
 */
request: boolean,
/**
 * What was written.
 */
message: Message, };

/**
 * Somebody in a direct room.
 */
export type DirectPerson = {
/**
 * Who.
 */
userId: UserId,
/**
 * The name they chose.
 */
nickname: string,
/**
 * Whether they take part; until then they have been asked to.
 */
accepted: boolean, };

/**
 * Data of `call.disable`.
 */
export type Disable = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * Whose; everybody's but for hosts'. Without it the frame is refused.
 */
target: Whom,
/**
 * What.
 */
source: TrackSource,
/**
 * Disabled from now on, or no more.
 */
disabled: boolean, };

/**
 * Why nothing is sent to a webhook any more.
 */
export type DisabledReason = "wanted" | "failing" | "gone" | "barred";

/**
 * Data of `edit_message`.
 */
export type EditMessage = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * Which.
 */
messageId: MessageId,
/**
 * What it says from now on.
 */
content: NewContent, };

/**
 * Data of a frame that says it all by its type.
 */
export type Empty = Record<string, never>;

/**
 * Why the server ended a participant's part in a call.
 */
export type EndReason = "ice_timeout" | "removed_by_host" | "ended_by_host" | "broken";

/**
 * One unbroken stream of a room: another epoch means that offsets cannot be compared.
 */
export type Epoch = string;

/**
 * The data of an `error` frame.
 */
export type ErrorBody = {
/**
 * For programs.
 */
code: ErrorCode,
/**
 * For people: a sentence.
 */
message: string,
/**
 * How long to wait, where waiting helps.
 */
retryAfterMs?: number,
/**
 * Numbers and names that go with the code.
 */
detail: Record<string, unknown>, };

/**
 * What went wrong, for programs. A code never changes its meaning.
 */
export type ErrorCode = "bad_json" | "bad_frame" | "unknown_type" | "bad_request" | "unauthenticated" | "token_invalid" | "token_expired" | "token_reused" | "bad_credentials" | "username_taken" | "password_weak" | "mfa_required" | "proof_required" | "forbidden" | "scope_missing" | "muted" | "trust_too_low" | "age_unverified" | "room_archived" | "pin_required" | "pin_wrong" | "approval_required" | "invite_over" | "not_found" | "underage" | "geo_blocked" | "room_full" | "room_locked" | "waiting" | "denied" | "muted_by_host" | "disabled_by_host" | "room_private" | "removed" | "not_in_room" | "not_in_call" | "message_too_long" | "message_empty" | "request_pending" | "thread_locked" | "too_many" | "conflict" | "idempotency_mismatch" | "idempotency_in_progress" | "rate_limited" | "too_large" | "method_not_allowed" | "not_acceptable" | "unsupported_media_type" | "precondition_failed" | "precondition_required" | "bad_sdp" | "no_ice" | "no_fingerprint" | "too_many_media" | "unsupported_codecs" | "call_unavailable" | "recording_consent" | "banned" | "feature_off" | "quota_full" | "disk_full" | "ffmpeg_missing" | "unavailable" | "node_unavailable" | "range_not_satisfiable" | "not_in_match" | "internal";

/**
 * One file of a recording.
 */
export type FileId = string;

/**
 * A message that is to be said again elsewhere.
 */
export type Forward = {
/**
 * Where it was said.
 */
roomId: RoomId,
/**
 * Which.
 */
messageId: MessageId, };

/**
 * Where a message comes from that was said before.
 */
export type ForwardedFrom = {
/**
 * Who wrote it.
 */
sender: Author,
/**
 * When they wrote it.
 */
createdAt: Time,
/**
 * In which room; `null` unless everybody may know that room, or it is this one.
 */
roomId: RoomId | null,
/**
 * Which message it was; `null` with the room.
 */
messageId: MessageId | null, };

/**
 * Data of `go_away`.
 */
export type GoAway = {
/**
 * When to connect again, after the socket closed.
 */
reconnectAfterMs: number,
/**
 * Why.
 */
reason: string, };

/**
 * Something that a host does to a call.
 */
export type HostAct = { "type": "mute_all",
/**
 * From now on.
 */
muted: boolean,
/**
 * Whether they may open their own microphone again.
 */
mayUnmute: boolean, } | { "type": "disable",
/**
 * Whose; everybody's, but for hosts'.
 */
target: Whom,
/**
 * Which source.
 */
source: TrackSource,
/**
 * From now on.
 */
disabled: boolean, } | { "type": "spotlight",
/**
 * Whom; `null`: nobody any more.
 */
participantId: ParticipantId | null, } | { "type": "lock",
/**
 * From now on.
 */
locked: boolean, } | { "type": "waiting_room",
/**
 * From now on.
 */
enabled: boolean, } | { "type": "admit",
/**
 * Whom; everybody.
 */
target: Whom, } | { "type": "deny",
/**
 * Whom.
 */
userId: UserId, } | { "type": "remove",
/**
 * Whom.
 */
userId: UserId,
/**
 * They may not come back.
 */
forGood: boolean,
/**
 * What they are told.
 */
reason: string | null, } | { "type": "end" };

/**
 * Data of the frames that name a room and nothing else.
 */
export type InRoom = {
/**
 * Which.
 */
roomId: RoomId, };

/**
 * Data of `join_answered`.
 */
export type JoinAnswered = {
/**
 * Who asked.
 */
userId: UserId,
/**
 * Who answered.
 */
by: UserId,
/**
 * Whether they are let in.
 */
letsIn: boolean, };

/**
 * Data of `join_request`.
 */
export type JoinAsked = {
/**
 * Who asks, and with what words.
 */
request: JoinRequest, };

/**
 * Somebody who asks to be let in.
 */
export type JoinRequest = {
/**
 * Who.
 */
user: Named,
/**
 * What they say.
 */
note: string | null,
/**
 * Since when.
 */
createdAt: Time, };

/**
 * Data of `join_room`.
 */
export type JoinRoom = {
/**
 * Which.
 */
roomId: RoomId,
/**
 * The epoch of the last event that the client has seen.
 */
epoch?: Epoch | null,
/**
 * The offset of the last event that the client has seen.
 */
offset?: number | null, };

/**
 * When somebody was last there. Coarse on purpose: nobody's day is to be followed.
 */
export type LastSeen = "recently" | "thisWeek" | "thisMonth" | "longAgo";

/**
 * Data of `call.layers`.
 */
export type Layers = {
/**
 * Which track.
 */
trackId: TrackId,
/**
 * Whether anybody watches the layer, the smallest first. The others' encoders may rest.
 */
layers: Array<boolean>, };

/**
 * Data of `member_left`.
 */
export type Left = {
/**
 * Who.
 */
userId: UserId,
/**
 * Why.
 */
reason: LeftReason, };

/**
 * Why somebody is no longer in a room or call.
 */
export type LeftReason = "left" | "lost" | "removed";

/**
 * Data of `call.lock`.
 */
export type Lock = {
/**
 * Which room.
 */
roomId: RoomId,
/**
 * Locked from now on, or no more.
 */
locked: boolean, };

/**
 * Data of `lock_thread`.
 */
export type LockThread = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * The message with which the thread begins.
 */
messageId: MessageId,
/**
 * Locked from now on, or no more.
 */
locked: boolean, };

/**
 * Data of `login_reused`.
 */
export type LoginReused = {
/**
 * What that login's device said of itself, in words.
 */
device: string | null, };

/**
 * Data of `mark_read` and `mark_unread`.
 */
export type MarkRead = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * Up to which message, or from which on.
 */
messageId: MessageId, };

/**
 * Data of `match.confirm`.
 */
export type MatchConfirm = {
/**
 * Which.
 */
matchId: MatchId,
/**
 * Yes or no.
 */
accept: boolean, };

/**
 * Why a match, or a search that was taken over, has ended, as one of the two is told.
 */
export type MatchEnd = "stopped" | "next" | "partner_left" | "partner_next" | "partner_lost" | "blocked" | "reported" | "violation" | "declined" | "unconfirmed" | "replaced";

/**
 * Data of `match.ended`.
 */
export type MatchEnded = {
/**
 * The match; `null` for a search that was taken over.
 */
matchId: MatchId | null,
/**
 * Why.
 */
reason: MatchEnd, };

/**
 * Data of `match.found`.
 */
export type MatchFound = {
/**
 * The match.
 */
matchId: MatchId,
/**
 * How they meet.
 */
mode: MatchMode,
/**
 * The other one.
 */
partner: Stranger,
/**
 * What both named, in lower case.
 */
sharedInterests: Array<string>,
/**
 * Their room; `null` until both have accepted.
 */
roomId: RoomId | null,
/**
 * Their call; `null` until both have accepted.
 */
callId: CallId | null,
/**
 * How long there is to accept; `null` when that is not needed.
 */
confirmWithinMs: number | null, };

/**
 * Two strangers whom the server put together.
 */
export type MatchId = string;

/**
 * How strangers meet.
 */
export type MatchMode = "video" | "text";

/**
 * Data of `match.ready`.
 */
export type MatchReady = {
/**
 * The match that both have accepted.
 */
matchId: MatchId,
/**
 * Their room.
 */
roomId: RoomId,
/**
 * Their call.
 */
callId: CallId, };

/**
 * Data of `match.searching`.
 */
export type MatchSearching = {
/**
 * The search.
 */
ticketId: TicketId,
/**
 * What it insists on from now on.
 */
stage: MatchStage,
/**
 * When it ends, if nobody is found.
 */
expiresInMs: number,
/**
 * What others waited lately; `null` when nobody was matched lately.
 */
estimatedWaitMs: number | null, };

/**
 * What somebody who searches insists on. A later stage accepts all that an earlier one does.
 */
export type MatchStage = "strict" | "interests" | "language" | "fallback";

/**
 * Data of `match.start`. What it says beyond this (an age, say) is not read.
 */
export type MatchStart = {
/**
 * How to meet.
 */
mode: MatchMode,
/**
 * What to talk about: up to 10, of up to 32 characters; compared without case.
 */
interests?: Array<string>,
/**
 * The primary tag (BCP 47) of the language to talk in; `null`: any.
 */
language?: string | null,
/**
 * Whether both are asked before they meet.
 */
confirm?: boolean,
/**
 * Whether anybody will do, for longer.
 */
fallback?: boolean, };

/**
 * Data of `match.timeout`.
 */
export type MatchTimeout = {
/**
 * The search that found nobody.
 */
ticketId: TicketId, };

/**
 * Somebody who is in a room now.
 */
export type Member = {
/**
 * Who.
 */
userId: UserId,
/**
 * The name they chose.
 */
nickname: string,
/**
 * What they may do in this room.
 */
role: Role, };

/**
 * Data of `member_joined`.
 */
export type MemberChanged = {
/**
 * Who.
 */
member: Member, };

/**
 * Data of `member_muted`.
 */
export type MemberMuted = {
/**
 * Who.
 */
userId: UserId,
/**
 * Until when; `null`: they have a voice.
 */
until: Time | null, };

/**
 * Whom a message calls.
 */
export type Mentions = {
/**
 * These people, up to 50; those of them who are no members are not told.
 */
users?: Array<UserId>,
/**
 * Everybody who is here now.
 */
here?: boolean,
/**
 * Every member of the room.
 */
room?: boolean, };

/**
 * A message as everybody in its room sees it.
 */
export type Message = {
/**
 * Which.
 */
id: MessageId,
/**
 * Where.
 */
roomId: RoomId,
/**
 * Who wrote it, by the name they had.
 */
sender: Author,
/**
 * The sender's own name for it, unique for a sender in a room.
 */
clientId: string,
/**
 * What it says; empty once deleted.
 */
content: Content,
/**
 * The message of the same room that it answers.
 */
replyTo: MessageId | null,
/**
 * When it was written.
 */
createdAt: Time,
/**
 * When its author last changed it.
 */
editedAt: Time | null,
/**
 * Whether it was taken back or away.
 */
deleted: boolean,
/**
 * How many reacted, by emoji.
 */
reactions?: { [key in string]: number },
/**
 * Since when it is pinned.
 */
pinnedAt?: Time,
/**
 * The thread that begins with it.
 */
thread?: Thread,
/**
 * When the server will delete it.
 */
expiresAt?: Time, };

/**
 * Data of `new_message` and `message_edited`.
 */
export type MessageBody = {
/**
 * The message.
 */
message: Message, };

/**
 * A message.
 */
export type MessageId = string;

/**
 * Data of `message_pinned`.
 */
export type MessagePinned = {
/**
 * Which.
 */
messageId: MessageId,
/**
 * Since when; `null`: no more.
 */
pinnedAt: Time | null,
/**
 * By whom.
 */
by: UserId, };

/**
 * Data of `call.mute_all`.
 */
export type MuteAll = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * Muted from now on, or no more.
 */
muted: boolean,
/**
 * Whether people may open their own microphone again; they may, unless this says otherwise.
 */
mayUnmute?: boolean, };

/**
 * Data of `call.mute` and `call.mute_track`.
 */
export type MuteTrack = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * Which.
 */
trackId: TrackId,
/**
 * Muted from now on, or no more.
 */
muted: boolean, };

/**
 * How everybody is muted.
 */
export type MutedAll = {
/**
 * Whether they may open their own microphone again.
 */
mayUnmute: boolean, };

/**
 * Somebody, by the name they have or had.
 */
export type Named = {
/**
 * Who.
 */
userId: UserId,
/**
 * Their name.
 */
nickname: string, };

/**
 * A file that is to come with a message.
 */
export type NewAttachment = {
/**
 * Which.
 */
fileId: FileId, };

/**
 * What somebody wants a message to say.
 */
export type NewContent = {
/**
 * Of what kind; absent: a poll if it has one, else files if it has some, else text.
 */
type?: ContentType | null,
/**
 * What it says. Polls, files and forwarded messages may do without.
 */
text?: string,
/**
 * The files that come with it, up to 10.
 */
attachments?: Array<NewAttachment>,
/**
 * Whom it calls.
 */
mentions?: Mentions,
/**
 * What it asks.
 */
poll?: NewPoll | null,
/**
 * The message with which its thread begins.
 */
threadId?: MessageId | null, };

/**
 * A question to be asked.
 */
export type NewPoll = {
/**
 * What is asked, up to 300 characters.
 */
question: string,
/**
 * 2 to 10 different answers of up to 100 characters.
 */
options: Array<NewPollOption>,
/**
 * Whether one may choose several.
 */
multiple?: boolean,
/**
 * Until when one may vote.
 */
closesAt?: Time | null, };

/**
 * One answer of a question to be asked.
 */
export type NewPollOption = {
/**
 * What it says.
 */
text: string, };

/**
 * What somebody wants to be told of in a room.
 */
export type NotifyLevel = "all" | "mentions" | "none";

/**
 * Data of `call.accept`, `call.decline` and `call.cancel`.
 */
export type OfCall = {
/**
 * The call that rings, as `call_invite` or `call.ring` named it.
 */
callId: CallId, };

/**
 * A send line of an offer: which m-line carries which source.
 */
export type OfferedSource = {
/**
 * The m-line's `a=mid`.
 */
mid: string,
/**
 * What it carries.
 */
source: TrackSource, };

/**
 * One connection of one person in a call.
 */
export type Participant = {
/**
 * Which connection.
 */
participantId: ParticipantId,
/**
 * Whose.
 */
userId: UserId,
/**
 * The name they chose.
 */
nickname: string,
/**
 * How far it has come.
 */
state: ParticipantState,
/**
 * What it publishes.
 */
tracks: Array<Track>,
/**
 * What a host does not let this person send.
 */
disabled: Array<TrackSource>,
/**
 * What its line is like; `null` until it has been measured for five seconds.
 */
quality: Quality | null, };

/**
 * Data of `call.participant`.
 */
export type ParticipantBody = {
/**
 * Who, and all they publish.
 */
participant: Participant, };

/**
 * One connection of one person in a call: the same person in two tabs is two participants.
 */
export type ParticipantId = string;

/**
 * Data of `call.participant_left`.
 */
export type ParticipantLeft = {
/**
 * Which.
 */
participantId: ParticipantId,
/**
 * Whose connection it was.
 */
userId: UserId,
/**
 * Why.
 */
reason: LeftReason, };

/**
 * How far a participant's connection has come.
 */
export type ParticipantState = "joining" | "connected" | "lost";

/**
 * The least role in a room for what its owners may narrow. They cannot widen what the table says.
 */
export type Permits = {
/**
 * Who writes.
 */
post: Role,
/**
 * Who takes part in the call.
 */
call: Role,
/**
 * Who shows their screen.
 */
share: Role,
/**
 * Who records; a moderator at least.
 */
record: Role,
/**
 * Who invites.
 */
invite: Role, };

/**
 * Data of `pin_message`.
 */
export type PinMessage = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * Which.
 */
messageId: MessageId,
/**
 * Pinned from now on, or no more.
 */
pinned: boolean, };

/**
 * A question with answers to choose from, and what was chosen so far.
 */
export type Poll = {
/**
 * What is asked.
 */
question: string,
/**
 * 2 to 10 answers.
 */
options: Array<PollOption>,
/**
 * Whether one may choose several.
 */
multiple: boolean,
/**
 * Until when one may vote; `null`: as long as it is there.
 */
closesAt: Time | null,
/**
 * How many have voted.
 */
voters: number, };

/**
 * One answer of a poll.
 */
export type PollOption = {
/**
 * What it says.
 */
text: string,
/**
 * How many chose it.
 */
votes: number, };

/**
 * Data of `poll_voted`.
 */
export type PollVoted = {
/**
 * The message that asks.
 */
messageId: MessageId,
/**
 * How many chose each answer now, in their order.
 */
votes: Array<number>,
/**
 * How many have voted.
 */
voters: number, };

/**
 * A line in a word, and why it is not better.
 */
export type Quality = {
/**
 * How good it is.
 */
level: QualityLevel,
/**
 * What is wrong most; `null` while the level is `excellent`.
 */
reason: QualityReason | null,
/**
 * Which way; `null` with `reason`.
 */
direction: QualityDirection | null, };

/**
 * Data of `call.quality`.
 */
export type QualityChanged = {
/**
 * Those whose line is another than it was.
 */
participants: Array<Rated>, };

/**
 * Which way.
 */
export type QualityDirection = "up" | "down";

/**
 * How good a line is, best first.
 */
export type QualityLevel = "excellent" | "good" | "poor" | "lost";

/**
 * What is wrong with a line.
 */
export type QualityReason = "loss" | "jitter" | "rtt" | "freezes" | "bandwidth" | "silent";

/**
 * Whose line.
 */
export type Rated = {
/**
 * The participant.
 */
participantId: ParticipantId,
/**
 * What their line is like from now on.
 */
quality: Quality, };

/**
 * Data of `react`.
 */
export type React = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * To which message.
 */
messageId: MessageId,
/**
 * With what.
 */
emoji: string,
/**
 * Whether one does, or takes it back.
 */
on: boolean, };

/**
 * Data of `reaction`.
 */
export type Reaction = {
/**
 * To which message.
 */
messageId: MessageId,
/**
 * With what.
 */
emoji: string,
/**
 * Who.
 */
userId: UserId,
/**
 * Whether they did, or took it back.
 */
added: boolean,
/**
 * How many react so now.
 */
count: number, };

/**
 * Up to where somebody has read, for others.
 */
export type Receipt = {
/**
 * Who.
 */
userId: UserId,
/**
 * The last message that they have read.
 */
messageId: MessageId,
/**
 * When they said so.
 */
at: Time, };

/**
 * Data of `receipts`.
 */
export type Receipts = {
/**
 * Who has read further.
 */
receipts: Array<Receipt>, };

/**
 * Data of `recording.composed`.
 */
export type RecordingComposed = {
/**
 * Of which recording.
 */
recordingId: RecordingId,
/**
 * How far it has come.
 */
state: ComposedState,
/**
 * How much of it is done, from 0 to 1.
 */
progress: number,
/**
 * Why it failed, or what it had to do without: a sentence.
 */
error: string | null, };

/**
 * One recording of a call, from its start to its stop.
 */
export type RecordingId = string;

/**
 * Whether a recording has begun.
 */
export type RecordingPhase = "starting" | "running";

/**
 * Data of `recording.started`.
 */
export type RecordingStarted = {
/**
 * Which recording.
 */
recordingId: RecordingId,
/**
 * When it began.
 */
startedAt: Time, };

/**
 * Data of `recording.starting`.
 */
export type RecordingStarting = {
/**
 * Which recording.
 */
recordingId: RecordingId,
/**
 * How long until something is written.
 */
startsInMs: number,
/**
 * Who wanted it.
 */
startedBy: UserId, };

/**
 * Why a recording was stopped.
 */
export type RecordingStop = "stopped" | "call_ended" | "disk_full" | "failed" | "server_stopped";

/**
 * Data of `recording.stopped`.
 */
export type RecordingStopped = {
/**
 * Which recording.
 */
recordingId: RecordingId,
/**
 * Why.
 */
reason: RecordingStop, };

/**
 * Data of `call.remove`.
 */
export type RemoveFromCall = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * Whom.
 */
userId: UserId,
/**
 * Whether they may not come back.
 */
forGood?: boolean,
/**
 * What they are told, if it is for good.
 */
reason?: string | null, };

/**
 * Data of `remove_member`.
 */
export type RemoveMember = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * Whom.
 */
userId: UserId,
/**
 * What they are told.
 */
reason?: string | null, };

/**
 * Data of `removed`.
 */
export type Removed = {
/**
 * From where.
 */
roomId: RoomId,
/**
 * What the moderator said.
 */
reason: string | null, };

/**
 * How long messages are kept: `none`, `24h`, `days(n)` or `forever`.
 */
export type Retention = string;

/**
 * What somebody who is rung has answered.
 */
export type RingState = "ringing" | "accepted" | "declined" | "busy" | "missed";

/**
 * What a person is in one room. A later one may do all that an earlier one may.
 */
export type Role = "member" | "trusted" | "moderator" | "admin" | "owner";

/**
 * Data of `member_role`.
 */
export type RoleChanged = {
/**
 * Who.
 */
userId: UserId,
/**
 * From now on.
 */
role: Role, };

/**
 * A room as anybody who may see it sees it.
 */
export type Room = {
/**
 * Which.
 */
id: RoomId,
/**
 * What it is for.
 */
kind: RoomKind,
/**
 * Its name, up to 100 characters.
 */
name: string,
/**
 * Who finds it and who may come in.
 */
visibility: Visibility,
/**
 * Its name in addresses, unique on this server; small letters, digits and `-`.
 */
slug: string | null,
/**
 * How many people may be inside at once.
 */
maxParticipants: number,
/**
 * Since when.
 */
createdAt: Time,
/**
 * Since when it is put away: it is read only and in no list.
 */
archivedAt: Time | null,
/**
 * Grows with every change of what stands here: the `ETag` of the room.
 */
revision: number,
/**
 * What its owners have settled.
 */
settings: Settings, };

/**
 * A room.
 */
export type RoomId = string;

/**
 * What a room is for.
 */
export type RoomKind = "dm" | "groupDm" | "group" | "forum" | "broadcast" | "live" | "match" | "call";

/**
 * Data of `room_owner`.
 */
export type RoomOwner = {
/**
 * Whose it is from now on.
 */
userId: UserId,
/**
 * Who is an admin from now on.
 */
formerId: UserId | null, };

/**
 * Data of `room_state`.
 */
export type RoomState = {
/**
 * The room.
 */
room: Room,
/**
 * You in it.
 */
you: You,
/**
 * Who is there, up to 100 of them.
 */
members: Array<Member>,
/**
 * How many are there.
 */
online: number,
/**
 * The last messages, oldest first; empty when the missed events follow.
 */
messages: Array<Message>,
/**
 * Whether the events since the client's position follow; `null` when it named none.
 */
recovered: boolean | null,
/**
 * The room's call; `null` in a room that has none.
 */
call: Call | null,
/**
 * What you have not read; `null` where nothing is kept of that.
 */
unread: Unread | null, };

/**
 * Data of `room_updated`.
 */
export type RoomUpdated = {
/**
 * The room from now on.
 */
room: Room, };

/**
 * Somebody who is rung.
 */
export type Rung = {
/**
 * Who.
 */
userId: UserId,
/**
 * The name they chose.
 */
nickname: string,
/**
 * What they have answered.
 */
state: RingState, };

/**
 * What others see of somebody.
 */
export type Seen = "offline" | "away" | "busy" | "online";

/**
 * Data of `send_message`.
 */
export type SendMessage = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * The client's own name for the message.
 */
clientId: string,
/**
 * What it says; empty when it says another one again.
 */
content: NewContent,
/**
 * The message that it answers.
 */
replyTo?: MessageId | null,
/**
 * The message that it says again, in the place of a content of its own.
 */
forward?: Forward | null,
/**
 * After how many seconds the server deletes it, 5 to 2,592,000.
 */
expiresInS?: number | null, };

/**
 * A frame from the server.
 */
export type ServerFrame = {
/**
 * The room that it is about.
 */
roomId?: RoomId,
/**
 * The stream that its offset belongs to.
 */
epoch?: Epoch,
/**
 * Its place in the room's stream.
 */
offset?: number,
/**
 * The id of the request that it answers.
 */
id?: string, } & ({ "type": "authenticated", "data": Authenticated } | { "type": "site_role", "data": SiteRoleChanged } | { "type": "login_reused", "data": LoginReused } | { "type": "codes_guessed", "data": CodesGuessed } | { "type": "webhook_disabled", "data": WebhookDisabled } | { "type": "token_expiring", "data": TokenExpiring } | { "type": "pong", "data": Empty } | { "type": "ok", "data": Empty } | { "type": "error", "data": ErrorBody } | { "type": "room_state", "data": RoomState } | { "type": "new_message", "data": MessageBody } | { "type": "message_edited", "data": MessageBody } | { "type": "message_deleted", "data": Deleted } | { "type": "reaction", "data": Reaction } | { "type": "message_pinned", "data": MessagePinned } | { "type": "poll_voted", "data": PollVoted } | { "type": "thread_changed", "data": ThreadChanged } | { "type": "typing", "data": Typist } | { "type": "member_joined", "data": MemberChanged } | { "type": "member_left", "data": Left } | { "type": "member_role", "data": RoleChanged } | { "type": "member_muted", "data": MemberMuted } | { "type": "room_updated", "data": RoomUpdated } | { "type": "room_owner", "data": RoomOwner } | { "type": "removed", "data": Removed } | { "type": "call.answer", "data": Answer } | { "type": "call.participant", "data": ParticipantBody } | { "type": "call.participant_left", "data": ParticipantLeft } | { "type": "slots", "data": Slots } | { "type": "call.layers", "data": Layers } | { "type": "track.stopped", "data": TrackStopped } | { "type": "call.quality", "data": QualityChanged } | { "type": "call.speakers", "data": Speakers } | { "type": "call.viewers", "data": Viewers } | { "type": "call.ended", "data": CallEnded } | { "type": "call.controls", "data": ControlsChanged } | { "type": "call.waiting", "data": Waiting } | { "type": "call.admitted", "data": Empty } | { "type": "call.denied", "data": Denied } | { "type": "join_request", "data": JoinAsked } | { "type": "join_answered", "data": JoinAnswered } | { "type": "recording.starting", "data": RecordingStarting } | { "type": "recording.started", "data": RecordingStarted } | { "type": "recording.stopped", "data": RecordingStopped } | { "type": "recording.composed", "data": RecordingComposed } | { "type": "dm_room", "data": Direct } | { "type": "dm_message", "data": DirectMessage } | { "type": "block", "data": BlockChanged } | { "type": "call_invite", "data": CallInvite } | { "type": "call.ring", "data": CallRecord } | { "type": "file.checked", "data": Attachment } | { "type": "match.searching", "data": MatchSearching } | { "type": "match.found", "data": MatchFound } | { "type": "match.ready", "data": MatchReady } | { "type": "match.ended", "data": MatchEnded } | { "type": "match.timeout", "data": MatchTimeout } | { "type": "unread", "data": Unread } | { "type": "receipts", "data": Receipts } | { "type": "presence", "data": Shown } | { "type": "go_away", "data": GoAway });

/**
 * One socket's session; it outlives the socket by the time that a seat is kept.
 */
export type SessionId = string;

/**
 * Data of `set_member_role`.
 */
export type SetMemberRole = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * Whom.
 */
userId: UserId,
/**
 * What they are from now on.
 */
role: Role, };

/**
 * What the owners of a room have settled for it.
 */
export type Settings = {
/**
 * What it is about, up to 1,000 characters.
 */
description: string,
/**
 * One of the categories of this server.
 */
category: string | null,
/**
 * What is shown and said there.
 */
contentLevel: ContentLevel,
/**
 * How long messages are kept.
 */
retention: Retention,
/**
 * Seconds between two messages of one person; 0: no such limit. Who is trusted there, or more, is exempt.
 */
slowModeS: number,
/**
 * How much trust it takes to become a member.
 */
minTrustToJoin: Trust,
/**
 * How much trust it takes to write.
 */
minTrustToPost: Trust,
/**
 * Whether whoever wants to join asks first, and a moderator of the room lets them in.
 */
joinRequests: boolean,
/**
 * Whether it takes a PIN to become a member.
 */
hasPin: boolean,
/**
 * The least role for what may be narrowed.
 */
permits: Permits, };

/**
 * Data of the client's `presence`.
 */
export type ShowPresence = {
/**
 * What this device shows from now on.
 */
status: Status, };

/**
 * Somebody as others see them.
 */
export type Shown = {
/**
 * Who.
 */
userId: UserId,
/**
 * As what.
 */
status: Seen,
/**
 * What they say of themselves; `null`: nothing, or they are not seen.
 */
text: string | null,
/**
 * Until when they say so; `null`: until they say otherwise.
 */
textUntil: Time | null,
/**
 * When they were last there; `null`: they are, or it is not known.
 */
lastSeen: LastSeen | null, };

/**
 * What a person is on the whole site.
 */
export type SiteRole = "member" | "moderator" | "administrator";

/**
 * Data of `site_role`.
 */
export type SiteRoleChanged = {
/**
 * From now on.
 */
role: SiteRole, };

/**
 * What one receive slot shows now.
 */
export type Slot = {
/**
 * The slot's m-line.
 */
mid: string,
/**
 * What it can carry.
 */
kind: SlotKind,
/**
 * Whose track it carries; `null` when it is silent.
 */
participantId: ParticipantId | null,
/**
 * The track it carries.
 */
trackId: TrackId | null,
/**
 * The simulcast layer, 0 the smallest; `null` where there are no layers.
 */
layer: number | null,
/**
 * RTP timestamp of the track's first frame in this slot; `null` until that is sent.
 */
rtpTimestamp: number | null,
/**
 * The line to this participant does not carry the track now; its picture comes back by itself.
 */
paused: boolean, };

/**
 * What a slot can carry.
 */
export type SlotKind = "audio" | "video";

/**
 * Data of `slots`.
 */
export type Slots = {
/**
 * Those that changed.
 */
slots: Array<Slot>, };

/**
 * Somebody who is heard now.
 */
export type Speaker = {
/**
 * Who.
 */
participantId: ParticipantId,
/**
 * How loud, in dBov: 0 is the loudest, −127 silence.
 */
level: number, };

/**
 * Data of `call.speakers`.
 */
export type Speakers = {
/**
 * Loudest first.
 */
speakers: Array<Speaker>, };

/**
 * Data of `call.spotlight`.
 */
export type Spotlight = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * Whom everybody is to see; `null`: nobody any more.
 */
participantId: ParticipantId | null, };

/**
 * Data of `start_call`.
 */
export type StartCall = {
/**
 * Where the call is to take place.
 */
roomId: RoomId,
/**
 * With what it begins.
 */
type: CallType,
/**
 * Whom to ring. In a direct room, when absent: everybody else.
 */
participants?: Array<UserId> | null, };

/**
 * As what somebody wants to be seen.
 */
export type Status = "away" | "busy" | "online" | "invisible";

/**
 * Why the server stopped a track.
 */
export type StopReason = "muted_by_host" | "disabled_by_host" | "moderation";

/**
 * Somebody whom one has just met.
 */
export type Stranger = {
/**
 * Who.
 */
userId: UserId,
/**
 * The name they chose.
 */
nickname: string, };

/**
 * What happened, as the server says it in a message of its own. The message's sender is who did it.
 */
export type System = { "kind": "joined" } | { "kind": "left" } | { "kind": "added",
/**
 * Who.
 */
user: Author, } | { "kind": "kicked",
/**
 * Who.
 */
user: Author, } | { "kind": "banned",
/**
 * Who.
 */
user: Author, } | { "kind": "ownerChanged",
/**
 * Whose.
 */
user: Author, } | { "kind": "renamed",
/**
 * The name; empty: none.
 */
name: string, } | { "kind": "roleChanged",
/**
 * Who.
 */
user: Author,
/**
 * From now on.
 */
role: Role, } | { "kind": "pinned",
/**
 * Which.
 */
messageId: MessageId, } | { "kind": "callStarted",
/**
 * The call, as its record has it.
 */
callId: CallId,
/**
 * With what it began.
 */
type: CallType, } | { "kind": "callEnded",
/**
 * The call, as its record has it.
 */
callId: CallId,
/**
 * With what it began.
 */
type: CallType,
/**
 * What came of it.
 */
outcome: CallOutcome,
/**
 * From the first answer to the end, in seconds; 0: nobody answered.
 */
durationS: number, };

/**
 * The thread that begins with a message.
 */
export type Thread = {
/**
 * How many messages it has that are not deleted, without the first.
 */
replies: number,
/**
 * When somebody last wrote in it.
 */
lastReplyAt: Time | null,
/**
 * Whether nobody may write in it any more, except those who can unlock it.
 */
locked: boolean, };

/**
 * Data of `thread_changed`.
 */
export type ThreadChanged = {
/**
 * The message with which it begins.
 */
messageId: MessageId,
/**
 * The thread as it is now; `null`: there is none any more.
 */
thread: Thread | null, };

/**
 * One search for a stranger.
 */
export type TicketId = string;

/**
 * A moment, to the millisecond; written as RFC 3339 in UTC with exactly three decimals (`2026-01-31T09:30:00.123Z`).
 */
export type Time = string;

/**
 * Data of `token_expiring`.
 */
export type TokenExpiring = {
/**
 * How long the socket stays open without a new token.
 */
graceMs: number, };

/**
 * What a participant publishes from one source.
 */
export type Track = {
/**
 * Which.
 */
trackId: TrackId,
/**
 * From where.
 */
source: TrackSource,
/**
 * Whether packets arrive.
 */
active: boolean,
/**
 * Whether the publisher muted it.
 */
muted: boolean,
/**
 * Whether a moderator muted or stopped it.
 */
mutedByHost: boolean,
/**
 * Whether it may be seen: in match rooms not before the server has looked at it.
 */
cleared: boolean, };

/**
 * What one participant publishes from one source.
 */
export type TrackId = string;

/**
 * Where a track comes from.
 */
export type TrackSource = "microphone" | "camera" | "screen" | "screenAudio";

/**
 * Data of `track.stopped`.
 */
export type TrackStopped = {
/**
 * Which.
 */
trackId: TrackId,
/**
 * From where.
 */
source: TrackSource,
/**
 * Why.
 */
reason: StopReason,
/**
 * Which host did it; `null`: the site's moderation.
 */
by: UserId | null,
/**
 * Whether you may open it again yourself.
 */
mayUnmute: boolean, };

/**
 * How much a person has shown of themselves; it sets how fast they may write, and which rooms let them in. A later level may do
 * all that an earlier one may.
 */
export type Trust = "new" | "established" | "trusted";

/**
 * Data of `typing`.
 */
export type Typing = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * Whether one types or has stopped.
 */
typing: boolean, };

/**
 * Data of the server's `typing`.
 */
export type Typist = {
/**
 * Who.
 */
userId: UserId,
/**
 * The name they chose.
 */
nickname: string,
/**
 * Whether they still do.
 */
typing: boolean, };

/**
 * What somebody has not read in a room, and how they want to hear of it.
 */
export type Unread = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * Messages of others that they have not read, counted among the newest 1,000.
 */
unread: number,
/**
 * Those of them that mention this person, or everybody in the room.
 */
mentions: number,
/**
 * The last message that they have read; `null`: none since they joined.
 */
readUpTo: MessageId | null,
/**
 * What they want to be told of.
 */
level: NotifyLevel,
/**
 * Until when they want to be told of nothing; `null`: not muted.
 */
mutedUntil: Time | null, };

/**
 * A person as others and they themselves see them.
 */
export type User = {
/**
 * Who.
 */
id: UserId,
/**
 * The name they chose.
 */
nickname: string,
/**
 * What they may do on the whole site.
 */
role: SiteRole,
/**
 * A program, not a person. Left out of those who are none.
 */
bot?: boolean, };

/**
 * A person, for as long as the server knows them.
 */
export type UserId = string;

/**
 * A track that a receiver wants to see.
 */
export type View = {
/**
 * Which.
 */
trackId: TrackId,
/**
 * The tile's width in device pixels.
 */
width: number,
/**
 * Whether it is on the screen now.
 */
visible: boolean, };

/**
 * Data of `view`.
 */
export type ViewTracks = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * What, most important first.
 */
tracks: Array<View>, };

/**
 * Data of `call.viewers`.
 */
export type Viewers = {
/**
 * How many.
 */
viewers: number, };

/**
 * Who finds a room and who may come in.
 */
export type Visibility = "public" | "private" | "unlisted";

/**
 * Data of `vote`.
 */
export type Vote = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * The message that asks.
 */
messageId: MessageId,
/**
 * Which answers, counted from 0; none takes a vote back.
 */
options: Array<number>, };

/**
 * Somebody who waits to be let in.
 */
export type Waiter = {
/**
 * Who.
 */
userId: UserId,
/**
 * The name they chose.
 */
nickname: string,
/**
 * Since when.
 */
since: Time, };

/**
 * Who waits to be let in: all of them, or what has changed.
 */
export type Waiting = {
/**
 * `waiting` is the whole list; else it names who waits now and did not before.
 */
whole: boolean,
/**
 * First come first.
 */
waiting: Array<Waiter>,
/**
 * Who waits no more.
 */
gone: Array<UserId>,
/**
 * How many wait now.
 */
count: number, };

/**
 * Data of `call.waiting_room`.
 */
export type WaitingRoom = {
/**
 * Where.
 */
roomId: RoomId,
/**
 * People wait from now on, or no more.
 */
enabled: boolean, };

/**
 * Data of `webhook_disabled`.
 */
export type WebhookDisabled = {
/**
 * Which; without `roomId` beside it, it is for all rooms.
 */
webhookId: WebhookId,
/**
 * Why.
 */
reason: DisabledReason, };

/**
 * Where events of rooms are sent to.
 */
export type WebhookId = string;

/**
 * Whom an act concerns that may concern everybody. It is always said: nothing befalls everybody because a field was forgotten.
 */
export type Whom = "everybody" | { "userId": UserId };

/**
 * What you are in a room.
 */
export type You = {
/**
 * Your role.
 */
role: Role, };

/**
 * A frame from a client.
 */
export type ClientFrame = { id?: string } & ClientBody;

/**
 * Why the server closed the socket.
 */
export const CloseCode = {
  Normal: 1000,
  Protocol: 1002,
  NotText: 1007,
  TooBig: 1009,
  Internal: 1011,
  BadClient: 4400,
  Unauthenticated: 4401,
  TokenExpired: 4402,
  Removed: 4403,
  Idle: 4408,
  Replaced: 4409,
  TooSlow: 4429,
  GoingAway: 4503,
} as const;

/**
 * The number of a close code.
 */
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

/**
 * What the client does about a closed socket.
 */
export type CloseAction = "retry" | "refresh" | "wait" | "stop";

/**
 * What it does about each close code.
 */
export const CLOSE_ACTIONS: Readonly<Record<CloseCode, CloseAction>> = {
  1000: "stop",
  1002: "stop",
  1007: "stop",
  1009: "stop",
  1011: "retry",
  4400: "stop",
  4401: "refresh",
  4402: "refresh",
  4403: "stop",
  4408: "retry",
  4409: "stop",
  4429: "retry",
  4503: "wait",
};
