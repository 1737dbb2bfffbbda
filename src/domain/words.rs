//! The words of a text as they are found again: without case, without accents, the same for both databases.
//!
//! A token is made of `a-z` and `0-9` alone, whatever the script, so that no tokenizer of a database cuts it anew and no
//! operator of a query language can hide in it.

use std::fmt::Write as _;

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// The longest token, in bytes; what is longer is found by its beginning.
const TOKEN_BYTES: usize = 96;

/// One word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// What it is found by.
    pub token: String,
    /// Where it begins, in Unicode scalars.
    pub start: usize,
    /// How long it is, in Unicode scalars.
    pub length: usize,
}

/// The words of a text, in order. Scripts that put no blanks between words give one word for each sign.
pub fn words(text: &str) -> Vec<Word> {
    let mut found = Vec::new();
    let mut open: Option<Word> = None;
    for (at, scalar) in text.chars().enumerate() {
        if is_silent(scalar) {
            if let Some(word) = &mut open {
                word.length = at + 1 - word.start;
            }
            continue;
        }
        let folded = folded(scalar);
        if folded.is_empty() {
            found.extend(open.take());
        } else if stands_alone(scalar) {
            found.extend(open.take());
            found.push(Word { token: folded, start: at, length: 1 });
        } else {
            let word = open.get_or_insert_with(|| Word { token: String::new(), start: at, length: 0 });
            word.length = at + 1 - word.start;
            let room = TOKEN_BYTES - word.token.len();
            word.token.push_str(folded.get(..room).unwrap_or(&folded));
        }
    }
    found.extend(open);
    found
}

/// What neither makes a word nor ends one: accents, joiners, soft hyphens.
fn is_silent(scalar: char) -> bool {
    is_combining_mark(scalar) || matches!(scalar, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

/// One scalar without case and accents; empty if it is no part of a word.
fn folded(scalar: char) -> String {
    let mut token = String::new();
    if scalar.is_ascii_alphanumeric() {
        token.push(scalar.to_ascii_lowercase());
        return token;
    }
    if scalar.is_ascii() {
        return token;
    }
    decompose_compatible(scalar, |part| {
        let parts = if is_combining_mark(part) { None } else { Some(part.to_lowercase()) };
        for part in parts.into_iter().flatten().filter(|it| it.is_alphanumeric()) {
            match part {
                // The sigma at the end of a word is the same letter.
                'ς' => token.push_str("z3c3z"),
                part if part.is_ascii() => token.push(part),
                part if is_combining_mark(part) => {}
                part => write!(token, "z{:x}z", u32::from(part)).expect("a string takes all"),
            }
        }
    });
    token
}

/// Signs of scripts that put no blanks between words.
fn stands_alone(scalar: char) -> bool {
    matches!(u32::from(scalar),
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff
        | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(text: &str) -> Vec<String> {
        words(text).into_iter().map(|word| word.token).collect()
    }

    #[test]
    fn case_and_accents_do_not_count() {
        assert_eq!(tokens("Crème BRÛLÉE, déjà-vu!"), ["creme", "brulee", "deja", "vu"]);
        assert_eq!(tokens("cre\u{300}me"), tokens("crème"));
        assert_eq!(tokens("ΣΊΣΥΦΟΣ"), tokens("σίσυφος"));
        assert_eq!(tokens("ПРИВЕТ"), tokens("привет"));
        assert_eq!(tokens("ﬁne Ⅳ"), ["fine", "iv"]);
    }

    #[test]
    fn scripts_without_blanks_give_a_word_for_each_sign() {
        assert_eq!(words("東京 tower").len(), 3);
        assert_eq!(words("สวัสดี").len(), 4, "vowel signs belong to their consonant");
    }

    #[test]
    fn places_are_counted_in_scalars() {
        let found = words("👋 Hé\u{ad}llo wörld");
        let places: Vec<_> = found.iter().map(|word| (word.start, word.length)).collect();
        assert_eq!(places, [(2, 6), (9, 5)]);
    }

    proptest! {
        #[test]
        fn a_token_is_plain_and_lies_within_the_text(text in any::<String>()) {
            let length = text.chars().count();
            for word in words(&text) {
                prop_assert!(!word.token.is_empty() && word.token.len() <= TOKEN_BYTES);
                prop_assert!(word.token.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit()));
                prop_assert!(word.length >= 1 && word.start + word.length <= length);
            }
        }
    }
}
