//! The wire of the WebSocket: what a client may say, what the server says, and the codes of both.
//!
//! `docs/protocol.md` is the prose to it. The types for TypeScript (`web/sdk/src/proto.ts`) are generated from here; a test
//! fails when they differ, and `UPDATE_PROTO=1 cargo test --lib proto` writes them.

mod call;
mod client;
mod code;
#[cfg(test)]
mod examples;
mod hosting;
mod matching;
mod recording;
mod server;
#[cfg(test)]
mod typescript;

pub use call::{Layers, QualityChanged, Slots, Speakers, TrackStopped};
pub use client::{
    Authenticate, BadFrame, CallOffer, ClientBody, ClientFrame, DeleteMessage, EditMessage, InRoom, JoinRoom,
    MuteTrack, RemoveMember, SendMessage, SetMemberRole, Typing, ViewTracks,
};
pub use code::{CloseCode, ErrorBody, ErrorCode};
pub use hosting::{
    Admit, ControlsChanged, Denied, Deny, Disable, Lock, MuteAll, RemoveFromCall, Spotlight, WaitingRoom,
};
pub use matching::{MatchConfirm, MatchStart};
pub use recording::{RecordingComposed, RecordingStarted, RecordingStarting, RecordingStopped};
pub use server::{
    Authenticated, CallEnded, Deleted, Empty, GoAway, Left, MemberChanged, MessageBody, ParticipantBody,
    ParticipantLeft, Removed, RoleChanged, RoomState, ServerBody, ServerFrame, SiteRoleChanged, TokenExpiring, Typist,
    Viewers, You,
};

/// The longest frame before login, in bytes.
pub const LOGIN_FRAME_LIMIT: usize = 4 * 1024;
/// The longest frame, in bytes.
pub const FRAME_LIMIT: usize = 64 * 1024;
/// The longest `call.offer`, in bytes: an offer of 25 video slots is about 130 KB.
pub const OFFER_FRAME_LIMIT: usize = 256 * 1024;
/// The longest request id, in characters.
pub const REQUEST_ID_LIMIT: usize = 64;
