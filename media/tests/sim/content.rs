//! What is in a simulated payload: enough to know, wherever it turns up, whose it is and which.

/// One stream of one life of one guest: what has sequence numbers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    pub who: u16,
    /// Counts the guest's connections.
    pub life: u8,
    /// The line of its offer.
    pub line: u8,
    pub layer: u8,
    /// Counts the encoders of a line.
    pub stint: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    pub stream: StreamId,
    pub call: u8,
    pub keyframe: bool,
    pub temporal: u8,
    pub frame: u32,
    pub part: u8,
    pub parts: u8,
    /// Number of the packet in its stream.
    pub number: u32,
    /// The publisher's own timestamp and picture id.
    pub timestamp: u32,
    pub picture: u16,
}

const MARK: [u8; 4] = *b"simu";
/// The VP8 descriptor (RFC 7741 §4.2) with all its parts, and a key frame's header.
const VP8_LEN: usize = 6 + 10;
pub const LEAST_LEN: usize = VP8_LEN + 4 + 22;
const SIZES: [(u16, u16); 3] = [(320, 180), (640, 360), (1280, 720)];

impl Content {
    fn write(&self, payload: &mut Vec<u8>) {
        let StreamId { who, life, line, layer, stint } = self.stream;
        payload.extend_from_slice(&MARK);
        payload.extend_from_slice(&who.to_be_bytes());
        payload.extend_from_slice(&[life, line, layer, stint, self.call, u8::from(self.keyframe) << 4 | self.temporal]);
        payload.extend_from_slice(&self.frame.to_be_bytes());
        payload.extend_from_slice(&[self.part, self.parts]);
        payload.extend_from_slice(&self.number.to_be_bytes());
        payload.extend_from_slice(&self.timestamp.to_be_bytes());
        payload.extend_from_slice(&self.picture.to_be_bytes());
    }

    /// A VP8 payload of so many bytes.
    pub fn vp8(&self, base: u8, len: usize) -> Vec<u8> {
        let starts = if self.part == 0 { 0x10 } else { 0 };
        let [high, low] = (self.picture & 0x7fff).to_be_bytes();
        let mut payload = vec![0x80 | starts, 0xe0, 0x80 | high, low, base, self.temporal << 6 | 0x20];
        let (width, height) = SIZES[usize::from(self.stream.layer)];
        payload.extend_from_slice(&[if self.keyframe { 0x10 } else { 0x11 }, 0, 0, 0x9d, 0x01, 0x2a]);
        payload.extend_from_slice(&width.to_le_bytes());
        payload.extend_from_slice(&height.to_le_bytes());
        self.write(&mut payload);
        payload.resize(payload.len().max(len), 0xaa);
        payload
    }

    /// An Opus payload: a table of contents (RFC 6716 §3.1) for 20 ms, and as many bytes as speech has.
    pub fn opus(&self) -> Vec<u8> {
        let mut payload = vec![0x78];
        self.write(&mut payload);
        payload.resize(80, 0x55);
        payload
    }

    /// Reads a payload back, and for video the picture id that it has now. `None` for what the server made itself.
    pub fn read(payload: &[u8], is_video: bool) -> Option<(Content, u16)> {
        let at = if is_video { VP8_LEN } else { 1 };
        let rest = payload.get(at..)?.strip_prefix(&MARK)?;
        let &[w0, w1, life, line, layer, stint, call, kind, f0, f1, f2, f3, part, parts, ref tail @ ..] = rest else {
            return None;
        };
        let &[n0, n1, n2, n3, t0, t1, t2, t3, p0, p1, ..] = tail else { return None };
        let stream = StreamId { who: u16::from_be_bytes([w0, w1]), life, line, layer, stint };
        let picture_now = if is_video { u16::from_be_bytes([payload[2] & 0x7f, payload[3]]) } else { 0 };
        let content = Content {
            stream,
            call,
            keyframe: kind & 0x10 != 0,
            temporal: kind & 3,
            frame: u32::from_be_bytes([f0, f1, f2, f3]),
            part,
            parts,
            number: u32::from_be_bytes([n0, n1, n2, n3]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            picture: u16::from_be_bytes([p0, p1]),
        };
        Some((content, picture_now))
    }
}
