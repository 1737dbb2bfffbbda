//! What a file is, by its bytes: what its uploader says counts for nothing.

/// Bytes from a file's beginning that are looked at.
pub(super) const HEAD_BYTES: usize = 8 * 1024;

/// What nobody recognises.
const UNKNOWN: &str = "application/octet-stream";

/// The media type of a file that begins like this.
pub(super) fn media_type(head: &[u8]) -> &'static str {
    let head = &head[..head.len().min(HEAD_BYTES)];
    // Markup first: a file can be both a page and something else, and then it is a page.
    if let Some(markup) = markup(head) {
        return markup;
    }
    match infer::get(head).map(|found| found.mime_type()) {
        Some(found) => usual(found),
        None if is_text(head) => "text/plain",
        None => UNKNOWN,
    }
}

/// The registered name of a type, where there is one.
fn usual(found: &'static str) -> &'static str {
    match found {
        "audio/m4a" | "audio/x-m4a" => "audio/mp4",
        "audio/x-wav" => "audio/wav",
        "audio/x-flac" => "audio/flac",
        "audio/x-aac" => "audio/aac",
        "video/x-m4v" => "video/mp4",
        "application/x-gzip" => "application/gzip",
        found => found,
    }
}

fn markup(head: &[u8]) -> Option<&'static str> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let starts = |word: &str| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()));
    if starts("<svg") {
        return Some("image/svg+xml");
    }
    if starts("<?xml") {
        return Some("text/xml");
    }
    let pages = [
        "<!doctype",
        "<html",
        "<head",
        "<body",
        "<script",
        "<iframe",
        "<!--",
        "<style",
        "<title",
        "<table",
        "<a ",
        "<b>",
    ];
    pages.iter().any(|word| starts(word)).then_some("text/html")
}

/// Whether it is UTF-8 without control characters that text does not have. Its last character may be cut.
fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && head.len() == HEAD_BYTES => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && !text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\x0c'))
}

/// The endings that names of that type have; the first is the usual one.
pub(super) fn endings(media_type: &str) -> &'static [&'static str] {
    match media_type {
        "image/jpeg" => &["jpg", "jpeg", "jpe", "jfif"],
        "image/png" => &["png", "apng"],
        "image/gif" => &["gif"],
        "image/webp" => &["webp"],
        "video/mp4" => &["mp4", "m4v"],
        "video/webm" | "audio/webm" => &["webm", "weba"],
        "video/quicktime" => &["mov", "qt"],
        "audio/mpeg" => &["mp3"],
        "audio/mp4" => &["m4a", "mp4"],
        "audio/ogg" => &["ogg", "oga", "opus"],
        "audio/wav" => &["wav"],
        "audio/flac" => &["flac"],
        "audio/aac" => &["aac"],
        "application/pdf" => &["pdf"],
        "application/zip" => &["zip"],
        "application/gzip" => &["gz", "tgz"],
        "text/plain" => &["txt", "text", "md", "csv", "tsv", "log", "json", "srt", "vtt", "yaml", "toml", "ini"],
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => &["docx"],
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => &["xlsx"],
        "application/vnd.openxmlformats-officedocument.presentationml.presentation" => &["pptx"],
        "application/vnd.oasis.opendocument.text" => &["odt"],
        "application/vnd.oasis.opendocument.spreadsheet" => &["ods"],
        "application/vnd.oasis.opendocument.presentation" => &["odp"],
        _ => &["bin"],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_say_what_a_file_is() {
        let mp4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom";
        for (head, wanted) in [
            (&b"\xff\xd8\xff\xe0\0\x10JFIF\0"[..], "image/jpeg"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
            (b"GIF89a\x01\0\x01\0", "image/gif"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
            (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
            (mp4, "video/mp4"),
            (b"\0\0\0\x18ftypM4A \0\0\0\0", "audio/mp4"),
            (b"OggS\0\x02\0\0\0\0\0\0\0\0", "audio/ogg"),
            (b"%PDF-1.7\n", "application/pdf"),
            (b"PK\x03\x04\x14\0\0\0", "application/zip"),
            (b"MZ\x90\0\x03\0\0\0", "application/vnd.microsoft.portable-executable"),
            (&[&b"\x7fELF\x02\x01\x01"[..], &[0; 60]].concat(), "application/x-executable"),
            (b"plain words\n", "text/plain"),
            ("Grüße".as_bytes(), "text/plain"),
            (b" \n<!DocType HTML><p>", "text/html"),
            (b"\xef\xbb\xbf<script>alert(1)</script>", "text/html"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
            (b"<?xml version='1.0'?><svg/>", "text/xml"),
            (b"", UNKNOWN),
            (b"\0\x01\x02\x03", UNKNOWN),
        ] {
            let found = media_type(head);
            let shown = String::from_utf8_lossy(head);
            assert!(found == wanted || wanted.ends_with("executable") && found.contains("execut"), "{shown}: {found}");
        }
    }

    #[test]
    fn a_character_that_the_head_cuts_is_no_harm() {
        let text = "ä".repeat(HEAD_BYTES);
        assert_eq!(media_type(&text.as_bytes()[1..]), UNKNOWN, "it begins in the middle of one");
        let text = format!("a{text}");
        assert_eq!(media_type(text.as_bytes()), "text/plain");
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_type(head in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(media_type(&head).contains('/'));
        }
    }
}
