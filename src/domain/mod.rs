//! The nouns everybody speaks: plain values, no I/O.
//!
//! They serialise to the JSON of the wire (camelCase), so a message looks the same in a frame, in a REST answer, in the
//! table of events and on the bus.

pub mod ban;
pub mod call;
pub mod case;
pub mod controls;
pub mod deed;
pub mod event;
pub mod evidence;
mod id;
pub mod matching;
pub mod message;
pub mod notice;
pub mod quality;
pub mod recording;
mod refusal;
pub mod role;
pub mod room;
mod session;
pub mod stream;
mod time;
pub mod user;

pub use call::{CallRecording, TrackSource, View};
pub use controls::{Controls, Door, HostAct, Waiter, Waiting, Whom};
pub use deed::{Deed, LogEntry};
pub use event::{Audience, Epoch, Event, Fact, Origin, Position};
pub use id::{
    BanId, CallId, CaseId, EvidenceId, FamilyId, FileId, LogId, MatchId, MessageId, ParticipantId, RecordingId,
    ReportId, RoomId, SessionId, StreamKeyId, TicketId, TrackId, UserId,
};
pub use message::Message;
pub use notice::{Addressee, Notice, Told};
pub use refusal::Refusal;
pub use role::{Action, Role, SiteRole, Standing, can};
pub use room::{Member, Room, RoomKind, Visibility};
pub use session::{Caller, LoginChange, Seat, Session, SessionChange};
pub use stream::{StreamKey, StreamKind};
pub use time::Time;
pub use user::User;
