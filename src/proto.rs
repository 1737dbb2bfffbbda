//! The wire of the WebSocket: what a client may say, what the server says, and the codes of both.
//!
//! `docs/protocol.md` is the prose to it. The types for TypeScript (`web/sdk/src/proto.ts`) are generated from here; a test
//! fails when they differ, and `UPDATE_PROTO=1 cargo test --lib proto` writes them.

mod asking;
mod call;
mod client;
mod close;
mod code;
#[cfg(test)]
mod examples;
mod hosting;
mod matching;
mod messages;
mod programs;
mod reading;
mod recording;
mod ringing;
mod server;
mod told;
#[cfg(test)]
mod typescript;

pub use asking::{JoinAnswered, JoinAsked};
pub use call::{Layers, QualityChanged, Slots, Speakers, TrackStopped};
pub use client::{
    Authenticate, BadFrame, CallOffer, ClientBody, ClientFrame, InRoom, JoinRoom, MuteTrack, RemoveMember,
    SetMemberRole, Typing, ViewTracks,
};
pub use code::{CloseAction, CloseCode, ErrorBody, ErrorCode};
pub use hosting::{
    Admit, ControlsChanged, Denied, Deny, Disable, Lock, MuteAll, RemoveFromCall, Spotlight, WaitingRoom,
};
pub use matching::{MatchConfirm, MatchStart};
pub use messages::{
    DeleteMessage, Deleted, EditMessage, LockThread, MessageBody, MessagePinned, PinMessage, PollVoted, React,
    Reaction, SendMessage, ThreadChanged, Vote,
};
pub use programs::WebhookDisabled;
pub use reading::{MarkRead, Receipts, ShowPresence};
pub use recording::{RecordingComposed, RecordingStarted, RecordingStarting, RecordingStopped};
pub use ringing::{BlockChanged, OfCall, StartCall};
pub use server::{
    Authenticated, CallEnded, CodesGuessed, Empty, GoAway, Left, LoginReused, MemberChanged, MemberMuted,
    ParticipantBody, ParticipantLeft, Removed, RoleChanged, RoomOwner, RoomState, RoomUpdated, ServerBody, ServerFrame,
    SiteRoleChanged, TokenExpiring, Typist, Viewers, You,
};

/// The longest frame before login, in bytes.
pub const LOGIN_FRAME_LIMIT: usize = 4 * 1024;
/// The longest frame, in bytes.
pub const FRAME_LIMIT: usize = 64 * 1024;
/// The longest `call.offer`, in bytes: an offer of 25 video slots is about 130 KB.
pub const OFFER_FRAME_LIMIT: usize = 256 * 1024;
/// The longest request id, in characters.
pub const REQUEST_ID_LIMIT: usize = 64;
