use unicode_normalization::UnicodeNormalization;

use crate::domain::Refusal;

/// The longest emoji, in bytes: a family with skin tones has 41, a flag of tags 28.
const LONGEST: usize = 64;
/// Letters that are emoji (ℹ, Ⓜ).
const LETTERS: [char; 2] = ['\u{2139}', '\u{24c2}'];
/// From here on even what counts as a letter is a picture (🅰).
const PICTURES: char = '\u{1f000}';

/// An emoji to react with: Unicode's, or one of the room's own by its name (`:party:`).
pub(super) fn checked(emoji: &str) -> Result<String, Refusal> {
    let emoji: String = emoji.nfc().collect();
    let fits = (1..=LONGEST).contains(&emoji.len());
    if fits && (is_name(&emoji) || is_drawn(&emoji)) {
        return Ok(emoji);
    }
    Err(Refusal::bad_request("emoji", format!("A reaction is one emoji, or `:name:`, of at most {LONGEST} bytes.")))
}

fn is_name(text: &str) -> bool {
    let name = text.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')).unwrap_or_default();
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'+' | b'-');
    (2..=32).contains(&name.len()) && name.bytes().all(is_part)
}

/// Whether it is drawn and not written: no letters and no spaces; digits only as the base of a keycap.
pub(super) fn is_drawn(text: &str) -> bool {
    let is_letter = |c: char| c.is_alphabetic() && c < PICTURES && !LETTERS.contains(&c);
    let is_part = |c: char| match c {
        '#' | '*' | '0'..='9' => true,
        c => !c.is_ascii() && !c.is_control() && !c.is_whitespace() && !is_letter(c),
    };
    text.chars().all(is_part) && !text.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emoji_are_taken_as_they_are() {
        for emoji in ["👍", "👍🏽", "❤️", "👨‍👩‍👧‍👦", "🇫🇷", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "1️⃣", "#️⃣", "🅰️", "ℹ️", "Ⓜ️", "✔", ":party_parrot:", ":+1:"]
        {
            assert_eq!(checked(emoji).as_deref(), Ok(emoji));
        }
    }

    #[test]
    fn words_are_no_emoji() {
        for text in ["", " ", "a", "1", "ok", "é", "日本", "👍 👍", ":Party:", "::", ":a:", "\u{0}", "👍\n", "<b>"]
        {
            let refusal = checked(text);
            assert!(matches!(refusal, Err(Refusal::BadRequest { field: "emoji", .. })), "{text:?}");
        }
        assert!(checked(&"👍".repeat(17)).is_err());
    }
}
