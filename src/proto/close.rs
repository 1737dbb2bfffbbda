//! Why sockets close, and what clients do about it.

/// Why the server closed the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// All is said.
    Normal,
    /// A frame that breaks RFC 6455.
    Protocol,
    /// A text frame that is not UTF-8.
    NotText,
    /// A frame over its limit.
    TooBig,
    /// Our fault, or too much at once: try again later.
    Internal,
    /// The client does not speak this protocol.
    BadClient,
    /// No login in time, or a bad token.
    Unauthenticated,
    /// The access token expired and no other came.
    TokenExpired,
    /// Removed or banned.
    Removed,
    /// No byte for too long.
    Idle,
    /// The session connected again.
    Replaced,
    /// The queue for this socket was full.
    TooSlow,
    /// The server stops.
    GoingAway,
}

/// What a client does about a closed socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseAction {
    /// Back off, connect, resume.
    Retry,
    /// Get another access token, then as [`CloseAction::Retry`].
    Refresh,
    /// As [`CloseAction::Retry`], after the time that the `go_away` frame has named.
    Wait,
    /// Stay away: connecting again brings nothing.
    Stop,
}

impl CloseAction {
    /// Its name in the table of `docs/protocol.md` and in the SDK.
    pub const fn name(self) -> &'static str {
        match self {
            CloseAction::Retry => "retry",
            CloseAction::Refresh => "refresh",
            CloseAction::Wait => "wait",
            CloseAction::Stop => "stop",
        }
    }
}

impl CloseCode {
    /// Every code, in the order of their numbers.
    pub const ALL: [CloseCode; 13] = [
        CloseCode::Normal,
        CloseCode::Protocol,
        CloseCode::NotText,
        CloseCode::TooBig,
        CloseCode::Internal,
        CloseCode::BadClient,
        CloseCode::Unauthenticated,
        CloseCode::TokenExpired,
        CloseCode::Removed,
        CloseCode::Idle,
        CloseCode::Replaced,
        CloseCode::TooSlow,
        CloseCode::GoingAway,
    ];

    /// The number on the wire (RFC 6455, section 7.4; from 4000 on they are ours).
    pub const fn number(self) -> u16 {
        match self {
            CloseCode::Normal => 1000,
            CloseCode::Protocol => 1002,
            CloseCode::NotText => 1007,
            CloseCode::TooBig => 1009,
            CloseCode::Internal => 1011,
            CloseCode::BadClient => 4400,
            CloseCode::Unauthenticated => 4401,
            CloseCode::TokenExpired => 4402,
            CloseCode::Removed => 4403,
            CloseCode::Idle => 4408,
            CloseCode::Replaced => 4409,
            CloseCode::TooSlow => 4429,
            CloseCode::GoingAway => 4503,
        }
    }

    /// The reason text that goes with it.
    pub const fn reason(self) -> &'static str {
        match self {
            CloseCode::Normal => "normal",
            CloseCode::Protocol => "protocol error",
            CloseCode::NotText => "not utf-8",
            CloseCode::TooBig => "too big",
            CloseCode::Internal => "internal",
            CloseCode::BadClient => "bad client",
            CloseCode::Unauthenticated => "login timeout or bad token",
            CloseCode::TokenExpired => "token expired",
            CloseCode::Removed => "removed or banned",
            CloseCode::Idle => "idle",
            CloseCode::Replaced => "replaced",
            CloseCode::TooSlow => "too slow",
            CloseCode::GoingAway => "going away",
        }
    }

    /// What the client does about it. A number that is not here is a network's: [`CloseAction::Retry`].
    pub const fn action(self) -> CloseAction {
        match self {
            CloseCode::Internal | CloseCode::Idle | CloseCode::TooSlow => CloseAction::Retry,
            CloseCode::Unauthenticated | CloseCode::TokenExpired => CloseAction::Refresh,
            CloseCode::GoingAway => CloseAction::Wait,
            CloseCode::Normal
            | CloseCode::Protocol
            | CloseCode::NotText
            | CloseCode::TooBig
            | CloseCode::BadClient
            | CloseCode::Removed
            | CloseCode::Replaced => CloseAction::Stop,
        }
    }
}
