//! What the sections of an offer are, for whoever gets one without being told what it carries.

use parlor_media::sdp::{Direction, Kind, Offer};

use super::OfferError;

/// A section of an offer that can be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its `a=mid`.
    pub mid: String,
    /// Audio, else video.
    pub audio: bool,
    /// The client would send on it.
    pub sends: bool,
    /// The client would receive on it.
    pub receives: bool,
}

/// The sections of an offer whose codecs the media core knows, in their order.
///
/// # Errors
/// When the offer cannot be read, see [`OfferError`].
pub fn sections(sdp: &str) -> Result<Vec<Section>, OfferError> {
    let offer = Offer::parse(sdp).map_err(|error| OfferError::from(parlor_media::OfferError::Sdp(error)))?;
    let taken = offer.media.into_iter().filter(|media| media.is_accepted());
    let section = |media: parlor_media::sdp::OfferedMedia| Section {
        audio: media.kind == Kind::Audio,
        sends: matches!(media.direction, Direction::SendOnly | Direction::SendRecv),
        receives: matches!(media.direction, Direction::RecvOnly | Direction::SendRecv),
        mid: media.mid,
    };
    Ok(taken.map(section).collect())
}
