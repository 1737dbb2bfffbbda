//! One event on its way: its body, its signature (Standard Webhooks 1.0.0), and a connection that leads to nobody's own network.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use ring::hmac;
use serde_json::{Value, json};

use super::Config;
use crate::domain::{Event, Fact, Refusal, SiteRole, Time, webhook::WebhookEvent};
use crate::previews::{Checked, is_own, is_public};

/// What receivers are told about who sends.
const AGENT: &str = concat!("Parlor/", env!("CARGO_PKG_VERSION"), " (webhooks)");
/// The longest address, in bytes.
const URL_LIMIT: usize = 2_000;

/// The way out.
pub(super) struct Sender {
    own: Vec<IpNet>,
    /// Whether everybody's webhooks may go to them.
    own_for_all: bool,
    /// To public addresses alone.
    public: Client,
    /// To public addresses and to the operator's own networks.
    secure: Client,
    /// Without encryption: to the operator's own networks alone.
    plain: Client,
}

/// What became of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    /// It has arrived.
    Arrived,
    /// It has not.
    Failed(Failure),
    /// The receiver says that it will take nothing any more (410).
    Gone,
}

/// Why it has not arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Failure {
    /// What the receiver answered.
    pub(super) status: Option<u16>,
    /// In words.
    pub(super) why: String,
    /// How long it wants to be left alone.
    pub(super) wait: Option<Duration>,
}

/// An event as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parcel {
    /// The same however often it is sent.
    pub(super) id: String,
    pub(super) body: String,
}

impl Sender {
    pub(super) fn new(config: &Config) -> Result<Self, reqwest::Error> {
        // The first provider decides for the process; ours is the same everywhere.
        tokio_rustls::rustls::crypto::ring::default_provider().install_default().ok();
        let client = |is_public, own: &[IpNet]| {
            Client::builder()
                .user_agent(AGENT)
                .redirect(Policy::none())
                // A proxy would resolve names by itself.
                .no_proxy()
                .referer(false)
                .timeout(Duration::from_millis(config.timeout_ms))
                .dns_resolver(Arc::new(Checked::new(is_public, own.to_vec())))
                .build()
        };
        let (own, own_for_all) = (config.own_networks.clone(), config.own_networks_for_all);
        let (public, secure, plain) = (client(true, &[])?, client(true, &own)?, client(false, &own)?);
        Ok(Self { own, own_for_all, public, secure, plain })
    }

    /// The operator's own networks, if webhooks of somebody of that role may go there: who sends to them from outside learns what is in
    /// them, and has it do something.
    fn own_of(&self, maker: SiteRole) -> &[IpNet] {
        if self.own_for_all || maker >= SiteRole::Administrator { &self.own } else { &[] }
    }

    /// The address, if events may be sent there for somebody of that role: `https`, or `http` to the operator's own networks, and no name
    /// or password in it. Names are resolved and checked each time they are connected to.
    ///
    /// # Errors
    /// `bad_request` (`url`).
    pub(super) fn checked(&self, text: &str, maker: SiteRole) -> Result<Url, Refusal> {
        let own = self.own_of(maker);
        let bad = |why: &str| Refusal::bad_request("url", why);
        let url = Url::parse(text).ok().filter(|_| text.len() <= URL_LIMIT);
        let mut url = url.ok_or_else(|| bad("This is no address."))?;
        let is_secure = match url.scheme() {
            "https" => true,
            "http" if !own.is_empty() => false,
            _ => return Err(bad("Webhooks go to https addresses.")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("An address of a webhook has no name and no password in it."));
        }
        let host = url.host_str().ok_or_else(|| bad("This address names nobody."))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(number) = host.parse() {
            let may = is_own(number, own) || is_secure && is_public(number);
            if !may {
                return Err(bad("Webhooks go to public addresses."));
            }
        }
        url.set_fragment(None);
        Ok(url)
    }

    /// Sends a parcel once.
    pub(super) async fn send(
        &self,
        url: &str,
        maker: SiteRole,
        secrets: &[Vec<u8>],
        parcel: &Parcel,
        now: Time,
    ) -> Tried {
        let failed = |why: String| Tried::Failed(Failure { why, ..Failure::default() });
        // Once more: the operator may have closed a network since.
        let url = match self.checked(url, maker) {
            Ok(url) => url,
            Err(refusal) => return failed(refusal.to_string()),
        };
        let client = match url.scheme() {
            "https" if self.own_of(maker).is_empty() => &self.public,
            "https" => &self.secure,
            _ => &self.plain,
        };
        let timestamp = now.as_ms() / 1000;
        let request = client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &parcel.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures(secrets, parcel, timestamp))
            .body(parcel.body.clone());
        // Of the answer only its head is looked at: its body is a stranger's.
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Tried::Arrived,
            Ok(answer) if answer.status() == StatusCode::GONE => Tried::Gone,
            Ok(answer) => {
                let wait = answer.headers().get(RETRY_AFTER).and_then(|it| it.to_str().ok()?.trim().parse().ok());
                let status = answer.status();
                let why = format!("The receiver answered {status}.");
                Tried::Failed(Failure { status: Some(status.as_u16()), why, wait: wait.map(Duration::from_secs) })
            }
            Err(error) if error.is_timeout() => failed("The receiver did not answer in time.".to_owned()),
            Err(error) if error.is_connect() => failed("The receiver could not be reached.".to_owned()),
            Err(_) => failed("The connection to the receiver broke.".to_owned()),
        }
    }
}

/// A signature for each secret that is good now: HMAC-SHA256 over id, time and body.
fn signatures(secrets: &[Vec<u8>], parcel: &Parcel, timestamp: i64) -> String {
    let signed = format!("{}.{timestamp}.{}", parcel.id, parcel.body);
    let of = |secret: &Vec<u8>| {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    };
    secrets.iter().map(of).collect::<Vec<_>>().join(" ")
}

/// An event as receivers get it. `None`: it is none that leaves.
pub(super) fn parcel(event: &Event, first_at: Time) -> Option<Parcel> {
    let (kind, position) = (WebhookEvent::of(&event.fact)?, event.position?);
    let (at, data) = told(&event.fact)?;
    let body = json!({
        "type": kind.as_str(),
        "timestamp": at.unwrap_or(first_at),
        "roomId": event.room,
        "epoch": position.epoch,
        "offset": position.offset,
        "data": data,
    });
    let id = format!("evt_{}_{}", position.epoch.as_uuid().simple(), position.offset);
    Some(Parcel { id, body: body.to_string() })
}

/// When it happened, where that is kept, and what.
fn told(fact: &Fact) -> Option<(Option<Time>, Value)> {
    Some(match fact {
        Fact::MessageSent(message) => (Some(message.created_at), json!({"message": message})),
        Fact::MessageEdited(message) => (message.edited_at, json!({"message": message})),
        Fact::MessageDeleted { message, by } => (None, json!({"messageId": message, "by": by})),
        Fact::MessageReacted { message, emoji, user, added, count } => {
            let what = json!({"messageId": message, "emoji": emoji, "userId": user, "added": added, "count": count});
            (None, what)
        }
        Fact::MessagePinned { message, pinned_at, by } => {
            (*pinned_at, json!({"messageId": message, "pinnedAt": pinned_at, "by": by}))
        }
        Fact::PollVoted { message, votes, voters } => {
            (None, json!({"messageId": message, "votes": votes, "voters": voters}))
        }
        Fact::ThreadChanged { message, thread } => (None, json!({"messageId": message, "thread": thread})),
        Fact::MemberRole { user, role } => (None, json!({"userId": user, "role": role})),
        Fact::MemberMuted { user, until } => (None, json!({"userId": user, "until": until})),
        Fact::RoomUpdated(room) => (None, json!({"room": room})),
        Fact::RoomOwner { user, former } => (None, json!({"userId": user, "formerOwnerId": former})),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn signatures_are_those_of_the_specification() {
        // The example of the specification's own libraries.
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let parcel =
            Parcel { id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(), body: r#"{"test": 2432232314}"#.to_owned() };
        let signed = signatures(std::slice::from_ref(&secret), &parcel, 1_614_265_330);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(signatures(&[secret.clone(), secret], &parcel, 1_614_265_330), format!("{signed} {signed}"));
    }

    fn inside(own_networks_for_all: bool) -> Sender {
        let own_networks = vec!["127.0.0.0/8".parse().unwrap()];
        Sender::new(&Config { own_networks, own_networks_for_all, timeout_ms: 50, ..Config::default() }).unwrap()
    }

    fn nothing() -> Parcel {
        Parcel { id: "evt_1".to_owned(), body: "{}".to_owned() }
    }

    #[test]
    fn addresses_are_public_and_secure_unless_the_operator_says_so() {
        const OWNER: SiteRole = SiteRole::Member;
        const CHIEF: SiteRole = SiteRole::Administrator;
        let outside = Sender::new(&Config::default()).unwrap();
        for good in ["https://example.org/hook", "https://1.1.1.1:8443/x", "https://[2606:4700::1111]/"] {
            assert!(outside.checked(good, OWNER).is_ok(), "{good}");
        }
        for bad in [
            "http://example.org/hook",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://169.254.169.254/latest",
            "https://[::ffff:10.0.0.1]/",
            "https://0x7f000001/",
            "https://ada:secret@example.org/",
            "ftp://example.org/",
            "example.org",
            "",
        ] {
            assert!(matches!(outside.checked(bad, CHIEF), Err(Refusal::BadRequest { field: "url", .. })), "{bad}");
        }
        let inside = inside(false);
        for own in ["http://127.0.0.1:9/x", "https://127.0.0.1/"] {
            assert!(inside.checked(own, CHIEF).is_ok(), "{own}");
            // Whoever owns a room is a stranger.
            assert!(inside.checked(own, OWNER).is_err() && inside.checked(own, SiteRole::Moderator).is_err(), "{own}");
        }
        assert!(
            inside.checked("http://1.1.1.1/", CHIEF).is_err() && inside.checked("http://10.0.0.1/", CHIEF).is_err()
        );
        assert!(self::inside(true).checked("http://127.0.0.1:9/x", OWNER).is_ok());
    }

    #[tokio::test]
    async fn names_that_lead_inside_are_not_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        for (sender, maker) in
            [(Sender::new(&Config::default()).unwrap(), SiteRole::Administrator), (inside(false), SiteRole::Member)]
        {
            let tried = sender.send(&url, maker, &[vec![1; 32]], &nothing(), Time::now()).await;
            let why = "The receiver could not be reached.".to_owned();
            assert_eq!(tried, Tried::Failed(Failure { why, ..Failure::default() }));
        }
    }

    #[tokio::test]
    async fn a_receiver_that_says_nothing_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let sender = inside(true);
        let (secrets, parcel) = ([vec![1; 32]], nothing());
        let sent = sender.send(&url, SiteRole::Member, &secrets, &parcel, Time::now());
        // It takes the connection, and all of the request, and keeps both for itself.
        let (tried, _taken) = tokio::join!(sent, listener.accept());
        let why = "The receiver did not answer in time.".to_owned();
        assert_eq!(tried, Tried::Failed(Failure { why, ..Failure::default() }));
    }
}
