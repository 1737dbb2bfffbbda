//! What a page says of itself in its head: text alone, whatever it is made of.

/// Characters of a title at most.
const TITLE_LIMIT: usize = 200;
/// Characters of a description at most.
const DESCRIPTION_LIMIT: usize = 500;
/// Bytes of an address at most.
pub(super) const URL_LIMIT: usize = 2_048;
/// Tags that are looked at; a head has dozens.
const TAGS_LIMIT: usize = 5_000;

/// What a page says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    pub(super) site_name: Option<String>,
    pub(super) image: Option<String>,
}

/// Reads a page's head. Whatever it is, it is read once from its beginning to its end.
pub(super) fn read(html: &str) -> Page {
    let (mut own, mut plain) = (Page::default(), Page::default());
    let mut rest = html;
    for _ in 0..TAGS_LIMIT {
        let Some(at) = rest.find('<') else { break };
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, rest)| rest);
            continue;
        }
        let (tag, behind) = tag_of(rest);
        rest = behind;
        let name = tag.split(|c: char| c.is_ascii_whitespace() || c == '/').next().unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "title" if plain.title.is_none() => {
                let (text, behind) = until_end(rest, "title");
                plain.title = text_of(text, TITLE_LIMIT);
                rest = behind;
            }
            // What stands in these is no markup.
            raw @ ("script" | "style" | "noscript" | "template") => rest = until_end(rest, raw).1,
            "meta" => note(&mut own, &mut plain, tag),
            "body" => break,
            _ => {}
        }
    }
    Page {
        title: own.title.or(plain.title),
        description: own.description.or(plain.description),
        site_name: own.site_name,
        image: own.image.or(plain.image),
    }
}

/// What a `meta` says: for others to show (Open Graph), or in general.
fn note(own: &mut Page, plain: &mut Page, tag: &str) {
    let (mut name, mut content) = (None, None);
    for (key, value) in attributes(tag) {
        match key.to_ascii_lowercase().as_str() {
            "property" | "name" if name.is_none() => name = Some(value.to_ascii_lowercase()),
            "content" if content.is_none() => content = Some(value),
            _ => {}
        }
    }
    let (Some(name), Some(content)) = (name, content) else { return };
    let (field, limit) = match name.trim() {
        "og:title" => (&mut own.title, TITLE_LIMIT),
        "og:description" => (&mut own.description, DESCRIPTION_LIMIT),
        "og:site_name" => (&mut own.site_name, TITLE_LIMIT),
        "og:image" | "og:image:secure_url" => (&mut own.image, URL_LIMIT),
        "twitter:title" => (&mut plain.title, TITLE_LIMIT),
        "description" | "twitter:description" => (&mut plain.description, DESCRIPTION_LIMIT),
        "twitter:image" => (&mut plain.image, URL_LIMIT),
        _ => return,
    };
    if field.is_none() {
        *field = text_of(content, limit);
    }
}

/// A tag up to its `>`, which may stand in quotes before, and what follows.
fn tag_of(text: &str) -> (&str, &str) {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return (&text[..at], &text[at + 1..]),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    (text, "")
}

/// What stands before the end of an element, and what follows its name.
fn until_end<'a>(text: &'a str, name: &str) -> (&'a str, &'a str) {
    for (at, _) in text.match_indices("</") {
        let found = text.get(at + 2..at + 2 + name.len());
        if found.is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return (&text[..at], &text[at + 2 + name.len()..]);
        }
    }
    (text, "")
}

/// The attributes of a tag that have a value.
fn attributes(tag: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = tag;
    std::iter::from_fn(move || {
        let (before, behind) = rest.split_once('=')?;
        let key = before.trim_end().rsplit(|c: char| c.is_ascii_whitespace()).next().unwrap_or_default();
        let behind = behind.trim_start();
        let value;
        (value, rest) = match behind.chars().next() {
            Some(quote @ ('"' | '\'')) => behind[1..].split_once(quote).unwrap_or((&behind[1..], "")),
            _ => behind.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((behind, "")),
        };
        Some((key, value))
    })
}

/// Text in one line, its entities read, without what cannot be seen. `None`: nothing is left.
fn text_of(text: &str, limit: usize) -> Option<String> {
    let read = entities(text);
    let words = read.split(|c: char| c.is_whitespace() || c.is_control());
    let hidden = |c: &char| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(hidden).take(limit).collect();
    Some(line.trim().to_owned()).filter(|line| !line.is_empty())
}

fn entities(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.char_indices().take(12).find(|(_, c)| *c == ';').map(|(end, _)| end);
        match end.and_then(|end| Some((end, entity(&rest[1..end])?))) {
            Some((end, c)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let hex = number.strip_prefix(['x', 'X']);
        let number = hex.map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())?;
        return char::from_u32(number).filter(|c| *c != '\0');
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "laquo" => '«',
        "raquo" => '»',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_head_is_read() {
        let page = read(
            r#"<!DOCTYPE html><html><head><!-- <title>No</title> --><script>"<title>No</title>"</script>
            <TITLE> Cats &amp;
              dogs &#x2014; &#39;all&apos; </TITLE>
            <meta charset=utf-8><meta name=description content="About <b>cats</b> > dogs">
            <meta content='https://example.org/cat.jpg' property="og:image"/>
            <meta property="og:title" content="Cats"><meta property="og:title" content="Later">
            <meta property="og:site_name" content="&bogus; &amp;lt;"></head><body><meta name=description content=No>"#,
        );
        assert_eq!(page.title.as_deref(), Some("Cats"));
        assert_eq!(page.description.as_deref(), Some("About <b>cats</b> > dogs"));
        assert_eq!(page.image.as_deref(), Some("https://example.org/cat.jpg"));
        assert_eq!(page.site_name.as_deref(), Some("&bogus; &lt;"));
        assert_eq!(
            read("<title>Cats &amp;\n dogs &#x2014; &#39;all&apos;").title.as_deref(),
            Some("Cats & dogs — 'all'")
        );
        assert_eq!(read(&format!("<title>{}", "ä".repeat(900))).title.unwrap().chars().count(), TITLE_LIMIT);
    }

    #[test]
    fn nothing_is_no_page() {
        for nothing in [
            "",
            "<",
            "<title>",
            "<title></title>",
            "<meta",
            "<meta content='x'",
            "</title",
            "<!--",
            "&",
            "<meta name= content=",
        ] {
            assert_eq!(read(nothing), Page::default(), "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(html in "([<>=\"'&;#/!a-z -]|<meta |content=|og:title|<title>|-->|ä){0,200}") {
            let page = read(&html);
            prop_assert!(page.title.is_none_or(|it| it.chars().count() <= TITLE_LIMIT));
        }
    }
}
