/// Hashtags that are read out of one message; what follows stays text.
const HASHTAGS: usize = 20;
/// The longest hashtag, in characters; a longer word is none.
const LONGEST: usize = 64;

/// The hashtags of a text, as written and without `#`, each once whatever its case. The text itself stays as it is.
///
/// A hashtag begins with `#` where no word goes on, and goes as far as letters, digits, marks and `_` do (the idea of UAX #31's
/// hashtag identifiers); digits alone are a number, not a hashtag.
pub(super) fn of(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut before = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if matches!(c, '#' | '＃') && !before.is_some_and(goes_on) {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let tag = &rest[..end];
            let is_word = tag.chars().any(char::is_alphabetic) && tag.chars().count() <= LONGEST;
            if is_word && !found.iter().any(|it| it.to_lowercase() == tag.to_lowercase()) {
                found.push(tag.to_owned());
                if found.len() == HASHTAGS {
                    return found;
                }
            }
        }
        before = Some(c);
    }
    found
}

/// Whether a `#` behind it belongs to something longer: a word, an address (`/page#part`), an entity (`&#38;`), `##`.
fn goes_on(c: char) -> bool {
    is_part(c) || matches!(c, '#' | '＃' | '&' | '/')
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || is_mark(c)
}

/// Signs that belong to the letter before them: vowel signs of Indic and Arabic scripts, accents, joiners.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c) || matches!(c, '\u{200c}' | '\u{200d}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashtags_of_all_scripts_are_found() {
        assert_eq!(
            of("#rust and #SFU, #Straße #日本語 #हिन्दी #ا‌ب ＃全角"),
            ["rust", "SFU", "Straße", "日本語", "हिन्दी", "ا‌ب", "全角"]
        );
        assert_eq!(of("(#one)#two-#three_4"), ["one", "two", "three_4"]);
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for text in
            ["", "#", "# x", "C#sharp", "#1 and #2026", "https://x.org/#part", "https://x.org/a#b", "&#38;x", "##a"]
        {
            assert_eq!(of(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn each_is_named_once_and_not_too_many_are() {
        assert_eq!(of("#Rust #rust #RUST"), ["Rust"]);
        let many: String = (0..100).map(|n| format!("#t{n} ")).collect();
        assert_eq!(of(&many).len(), HASHTAGS);
        assert_eq!(of(&format!("#{}", "x".repeat(LONGEST + 1))), Vec::<String>::new());
    }
}
