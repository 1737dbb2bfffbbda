//! Names of files, as others may see them.

use unicode_normalization::UnicodeNormalization as _;

use super::sniff;

/// Characters that a name has at most, its ending included.
const MOST_CHARACTERS: usize = 120;
/// Characters that an ending has at most.
const MOST_ENDING: usize = 12;
/// What is called nothing.
const NAMELESS: &str = "file";

/// A name without anything that is part of a path, cannot be seen, or changes the direction of what stands around it.
pub(super) fn cleaned(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = last.chars().take(8 * MOST_CHARACTERS).nfc().filter(|c| !is_hidden(*c));
    let plain: String = plain.map(|c| if r#"<>:"|?*"#.contains(c) { '_' } else { c }).collect();
    let trimmed = plain.trim_matches(|c: char| c.is_whitespace() || c == '.');
    if trimmed.is_empty() {
        return NAMELESS.to_owned();
    }
    if trimmed.chars().count() <= MOST_CHARACTERS {
        return trimmed.to_owned();
    }
    let (stem, ending) = split(trimmed);
    let ending = ending.map(|ending| format!(".{ending}")).unwrap_or_default();
    let kept: String = stem.chars().take(MOST_CHARACTERS - ending.chars().count()).collect();
    format!("{}{ending}", kept.trim_end())
}

/// A cleaned name with an ending that its type has: no name claims to be something else.
pub(super) fn ended(name: &str, media_type: &str) -> String {
    let endings = sniff::endings(media_type);
    let fits = split(name).1.is_some_and(|ending| endings.iter().any(|it| it.eq_ignore_ascii_case(ending)));
    match endings.first() {
        Some(usual) if !fits => {
            let kept: String = name.chars().take(MOST_CHARACTERS - usual.len() - 1).collect();
            format!("{kept}.{usual}")
        }
        _ => name.to_owned(),
    }
}

fn split(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && (1..=MOST_ENDING).contains(&ending.chars().count()) => {
            (stem, Some(ending))
        }
        _ => (name, None),
    }
}

/// Control characters, and those that show nothing or turn the text around (Unicode's Bidi_Control and Default_Ignorable).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'
                ..='\u{180f}'
        )
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}')
        || matches!(c, '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_cleaned() {
        for (given, wanted) in [
            ("holiday.jpg", "holiday.jpg"),
            ("../../etc/passwd", "passwd"),
            (r"C:\Users\ada\cat.png", "cat.png"),
            ("..", "file"),
            ("", "file"),
            (" .hidden. ", "hidden"),
            ("a\0b\nc.txt", "abc.txt"),
            ("gpj.\u{202e}exe.png", "gpj.exe.png"),
            ("what?*.txt", "what__.txt"),
            ("Grüße 🎉.txt", "Grüße 🎉.txt"),
            ("e\u{301}.txt", "é.txt"),
        ] {
            assert_eq!(cleaned(given), wanted, "{given:?}");
        }
        let long = cleaned(&format!("{}.jpeg", "ä".repeat(4_000)));
        assert_eq!(long.chars().count(), MOST_CHARACTERS, "{long}");
    }

    #[test]
    fn a_name_ends_as_its_type_does() {
        assert_eq!(ended("cat.JPG", "image/jpeg"), "cat.JPG");
        assert_eq!(ended("cat", "image/jpeg"), "cat.jpg");
        assert_eq!(ended("cat.exe", "image/png"), "cat.exe.png");
        assert_eq!(ended("run.bat", "text/plain"), "run.bat.txt");
        assert_eq!(ended(&"x".repeat(MOST_CHARACTERS), "image/png").chars().count(), MOST_CHARACTERS);
    }

    proptest! {
        #[test]
        fn any_name_becomes_a_plain_one(name in ".{0,300}") {
            let name = cleaned(&name);
            prop_assert!(!name.is_empty() && name.chars().count() <= MOST_CHARACTERS);
            prop_assert!(!name.contains(['/', '\\', '\0']) && name != "." && name != "..");
            prop_assert_eq!(cleaned(&name), name);
        }
    }
}
