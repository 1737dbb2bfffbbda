//! RFC 6455 byte by byte: what `/ws` does with frames that a well-behaved client never sends.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{PATIENCE, Server};

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;
/// The bit of a message's last frame.
const FIN: u8 = 0x80;
/// Any mask will do.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// A name with characters of one, two, three and four bytes.
const NAME: &str = "aü€𝄞";

/// A socket without a library in between.
struct Wire(TcpStream);

impl Wire {
    /// Opens the socket and logs in.
    async fn open(server: &Server, token: &str) -> Self {
        let mut wire = Self::shake_hands(server).await;
        wire.text(&json!({"type": "authenticate", "id": "1", "data": {"token": token}}).to_string()).await;
        assert_eq!(wire.event().await["type"], "authenticated");
        wire
    }

    async fn shake_hands(server: &Server) -> Self {
        let (head, wire) = handshake(server, "GET", &UPGRADE).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        // The example of RFC 6455, section 1.3.
        assert!(head.to_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
        wire
    }

    async fn send(&mut self, bytes: &[u8]) {
        // The server may have closed already: then what it said is there to be read.
        let _ = self.0.write_all(bytes).await;
    }

    /// A masked frame; `first` is its first byte.
    async fn frame(&mut self, first: u8, payload: &[u8]) {
        self.send(&frame(first, payload)).await;
    }

    async fn text(&mut self, text: &str) {
        self.frame(FIN | TEXT, text.as_bytes()).await;
    }

    /// The next frame: its first byte and its payload. `None` at the end of the connection.
    async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        timeout(PATIENCE, self.read()).await.expect("the server answers in time")
    }

    async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).await.ok()?;
        let length = match head[1] {
            126 => usize::from(self.0.read_u16().await.ok()?),
            127 => usize::try_from(self.0.read_u64().await.ok()?).unwrap(),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((head[0], payload))
    }

    async fn event(&mut self) -> Value {
        let (first, payload) = self.next().await.expect("the socket is open");
        assert_eq!(first, FIN | TEXT);
        serde_json::from_slice(&payload).unwrap()
    }

    /// The code with which the server closes, if it names one. Other frames are skipped.
    async fn closed(&mut self) -> Option<u16> {
        while let Some((first, payload)) = self.next().await {
            if first == FIN | CLOSE {
                return payload.first_chunk().map(|code| u16::from_be_bytes(*code));
            }
        }
        panic!("the connection ended without a close frame");
    }

    async fn still_answers(&mut self) {
        self.text(&ping_of(NAME)).await;
        assert_eq!(self.event().await["id"], NAME);
    }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ ..126 => bytes.push(0x80 | u8::try_from(short).unwrap()),
        long @ ..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(long).unwrap().to_be_bytes());
        }
        longer => {
            bytes.push(0x80 | 127);
            bytes.extend((longer as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

fn ping_of(name: &str) -> String {
    json!({"type": "ping", "id": name, "data": {}}).to_string()
}

const UPGRADE: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// Asks for a socket; the head of the answer, and the connection behind it.
async fn handshake(server: &Server, method: &str, headers: &[(&str, &str)]) -> (String, Wire) {
    let address = server.base.strip_prefix("http://").unwrap();
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    tcp.write_all(format!("{method} /ws HTTP/1.1\r\nhost: {address}\r\n{headers}\r\n").as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, tcp.read_u8()).await.expect("the server answers in time").unwrap());
    }
    (String::from_utf8(head).unwrap(), Wire(tcp))
}

#[tokio::test]
async fn a_message_may_come_in_any_pieces_wherever_its_characters_break() {
    let server = Server::start().await;
    let mut wire = Wire::open(&server, &server.enter("ada").await.token).await;
    let text = ping_of(NAME).into_bytes();
    for cut in 0..=text.len() {
        wire.frame(TEXT, &text[..cut]).await;
        wire.frame(FIN | CONTINUATION, &text[cut..]).await;
        assert_eq!(wire.event().await["id"], NAME, "cut at {cut}");
    }
    // One byte at a time, empty pieces in between, and each byte of the frames in a write of its own.
    wire.0.set_nodelay(true).unwrap();
    let mut pieces = frame(TEXT, b"");
    for byte in &text {
        pieces.extend(frame(CONTINUATION, &[*byte]));
        pieces.extend(frame(CONTINUATION, b""));
    }
    pieces.extend(frame(FIN | CONTINUATION, b""));
    for byte in pieces {
        wire.send(&[byte]).await;
    }
    assert_eq!(wire.event().await["id"], NAME);
}

#[tokio::test]
async fn control_frames_are_answered_between_the_pieces_of_a_message() {
    let server = Server::start().await;
    let mut wire = Wire::open(&server, &server.enter("ada").await.token).await;
    let text = ping_of(NAME).into_bytes();
    wire.frame(TEXT, &text[..5]).await;
    wire.frame(FIN | PING, b"are you there?").await;
    assert_eq!(wire.next().await, Some((FIN | PONG, b"are you there?".to_vec())), "before the message is whole");
    wire.frame(CONTINUATION, &text[5..9]).await;
    wire.frame(FIN | PONG, b"nobody asked").await;
    wire.frame(FIN | CONTINUATION, &text[9..]).await;
    assert_eq!(wire.event().await["id"], NAME);
    // A close between the pieces is a close.
    wire.frame(TEXT, &text[..5]).await;
    wire.frame(FIN | CLOSE, &1000_u16.to_be_bytes()).await;
    assert_eq!(wire.closed().await, Some(1000));
}

#[tokio::test]
async fn pings_are_echoed_up_to_their_limit() {
    let server = Server::start().await;
    let mut wire = Wire::open(&server, &server.enter("ada").await.token).await;
    for length in [0, 1, 124, 125] {
        let payload: Vec<u8> = (0..length).map(|number| 0xff - number).collect();
        wire.frame(FIN | PING, &payload).await;
        assert_eq!(wire.next().await, Some((FIN | PONG, payload)));
    }
    wire.still_answers().await;
    for payload in [126, 70_000] {
        let mut wire = Wire::open(&server, &server.enter(&format!("ben{payload}")).await.token).await;
        wire.frame(FIN | PING, &vec![b'x'; payload]).await;
        assert_eq!(wire.closed().await, Some(1002), "a ping of {payload} bytes");
    }
}

#[tokio::test]
async fn what_the_protocol_forbids_closes_with_1002() {
    let server = Server::start().await;
    let token = server.enter("ada").await.token;
    let text = ping_of("1").into_bytes();
    let mut unmasked = vec![FIN | TEXT, u8::try_from(text.len()).unwrap()];
    unmasked.extend(&text);
    let mut cases = vec![
        ("an unmasked frame", unmasked),
        ("a ping in pieces", frame(PING, b"x")),
        ("a close in pieces", frame(CLOSE, &1000_u16.to_be_bytes())),
        ("a continuation of nothing", frame(FIN | CONTINUATION, &text)),
        ("a message within a message", [frame(TEXT, &text[..3]), frame(FIN | TEXT, &text)].concat()),
        ("a close of one byte", frame(FIN | CLOSE, &[3])),
        ("a long close", frame(FIN | CLOSE, &[&1000_u16.to_be_bytes()[..], &[b'x'; 124]].concat())),
    ];
    for bit in [0x10, 0x20, 0x40] {
        cases.push(("a reserved bit", frame(FIN | bit | TEXT, &text)));
    }
    for opcode in (0x3..=0x7).chain(0xb..=0xf) {
        cases.push(("a reserved opcode", frame(FIN | opcode, b"")));
    }
    for code in [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535_u16] {
        cases.push(("a close code that means nothing", frame(FIN | CLOSE, &code.to_be_bytes())));
    }
    for (case, bytes) in cases {
        let mut wire = Wire::open(&server, &token).await;
        wire.send(&bytes).await;
        assert_eq!(wire.closed().await, Some(1002), "{case}: {bytes:?}");
        // The same from somebody who has not logged in.
        let mut stranger = Wire::shake_hands(&server).await;
        stranger.send(&bytes).await;
        assert_eq!(stranger.closed().await, Some(1002), "{case}, before login");
    }
}

#[tokio::test]
async fn text_that_is_no_text_closes_with_1007() {
    let server = Server::start().await;
    let token = server.enter("ada").await.token;
    let cases: [(&str, &[&[u8]]); 7] = [
        ("a lone continuation byte", &[b"\x80"]),
        ("an overlong slash", &[b"\xc0\xaf"]),
        ("a surrogate", &[b"\xed\xa0\x80"]),
        ("beyond Unicode", &[b"\xf4\x90\x80\x80"]),
        ("a character without its end", &[b"abc\xe2\x82"]),
        ("a character without its end, in pieces", &[b"abc\xe2", b"\x82"]),
        ("good, then bad", &["ü€".as_bytes(), b"\xff", b"x"]),
    ];
    for (case, pieces) in cases {
        let mut wire = Wire::open(&server, &token).await;
        for (number, piece) in pieces.iter().enumerate() {
            let opcode = if number == 0 { TEXT } else { CONTINUATION };
            let last = if number + 1 == pieces.len() { FIN } else { 0 };
            wire.frame(last | opcode, piece).await;
        }
        assert_eq!(wire.closed().await, Some(1007), "{case}");
    }
    let mut wire = Wire::open(&server, &token).await;
    wire.frame(FIN | CLOSE, b"\x03\xe8\xce\xba\xff").await;
    assert_eq!(wire.closed().await, Some(1007), "the reason of a close is text too");
}

#[tokio::test]
async fn a_close_is_answered_with_its_code() {
    let server = Server::start().await;
    let token = server.enter("ada").await.token;
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999_u16] {
        let mut wire = Wire::open(&server, &token).await;
        let reason = "r".repeat(123);
        wire.frame(FIN | CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat()).await;
        // What comes behind a close is not read.
        wire.text(&ping_of("late")).await;
        let (first, payload) = wire.next().await.expect("an answer");
        assert_eq!((first, &payload[..2]), (FIN | CLOSE, &code.to_be_bytes()[..]), "{code}");
        assert_eq!(wire.next().await, None, "the server ends the connection");
    }
    let mut wire = Wire::open(&server, &token).await;
    wire.frame(FIN | CLOSE, b"").await;
    assert_eq!(wire.closed().await, None, "a close without a code is answered by one");
}

#[tokio::test]
async fn lengths_are_read_in_all_three_forms_and_limits_hold() {
    let server = Server::start().await;
    let token = server.enter("ada").await.token;
    let mut wire = Wire::open(&server, &token).await;
    // An unknown field is not read, and pads the frame.
    let padded = |length: usize| {
        let empty = json!({"type": "ping", "id": "1", "data": {}, "pad": ""}).to_string();
        empty.replace(r#""pad":"""#, &format!(r#""pad":"{}""#, "x".repeat(length - empty.len())))
    };
    for length in [125, 126, 127, 128, 65_535, 65_536] {
        wire.text(&padded(length)).await;
        assert_eq!(wire.event().await["type"], "pong", "{length} bytes");
    }
    wire.text(&padded(65_537)).await;
    assert_eq!(wire.closed().await, Some(1009));
    // The same in pieces, none of which is too large.
    let mut wire = Wire::open(&server, &token).await;
    let text = padded(300_000).into_bytes();
    let mut pieces = text.chunks(30_000).enumerate().peekable();
    while let Some((number, piece)) = pieces.next() {
        let last = if pieces.peek().is_none() { FIN } else { 0 };
        wire.frame(last | if number == 0 { TEXT } else { CONTINUATION }, piece).await;
    }
    assert_eq!(wire.closed().await, Some(1009));
    // A length alone takes no memory, and is refused before a byte of it has come.
    for length in [300_000, u64::from(u32::MAX), i64::MAX.cast_unsigned()] {
        let mut wire = Wire::open(&server, &token).await;
        let mut head = vec![FIN | TEXT, 0x80 | 127];
        head.extend(length.to_be_bytes());
        head.extend(MASK);
        wire.send(&head).await;
        assert_eq!(wire.closed().await, Some(1009), "{length} bytes");
    }
}

#[tokio::test]
async fn a_handshake_that_is_none_is_refused() {
    let server = Server::start().await;
    let with = |name: &str, value: &'static str| {
        UPGRADE.map(|(header, usual)| (header, if header == name { value } else { usual })).to_vec()
    };
    let without = |name: &str| UPGRADE.into_iter().filter(|(header, _)| *header != name).collect::<Vec<_>>();
    for headers in [
        without("connection"),
        without("upgrade"),
        without("sec-websocket-version"),
        without("sec-websocket-key"),
        with("connection", "keep-alive"),
        with("upgrade", "h2c"),
        with("sec-websocket-version", "8"),
    ] {
        let (head, _) = handshake(&server, "GET", &headers).await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{headers:?}: {head}");
        assert!(head.to_lowercase().contains("sec-websocket-version: 13\r\n"), "{head}");
    }
    let (head, _) = handshake(&server, "POST", &UPGRADE).await;
    assert!(head.starts_with("HTTP/1.1 4"), "{head}");
    // Compression is not spoken here: nobody is told that it is.
    let mut headers = UPGRADE.to_vec();
    headers.push(("sec-websocket-extensions", "permessage-deflate"));
    let (head, _) = handshake(&server, "GET", &headers).await;
    assert!(head.starts_with("HTTP/1.1 101 ") && !head.to_lowercase().contains("sec-websocket-extensions"), "{head}");
}
