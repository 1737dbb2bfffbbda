//! The nouns everybody speaks: plain values, no I/O.
//!
//! They serialise to the JSON of the wire (camelCase), so a message looks the same in a frame, in a REST answer, in the
//! table of events and on the bus.

pub mod account;
pub mod api_key;
pub mod attachment;
pub mod ban;
pub mod call;
pub mod case;
pub mod cluster;
pub mod controls;
pub mod deed;
pub mod direct;
pub mod event;
pub mod evidence;
pub mod feature;
mod id;
pub mod invite;
pub mod matching;
pub mod message;
pub mod notice;
pub mod peer;
pub mod presence;
pub mod quality;
pub mod reading;
pub mod recording;
mod refusal;
pub mod ring;
pub mod role;
pub mod room;
pub mod search;
mod session;
pub mod settings;
pub mod stream;
mod system;
mod time;
pub mod trust;
pub mod user;
pub mod webhook;
pub mod words;

pub use api_key::Scope;
pub use call::{CallRecording, TrackSource, View};
pub use controls::{Controls, Door, HostAct, Waiter, Waiting, Whom};
pub use deed::{Deed, LogEntry};
pub use event::{Audience, Epoch, Event, Fact, Origin, Position};
pub use id::{
    ApiKeyId, BanId, CallId, CaseId, DeliveryId, EvidenceId, FamilyId, FileId, InviteId, LogId, MatchId, MessageId,
    NodeId, ParticipantId, PasskeyId, RecordingId, ReportId, RoomId, SessionId, StreamKeyId, TicketId, TrackId, UserId,
    WebhookId,
};
pub use message::Message;
pub use notice::{Addressee, Notice, Told};
pub use refusal::Refusal;
pub use role::{Action, Permits, Role, SiteRole, Standing, can, permit};
pub use room::{Member, Room, RoomKind, Visibility};
pub use session::{Caller, LoginChange, Seat, Session, SessionChange};
pub use settings::{ContentLevel, Retention, Rules, Settings};
pub use stream::{StreamKey, StreamKind};
pub use time::Time;
pub use trust::Trust;
pub use user::User;
