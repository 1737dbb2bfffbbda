//! What a case rests on: frames and messages as they were, and what the classifier made of them.

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};

use super::case::names;
use super::{EvidenceId, Time};

names! {
    /// What the classifier tells apart.
    Label {
        /// Harmless drawings.
        Drawing = "Drawing",
        /// Pornographic drawings.
        Hentai = "Hentai",
        /// Anything harmless.
        Neutral = "Neutral",
        /// Pornography.
        Porn = "Porn",
        /// Suggestive, but no pornography.
        Sexy = "Sexy",
    }

    /// What a piece of evidence is.
    EvidenceKind {
        /// A picture.
        Frame = "frame",
        /// Messages.
        Messages = "messages",
    }
}

/// A probability for each label, in the order of [`Label::ALL`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores([f32; 5]);

impl Scores {
    /// What a classifier may say: probabilities that make 1 together. `None`: these are none, so the classifier is broken.
    pub fn checked(scores: [f32; 5]) -> Option<Self> {
        // A softmax in 32 bits misses 1 by a few millionths.
        const SLACK: f32 = 0.01;
        let each = scores.iter().all(|score| score.is_finite() && (-SLACK..=1.0 + SLACK).contains(score));
        let all = (scores.iter().sum::<f32>() - 1.0).abs() <= SLACK;
        (each && all).then_some(Self(scores))
    }

    /// The probability of one label.
    pub const fn of(&self, label: Label) -> f32 {
        self.0[label as usize]
    }
}

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Label::ALL.len()))?;
        for label in Label::ALL {
            map.serialize_entry(label.as_str(), &self.of(*label))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Scores {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let named = std::collections::BTreeMap::<Label, f32>::deserialize(deserializer)?;
        let mut scores = [f32::NAN; 5];
        for (label, score) in named {
            scores[label as usize] = score;
        }
        Self::checked(scores).ok_or_else(|| serde::de::Error::custom("these are no probabilities"))
    }
}

/// Which classifier it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Model {
    /// Its name.
    #[schema(example = "nsfwjs-mobilenet-v2")]
    pub name: String,
    /// The hash of its file, in hexadecimal.
    pub sha256: String,
}

/// Something kept as it was. The thing itself is fetched apart, and that is logged.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Which.
    pub evidence_id: EvidenceId,
    /// What it is.
    pub kind: EvidenceKind,
    /// Its media type.
    #[schema(example = "image/webp")]
    pub media_type: String,
    /// The hash of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its length, in bytes.
    pub size_bytes: u64,
    /// From when it is.
    pub taken_at: Time,
    /// When it is deleted, unless its case waits for an administrator.
    pub expires_at: Time,
    /// Pixels across.
    pub width: Option<u32>,
    /// Pixels down.
    pub height: Option<u32>,
    /// What the classifier saw in it.
    #[schema(value_type = Option<std::collections::BTreeMap<String, f32>>)]
    pub scores: Option<Scores>,
    /// From which probability on the case's label counted then.
    pub threshold: Option<f32>,
    /// Which classifier it was.
    pub model: Option<Model>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_probabilities_of_everything() {
        let scores = Scores::checked([0.9, 0.05, 0.05, 0.0, 0.0]).unwrap();
        assert!((scores.of(Label::Drawing) - 0.9).abs() < 1e-6 && scores.of(Label::Sexy) == 0.0);
        let text = serde_json::to_string(&scores).unwrap();
        assert!(text.starts_with(r#"{"Drawing":0.9,"Hentai":0.05"#), "{text}");
        assert_eq!(serde_json::from_str::<Scores>(&text).unwrap(), scores);
        for bad in [[f32::NAN, 1.0, 0.0, 0.0, 0.0], [f32::INFINITY; 5], [0.0; 5], [1.0; 5], [2.0, -1.0, 0.0, 0.0, 0.0]]
        {
            assert_eq!(Scores::checked(bad), None, "{bad:?}");
        }
        assert!(serde_json::from_str::<Scores>(r#"{"Drawing":1.0}"#).is_err());
    }
}
