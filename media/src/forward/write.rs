//! The innermost step: one packet's header, extensions and payload, written where the kernel will read them, and sealed.

use crate::line::Way;
use crate::rtp;

/// The header extensions of what goes to a receiver, by its ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Extensions {
    /// The number for congestion feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2).
    pub transport_cc: Option<u8>,
    /// AV1's dependency descriptor.
    pub dependency: Option<u8>,
}

/// The header of a packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub payload_type: u8,
    pub marker: bool,
    /// The sequence number with its rollovers.
    pub index: u64,
    pub timestamp: u32,
    pub ssrc: u32,
    /// What the packet was numbered at first, for a retransmission (RFC 4588 §4).
    pub original: Option<u16>,
}

/// The longest element that a one-byte header can have (RFC 8285 §4.2).
const LONGEST_SHORT: usize = 16;
/// The largest id of a one-byte header.
const LARGEST_SHORT: u8 = 14;

/// Where the parts of a packet's extensions lie.
#[derive(Debug, Clone, Copy, Default)]
struct Layout {
    /// The whole block with its head, padded to 32 bits; 0 for none.
    len: usize,
    /// Elements have two-byte heads.
    long: bool,
}

impl Extensions {
    /// The number of a packet that leaves, where its receiver wants one.
    fn number(self, len: usize, way: &mut Way<'_>) -> u16 {
        if self.transport_cc.is_some() {
            return way.number(len);
        }
        way.passed(len);
        0
    }

    fn layout(self, numbered: bool, dependency: &[u8]) -> Layout {
        let transport_cc = self.transport_cc.filter(|_| numbered);
        let dependency_id = self.dependency.filter(|_| !dependency.is_empty());
        if transport_cc.is_none() && dependency_id.is_none() {
            return Layout::default();
        }
        let long = dependency_id.is_some() && dependency.len() > LONGEST_SHORT
            || [transport_cc, dependency_id].into_iter().flatten().any(|id| id > LARGEST_SHORT);
        let head = if long { 2 } else { 1 };
        let elements = transport_cc.map_or(0, |_| head + 2) + dependency_id.map_or(0, |_| head + dependency.len());
        Layout { len: 4 + elements.next_multiple_of(4), long }
    }

    /// Writes the block into `room`, which is as long as the layout says; answers where the dependency descriptor lies.
    fn write(self, layout: Layout, number: u16, numbered: bool, dependency: &[u8], room: &mut [u8]) -> usize {
        room.fill(0);
        let profile: u16 = if layout.long { 0x1000 } else { 0xbede };
        room[..2].copy_from_slice(&profile.to_be_bytes());
        room[2..4].copy_from_slice(&((layout.len / 4 - 1) as u16).to_be_bytes());
        let mut at = 4;
        let head = |at: &mut usize, room: &mut [u8], id: u8, len: usize| {
            if layout.long {
                (room[*at], room[*at + 1]) = (id, len as u8);
                *at += 2;
            } else {
                room[*at] = id << 4 | (len - 1) as u8;
                *at += 1;
            }
        };
        if let Some(id) = self.transport_cc.filter(|_| numbered) {
            head(&mut at, room, id, 2);
            room[at..at + 2].copy_from_slice(&number.to_be_bytes());
            at += 2;
        }
        if let Some(id) = self.dependency.filter(|_| !dependency.is_empty()) {
            head(&mut at, room, id, dependency.len());
            room[at..at + dependency.len()].copy_from_slice(dependency);
        }
        at
    }
}

/// Writes one sealed packet into the arena and answers its length. `rewrite` gets the copies of the dependency descriptor and the
/// payload, to change counters in them.
pub(crate) fn packet(
    head: Head,
    extensions: Extensions,
    (dependency, payload): (&[u8], &[u8]),
    rewrite: impl FnOnce(&mut [u8], &mut [u8]),
    way: &mut Way<'_>,
) -> usize {
    let numbered = way.line.is_some();
    let layout = extensions.layout(numbered, dependency);
    let header = rtp::FIXED_LEN + layout.len;
    let body = header + if head.original.is_some() { 2 } else { 0 };
    let len = body + payload.len() + way.sealer.tag_len();
    let number = extensions.number(len, way);
    let room = way.out.packet(way.to, len);
    rtp::write_header(room, head.payload_type, head.marker, head.index as u16, head.timestamp, head.ssrc);
    let (front, rest) = room.split_at_mut(header);
    if layout.len > 0 {
        front[0] |= 0x10;
    }
    if let Some(original) = head.original {
        rest[..2].copy_from_slice(&original.to_be_bytes());
    }
    let copy = &mut rest[body - header..body - header + payload.len()];
    copy.copy_from_slice(payload);
    let block = &mut front[rtp::FIXED_LEN..];
    if layout.len > 0 {
        let at = extensions.write(layout, number, numbered, dependency, block);
        let there = if extensions.dependency.is_some() { dependency.len() } else { 0 };
        rewrite(&mut block[at..at + there], copy);
    } else {
        rewrite(&mut [], copy);
    }
    way.sealer.seal_rtp(room, header, (head.index >> 16) as u32);
    len
}

/// Writes a sealed packet of so much padding and nothing else (RFC 3550 §5.1) and answers its length.
pub(crate) fn padding(head: Head, extensions: Extensions, padding: u8, way: &mut Way<'_>) -> usize {
    let layout = extensions.layout(way.line.is_some(), &[]);
    let header = rtp::FIXED_LEN + layout.len;
    let padded = header + usize::from(padding.max(1));
    let len = padded + way.sealer.tag_len();
    let numbered = layout.len > 0;
    let number = extensions.number(len, way);
    let room = way.out.packet(way.to, len);
    rtp::write_header(room, head.payload_type, head.marker, head.index as u16, head.timestamp, head.ssrc);
    room[0] |= 0x20;
    if numbered {
        room[0] |= 0x10;
        extensions.write(layout, number, true, &[], &mut room[rtp::FIXED_LEN..header]);
    }
    room[header..padded].fill(0);
    room[padded - 1] = padding.max(1);
    way.sealer.seal_rtp(room, header, (head.index >> 16) as u32);
    len
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::Header;

    fn header_with(extensions: Extensions, dependency: &[u8]) -> Vec<u8> {
        let layout = extensions.layout(true, dependency);
        let mut packet = vec![0; rtp::FIXED_LEN + layout.len];
        rtp::write_header(&mut packet, 96, false, 1, 2, 3);
        if layout.len > 0 {
            packet[0] |= 0x10;
            extensions.write(layout, 0x1234, true, dependency, &mut packet[rtp::FIXED_LEN..]);
        }
        packet
    }

    #[test]
    fn extensions_are_read_back_in_both_forms() {
        let ids = Extensions { transport_cc: Some(3), dependency: Some(9) };
        for dependency in [&[][..], &[1, 2, 3], &[7; 16], &[8; 17], &[9; 150]] {
            let packet = header_with(ids, dependency);
            let header = Header::parse(&packet).expect("a good header");
            assert_eq!(header.len, packet.len());
            assert_eq!(header.extension(&packet, 3), Some(&[0x12, 0x34][..]));
            assert_eq!(header.extension(&packet, 9).unwrap_or_default(), dependency);
        }
        let packet = header_with(Extensions { transport_cc: Some(200), dependency: None }, &[]);
        let header = Header::parse(&packet).expect("a good header");
        assert_eq!(header.extension(&packet, 200), Some(&[0x12, 0x34][..]));
        assert_eq!(header_with(Extensions::default(), &[1]).len(), rtp::FIXED_LEN);
    }
}
