use unicode_normalization::UnicodeNormalization;

use crate::domain::{Refusal, RoomKind};

/// A message's text as it is kept: NFC, otherwise as written. It is never HTML, so nothing is taken out of it.
pub(super) fn checked(text: &str, kind: RoomKind) -> Result<String, Refusal> {
    let text: String = text.nfc().collect();
    if text.contains('\0') {
        // PostgreSQL cannot keep it, and no keyboard has it.
        return Err(Refusal::bad_request("content.text", "A message cannot contain the character U+0000."));
    }
    if text.trim().is_empty() {
        return Err(Refusal::MessageEmpty);
    }
    let (limit, length) = (kind.message_limit(), text.chars().count());
    if length > limit {
        return Err(Refusal::MessageTooLong { limit, length });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kept_as_written_after_nfc() {
        for written in ["a < b", "version = 2", "<script>alert(1)</script>", "  two  spaces\n", "javascript:void 0"] {
            assert_eq!(checked(written, RoomKind::Call).unwrap(), written);
        }
        assert_eq!(checked("e\u{301}", RoomKind::Call).unwrap(), "é");
    }

    #[test]
    fn the_limit_counts_scalars_after_nfc() {
        let limit = |kind, scalar: &str, count| checked(&scalar.repeat(count), kind);
        for (kind, most) in [(RoomKind::Match, 1_000), (RoomKind::Call, 4_000), (RoomKind::Broadcast, 10_000)] {
            assert!(limit(kind, "👍", most).is_ok());
            assert!(limit(kind, "e\u{301}", most).is_ok(), "two scalars become one");
            let refusal = Refusal::MessageTooLong { limit: most, length: most + 1 };
            assert_eq!(limit(kind, "x", most + 1), Err(refusal));
        }
    }

    #[test]
    fn blank_text_and_nul_are_refused() {
        for blank in ["", " ", "\n\t\u{3000}"] {
            assert_eq!(checked(blank, RoomKind::Call), Err(Refusal::MessageEmpty));
        }
        assert!(matches!(checked("a\0b", RoomKind::Call), Err(Refusal::BadRequest { field: "content.text", .. })));
    }
}
