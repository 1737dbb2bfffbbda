//! From the text of an offer to its meaning.

use super::{
    Codec, CodecName, Direction, Extensions, Feedback, Kind, Line, MAX_MEDIA, MAX_RIDS, MAX_SDP_LEN, MAX_SSRCS, Msid,
    Offer, OfferedMedia, SdpError,
};
use crate::dtls::{Fingerprint, FingerprintError};

/// The longest mid or rid. The answer repeats them, and each packet that starts a stream carries them.
const MAX_NAME_LEN: usize = 32;
/// The longest ICE credential (RFC 8839 §5.4).
const MAX_ICE_LEN: usize = 256;
/// The longest msid, fmtp, or word of an m-line that is kept.
const MAX_TEXT_LEN: usize = 256;

/// The `a=` lines of a session or a section: name and value. A flag's value is empty.
#[derive(Default)]
struct Attributes<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Attributes<'a> {
    fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a str> + 's {
        self.0.iter().filter(move |(found, _)| *found == name).map(|(_, value)| *value)
    }

    fn first(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// The values of `a=NAME:PAYLOAD_TYPE …` for one payload type, without it.
    fn of_payload<'s>(&'s self, name: &'s str, payload_type: u8) -> impl Iterator<Item = &'a str> + 's {
        self.all(name).filter_map(move |value| {
            let (of, rest) = value.split_once(' ')?;
            (of.parse() == Ok(payload_type)).then(|| rest.trim())
        })
    }
}

pub(crate) struct Section<'a> {
    pub(crate) media: &'a str,
    pub(crate) port: &'a str,
    protocol: &'a str,
    formats: Vec<&'a str>,
    attributes: Attributes<'a>,
}

#[cfg(feature = "client")]
impl<'a> Section<'a> {
    pub(crate) fn attributes<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a str> + 's {
        self.attributes.all(name)
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes.first(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.attributes.has(name)
    }
}

/// The sections of any session description, for the client's side of it.
#[cfg(feature = "client")]
pub(crate) fn read_sections(sdp: &str) -> Result<Vec<Section<'_>>, SdpError> {
    split(sdp).map(|(_, sections)| sections)
}

pub(super) fn offer(sdp: &str) -> Result<Offer, SdpError> {
    let (session, sections) = split(sdp)?;
    let mut media = Vec::with_capacity(sections.len());
    for section in &sections {
        media.push(read_section(section, &session, sections.len() == 1)?);
    }
    for (at, section) in media.iter().enumerate() {
        if media[..at].iter().any(|other| other.mid == section.mid) {
            return Err(SdpError::Bad("two sections have the same mid"));
        }
    }
    if !media.iter().any(OfferedMedia::is_accepted) {
        return Err(SdpError::UnsupportedCodecs);
    }
    let bundle = bundled(&session, &media)?;
    let accepted = || media.iter().zip(&sections).filter(|(media, _)| media.is_accepted());
    for (_, section) in accepted() {
        if !section.attributes.has("rtcp-mux") {
            return Err(SdpError::Bad("a section has no a=rtcp-mux"));
        }
        let setup = section.attributes.first("setup").or_else(|| session.first("setup"));
        if setup.is_some_and(|setup| setup != "actpass" && setup != "active") {
            return Err(SdpError::Bad("a=setup must be actpass or active: the server is passive"));
        }
    }

    // All share one transport, so the first section of the bundle that is accepted speaks for all (RFC 8843 §7.3).
    let speaker = bundle
        .iter()
        .find_map(|mid| accepted().find(|(media, _)| media.mid == *mid))
        .or_else(|| accepted().next())
        .map(|(_, section)| &section.attributes)
        .ok_or(SdpError::UnsupportedCodecs)?;
    let levels = [speaker, &session];
    let (ice_ufrag, ice_pwd) = ice(levels)?;
    let fingerprint = fingerprint(levels)?;
    let mixed_extensions = session.has("extmap-allow-mixed");
    let origin = sdp.lines().find_map(|line| line.strip_prefix("o=")).unwrap_or_default();
    let session = origin.split_ascii_whitespace().nth(1).unwrap_or_default().chars().take(64).collect();
    Ok(Offer { ice_ufrag, ice_pwd, fingerprint, session, media, mixed_extensions })
}

/// The session's attributes, and the sections with theirs.
fn split(sdp: &str) -> Result<(Attributes<'_>, Vec<Section<'_>>), SdpError> {
    if sdp.len() > MAX_SDP_LEN {
        return Err(SdpError::Bad("the offer is longer than 256 KiB"));
    }
    if !sdp.starts_with("v=0") {
        return Err(SdpError::Bad("the offer does not begin with v=0"));
    }
    let mut session = Attributes::default();
    let mut sections: Vec<Section<'_>> = Vec::new();
    for line in sdp.split(['\n', '\r']).map(str::trim_end).filter(|line| !line.is_empty()) {
        let (kind, value) = line.split_once('=').ok_or(SdpError::Bad("a line has no ="))?;
        match kind {
            "m" if sections.len() == MAX_MEDIA => return Err(SdpError::TooManyMedia),
            "m" => sections.push(media_line(value)?),
            "a" => {
                let attribute = value.split_once(':').unwrap_or((value, ""));
                sections.last_mut().map_or(&mut session, |section| &mut section.attributes).0.push(attribute);
            }
            _ => {}
        }
    }
    if sections.is_empty() { Err(SdpError::Bad("the offer has no media section")) } else { Ok((session, sections)) }
}

fn media_line(value: &str) -> Result<Section<'_>, SdpError> {
    let mut words = value.split_ascii_whitespace();
    let (Some(media), Some(port), Some(protocol)) = (words.next(), words.next(), words.next()) else {
        return Err(SdpError::Bad("an m-line is too short"));
    };
    let formats: Vec<&str> = words.collect();
    if formats.is_empty() || value.len() > 4 * MAX_TEXT_LEN {
        return Err(SdpError::Bad("an m-line has no or too many formats"));
    }
    Ok(Section { media, port, protocol, formats, attributes: Attributes::default() })
}

/// `alone`: the offer has no other section, so that it needs no name (RFC 9143 wants them for bundles); programs leave it out.
fn read_section(section: &Section<'_>, session: &Attributes<'_>, alone: bool) -> Result<OfferedMedia, SdpError> {
    let attributes = &section.attributes;
    let named = attributes.first("mid");
    let mid = named.or(alone.then_some("0")).ok_or(SdpError::Bad("a section has no a=mid"))?;
    if !is_name(mid) {
        return Err(SdpError::Bad("a mid is not a word of at most 32 characters"));
    }
    let kind = match section.media {
        "audio" => Kind::Audio,
        "video" => Kind::Video,
        _ => Kind::Other,
    };
    // Port 0 of a bundle-only section is Firefox's way to say that it has no port of its own.
    let rejected = section.port == "0" && !attributes.has("bundle-only");
    let direction = direction(attributes).or_else(|| direction(session)).unwrap_or(Direction::SendRecv);
    let line = [section.media, section.protocol, section.formats[0]];
    if line.iter().any(|word| word.len() > MAX_TEXT_LEN || !word.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(SdpError::Bad("an m-line has a word that is too long or no word"));
    }
    let [media, protocol, format] = line.map(str::to_owned);
    let slot = direction == Direction::RecvOnly;
    let (extensions, one_way_extensions) = extensions(attributes, session, slot);
    let names: &[CodecName] = match kind {
        Kind::Audio => &[CodecName::Opus],
        Kind::Video => &CodecName::PICTURES,
        Kind::Other => &[],
    };
    let mut codecs: Vec<Codec> = names.iter().filter_map(|name| codec(section, *name)).collect();
    if !slot {
        let place = |codec: &Codec| section.formats.iter().position(|format| format.parse() == Ok(codec.payload_type));
        let first = codecs.iter().min_by_key(|codec| place(codec)).map(|codec| codec.name);
        codecs.sort_by_key(|codec| match codec.name {
            CodecName::Vp9 | CodecName::Av1 if first == Some(codec.name) => 0,
            CodecName::Opus | CodecName::Vp8 => 1,
            CodecName::H264 => 2,
            CodecName::Vp9 => 3,
            CodecName::Av1 => 4,
        });
    }
    Ok(OfferedMedia {
        mid: mid.to_owned(),
        kind,
        direction,
        rejected,
        codecs,
        extensions,
        send_rids: send_rids(attributes),
        ssrcs: ssrcs(attributes),
        fid: fid(attributes),
        msid: msid(attributes),
        unnamed: named.is_none(),
        reduced_size: attributes.has("rtcp-rsize"),
        one_way_extensions,
        line: Line { media, protocol, format },
    })
}

fn direction(attributes: &Attributes<'_>) -> Option<Direction> {
    attributes.0.iter().find_map(|(name, _)| match *name {
        "sendonly" => Some(Direction::SendOnly),
        "recvonly" => Some(Direction::RecvOnly),
        "sendrecv" => Some(Direction::SendRecv),
        "inactive" => Some(Direction::Inactive),
        _ => None,
    })
}

/// The first payload type of the m-line that is that codec.
fn codec(section: &Section<'_>, name: CodecName) -> Option<Codec> {
    let encoding = match name {
        CodecName::Opus => "opus/48000/2",
        CodecName::Vp8 => "VP8/90000",
        CodecName::Vp9 => "VP9/90000",
        CodecName::H264 => "H264/90000",
        CodecName::Av1 => "AV1/90000",
    };
    if !section.protocol.ends_with("/SAVPF") && !section.protocol.ends_with("/SAVP") {
        return None;
    }
    let attributes = &section.attributes;
    let payload_types = || section.formats.iter().filter_map(|format| format.parse().ok().filter(|pt| *pt < 128));
    let is = |payload_type: u8, encoding: &str| {
        attributes.of_payload("rtpmap", payload_type).any(|found| found.eq_ignore_ascii_case(encoding))
    };
    let level_of = |payload_type: u8| attributes.of_payload("fmtp", payload_type).find_map(baseline_level);
    // The constrained baseline profile first: it is what encoders for calls make.
    let rank = |payload_type: &u8| level_of(*payload_type).map(|level| !level.to_ascii_lowercase().starts_with("42e0"));
    let mut fitting = payload_types().filter(|payload_type| is(*payload_type, encoding));
    let payload_type = match name {
        CodecName::H264 => fitting.filter(|it| rank(it).is_some()).min_by_key(rank)?,
        CodecName::Vp9 => fitting.find(|it| has_profile_0(attributes, *it, "profile-id"))?,
        CodecName::Av1 => fitting.find(|it| has_profile_0(attributes, *it, "profile"))?,
        CodecName::Opus | CodecName::Vp8 => fitting.next()?,
    };
    let rtx_payload_type = payload_types().find(|rtx| {
        is(*rtx, "rtx/90000")
            && attributes.of_payload("fmtp", *rtx).any(|parameters| apt(parameters) == Some(payload_type))
    });
    let mut feedback = Feedback::default();
    let wildcard = attributes.all("rtcp-fb").filter_map(|value| value.strip_prefix("* ")).map(str::trim);
    for offered in attributes.of_payload("rtcp-fb", payload_type).chain(wildcard) {
        match offered {
            "nack" => feedback.nack = true,
            "nack pli" => feedback.pli = true,
            "ccm fir" => feedback.fir = true,
            "transport-cc" => feedback.transport_cc = true,
            "goog-remb" => feedback.remb = true,
            _ => {}
        }
    }
    let fmtp = match name {
        CodecName::H264 => level_of(payload_type),
        _ => attributes.of_payload("fmtp", payload_type).next(),
    };
    let fmtp = fmtp.filter(|fmtp| fmtp.len() <= MAX_TEXT_LEN);
    let redundant = |red: &u8| {
        let both = |parameters: &str| parameters.split('/').all(|it| it.parse() == Ok(payload_type));
        is(*red, "red/48000/2") && attributes.of_payload("fmtp", *red).all(both)
    };
    let red_payload_type = payload_types().find(redundant).filter(|_| name == CodecName::Opus);
    let red_first = payload_types().find(|it| *it == payload_type || Some(*it) == red_payload_type) == red_payload_type;
    Some(Codec {
        name,
        payload_type,
        red_payload_type,
        red_first: red_first && red_payload_type.is_some(),
        rtx_payload_type,
        clock_rate: if name == CodecName::Opus { 48_000 } else { 90_000 },
        fmtp: fmtp.unwrap_or_default().to_owned(),
        feedback,
    })
}

/// Whether a payload type is of profile 0, which is also meant where none is named (RFC 9628 §6, AV1 RTP specification §7.2.1).
fn has_profile_0(attributes: &Attributes<'_>, payload_type: u8, name: &str) -> bool {
    attributes.of_payload("fmtp", payload_type).all(|parameters| parameter(parameters, name).is_none_or(|it| it == "0"))
}

/// One of the parameters of a format.
fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|it| it.trim().strip_prefix(name)?.strip_prefix('=')).map(str::trim)
}

/// The `profile-level-id` of H.264 parameters (RFC 6184 §8.1) that everybody can decode and that allow packets as large as the
/// network's: a baseline profile in packetization mode 1.
fn baseline_level(parameters: &str) -> Option<&str> {
    let level = parameter(parameters, "profile-level-id")?;
    let is_hexadecimal = level.len() == 6 && level.bytes().all(|digit| digit.is_ascii_hexdigit());
    (parameter(parameters, "packetization-mode") == Some("1") && is_hexadecimal && level.starts_with("42"))
        .then_some(level)
}

/// The payload type that retransmissions with these parameters belong to.
fn apt(parameters: &str) -> Option<u8> {
    parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("apt=")?.parse().ok())
}

/// The extensions known to us, and which of them the client would only send, or on a slot only receive.
fn extensions(attributes: &Attributes<'_>, session: &Attributes<'_>, slot: bool) -> (Extensions, Vec<u8>) {
    let mut extensions = Extensions::default();
    let mut one_way = Vec::new();
    let ours = if slot { "recvonly" } else { "sendonly" };
    for value in session.all("extmap").chain(attributes.all("extmap")) {
        let mut words = value.split_ascii_whitespace();
        let (Some(id), Some(uri)) = (words.next(), words.next()) else { continue };
        let (id, direction) = id.split_once('/').unwrap_or((id, "sendrecv"));
        // Id 15 stands for the end of the list (RFC 8285 §4.2).
        let Some(id) = id.parse::<u8>().ok().filter(|id| !matches!(id, 0 | 15)) else { continue };
        if direction != "sendrecv" && direction != ours {
            continue;
        }
        let known = match uri {
            super::answer::MID_URI => &mut extensions.mid,
            super::answer::RID_URI => &mut extensions.rid,
            super::answer::REPAIRED_RID_URI => &mut extensions.repaired_rid,
            super::answer::TRANSPORT_CC_URI => &mut extensions.transport_cc,
            super::answer::AUDIO_LEVEL_URI => &mut extensions.audio_level,
            super::answer::DEPENDENCY_DESCRIPTOR_URI => &mut extensions.dependency_descriptor,
            _ => continue,
        };
        *known = Some(id);
        if direction == ours && !one_way.contains(&id) {
            one_way.push(id);
        }
    }
    (extensions, one_way)
}

/// RFC 8853 §5.1: `send q;h;f`, where `~` starts a paused layer and commas separate alternatives.
fn send_rids(attributes: &Attributes<'_>) -> Vec<String> {
    let announced: Vec<&str> = attributes
        .all("rid")
        .filter_map(|value| {
            let mut words = value.split_ascii_whitespace();
            let rid = words.next()?;
            (words.next() == Some("send") && is_name(rid)).then_some(rid)
        })
        .collect();
    let simulcast = attributes.first("simulcast").and_then(|value| {
        let mut words = value.split_ascii_whitespace();
        words.find(|word| *word == "send")?;
        words.next()
    });
    let mut rids: Vec<String> = Vec::new();
    let mut push = |rid: &str| {
        if announced.contains(&rid) && rids.len() < MAX_RIDS && !rids.iter().any(|known| known == rid) {
            rids.push(rid.to_owned());
        }
    };
    match simulcast {
        Some(layers) => {
            for layer in layers.split(';') {
                let first = layer.split(',').next().unwrap_or_default();
                push(first.strip_prefix('~').unwrap_or(first));
            }
        }
        None => announced.iter().for_each(|rid| push(rid)),
    }
    rids
}

fn ssrcs(attributes: &Attributes<'_>) -> Vec<u32> {
    let mut ssrcs = Vec::new();
    for value in attributes.all("ssrc") {
        let Some(ssrc) = value.split(' ').next().and_then(|ssrc| ssrc.parse().ok()) else { continue };
        if ssrcs.len() < MAX_SSRCS && !ssrcs.contains(&ssrc) {
            ssrcs.push(ssrc);
        }
    }
    ssrcs
}

fn fid(attributes: &Attributes<'_>) -> Vec<(u32, u32)> {
    let groups = attributes.all("ssrc-group").filter_map(|value| {
        let mut words = value.strip_prefix("FID ")?.split_ascii_whitespace();
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    });
    groups.take(MAX_SSRCS).collect()
}

fn msid(attributes: &Attributes<'_>) -> Option<Msid> {
    let value = attributes.first("msid").filter(|value| value.len() <= MAX_TEXT_LEN)?;
    let (stream, track) = value.split_once(' ').unwrap_or((value, ""));
    Some(Msid { stream: stream.to_owned(), track: track.to_owned() })
}

/// The mids of the bundle, which must have every section that is accepted: there is one transport.
fn bundled<'a>(session: &Attributes<'a>, media: &[OfferedMedia]) -> Result<Vec<&'a str>, SdpError> {
    let groups = session.all("group").filter_map(|value| value.strip_prefix("BUNDLE"));
    let mids: Vec<&str> = groups.flat_map(str::split_ascii_whitespace).take(MAX_MEDIA).collect();
    let missing = media.iter().any(|media| media.is_accepted() && !mids.contains(&media.mid.as_str()));
    if missing && media.len() > 1 {
        return Err(SdpError::Bad("not all sections are in one a=group:BUNDLE"));
    }
    Ok(mids)
}

fn ice(levels: [&Attributes<'_>; 2]) -> Result<(String, String), SdpError> {
    for level in levels {
        if let (Some(ufrag), Some(pwd)) = (level.first("ice-ufrag"), level.first("ice-pwd")) {
            // RFC 8839 §5.4: at least 4 and 22 characters.
            let is_credential = |value: &str, least: usize| {
                (least..=MAX_ICE_LEN).contains(&value.len())
                    && value
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'='))
            };
            if !is_credential(ufrag, 1) || !is_credential(pwd, 16) {
                return Err(SdpError::Bad("the ICE credentials are too short, too long or no ICE characters"));
            }
            return Ok((ufrag.to_owned(), pwd.to_owned()));
        }
    }
    Err(SdpError::NoIce)
}

fn fingerprint(levels: [&Attributes<'_>; 2]) -> Result<Fingerprint, SdpError> {
    for value in levels.iter().flat_map(|level| level.all("fingerprint")) {
        match value.parse() {
            Ok(fingerprint) => return Ok(fingerprint),
            // An offer may name several hashes (RFC 8122 §5).
            Err(FingerprintError::Hash) => {}
            Err(FingerprintError::Digest) => return Err(SdpError::Bad("the fingerprint cannot be read")),
        }
    }
    Err(SdpError::NoFingerprint)
}

/// What may stand for a mid or a rid in our answer.
fn is_name(name: &str) -> bool {
    (1..=MAX_NAME_LEN).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b';' | b',' | b'~' | b'='))
}
