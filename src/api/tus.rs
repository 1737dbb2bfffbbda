//! What tus 1.0 (https://tus.io/protocols/resumable-upload) says in headers.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::Error;
use crate::domain::{Refusal, Time};
use crate::proto::ErrorCode;

pub(super) const VERSION: &str = "1.0.0";
/// The media type of a part.
pub(super) const PART: &str = "application/offset+octet-stream";
const EXTENSIONS: &str = "creation,creation-with-upload,expiration,termination";

pub(super) const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
pub(super) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(super) const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub(super) const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
pub(super) const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");

/// What pages of other origins may send and read.
pub(super) const SENT: [HeaderName; 4] = [RESUMABLE, UPLOAD_OFFSET, UPLOAD_LENGTH, UPLOAD_METADATA];
pub(super) const READ: [HeaderName; 7] =
    [RESUMABLE, UPLOAD_OFFSET, UPLOAD_LENGTH, UPLOAD_EXPIRES, TUS_VERSION, TUS_EXTENSION, TUS_MAX_SIZE];

/// The longest metadata that are read, in bytes.
const METADATA_LIMIT: usize = 4 * 1024;

/// Whoever speaks another version is told which one is spoken here.
pub(super) fn check_version(headers: &HeaderMap) -> Result<(), Error> {
    match headers.get(RESUMABLE) {
        Some(version) if version != VERSION => {
            Err(Error::new(ErrorCode::PreconditionFailed, "This server speaks tus 1.0.0."))
        }
        _ => Ok(()),
    }
}

/// The number in a header. `None`: the header is not there.
pub(super) fn number(headers: &HeaderMap, name: &HeaderName, field: &'static str) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok()).filter(|number| i64::try_from(*number).is_ok());
    number.map(Some).ok_or_else(|| Refusal::bad_request(field, "This header is a number of bytes."))
}

/// An entry of `Upload-Metadata`: pairs of a key and a value in base64, with commas between.
pub(super) fn metadata(headers: &HeaderMap, keys: &[&str]) -> Option<String> {
    let line = headers.get(UPLOAD_METADATA)?.to_str().ok().filter(|line| line.len() <= METADATA_LIMIT)?;
    let mut pairs = line.split(',').filter_map(|pair| pair.trim().split_once(' '));
    let (_, value) = pairs.find(|(key, _)| keys.contains(key))?;
    Some(String::from_utf8_lossy(&STANDARD.decode(value.trim()).ok()?).into_owned())
}

/// How far an upload is, in headers.
pub(super) fn say_progress(headers: &mut HeaderMap, received_bytes: u64, expires_at: Option<Time>) {
    headers.insert(UPLOAD_OFFSET, HeaderValue::from(received_bytes));
    if let Some(expires) = expires_at.and_then(http_date) {
        headers.insert(UPLOAD_EXPIRES, expires);
    }
}

/// Every answer says the version; one to another version, and to `OPTIONS`, says all.
pub(super) fn say_version(headers: &mut HeaderMap) {
    headers.insert(RESUMABLE, HeaderValue::from_static(VERSION));
}

/// What is taken where, as `OPTIONS` is answered.
pub(super) fn say_what_is_taken(method: &Method, path: &str, most_bytes: u64, headers: &mut HeaderMap) {
    if *method == Method::OPTIONS && is_upload_path(path) {
        say_version(headers);
        headers.insert(TUS_VERSION, HeaderValue::from_static(VERSION));
        headers.insert(TUS_EXTENSION, HeaderValue::from_static(EXTENSIONS));
        headers.insert(TUS_MAX_SIZE, HeaderValue::from(most_bytes));
    }
}

/// Whether a path is that of uploads or of one.
pub(super) fn is_upload_path(path: &str) -> bool {
    let rest = path.strip_prefix("/api/v1/uploads").or_else(|| path.strip_prefix("/api/uploads"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A moment as HTTP writes it (RFC 9110, section 5.6.7).
fn http_date(at: Time) -> Option<HeaderValue> {
    let at = jiff::Timestamp::from_millisecond(at.as_ms()).ok()?;
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()?;
    HeaderValue::try_from(date).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn metadata_are_read() {
        let headers = with(UPLOAD_METADATA, "filename Y2F0LmpwZw==,filetype aW1hZ2UvanBlZw==, secret");
        assert_eq!(metadata(&headers, &["filename", "name"]).unwrap(), "cat.jpg");
        assert_eq!(metadata(&headers, &["filetype"]).unwrap(), "image/jpeg");
        assert_eq!(metadata(&headers, &["secret"]), None);
        assert_eq!(metadata(&with(UPLOAD_METADATA, "filename !!!"), &["filename"]), None);
        assert_eq!(metadata(&HeaderMap::new(), &["filename"]), None);
    }

    #[test]
    fn numbers_are_digits() {
        assert_eq!(number(&with(UPLOAD_LENGTH, "17"), &UPLOAD_LENGTH, "x"), Ok(Some(17)));
        assert_eq!(number(&HeaderMap::new(), &UPLOAD_LENGTH, "x"), Ok(None));
        for wrong in ["", "-1", "+1", "1.5", "0x10", "9223372036854775808", "99999999999999999999999"] {
            assert!(number(&with(UPLOAD_LENGTH, wrong), &UPLOAD_LENGTH, "x").is_err(), "{wrong}");
        }
    }

    #[test]
    fn dates_are_those_of_http() {
        assert_eq!(http_date(Time::from_ms(784_111_777_000)).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn paths_of_uploads() {
        assert!(is_upload_path("/api/v1/uploads") && is_upload_path("/api/uploads/x"));
        assert!(!is_upload_path("/api/v1/uploadsx") && !is_upload_path("/api/v1/files"));
    }

    proptest! {
        #[test]
        fn any_header_is_read(line in "[ -~]{0,200}") {
            metadata(&with(UPLOAD_METADATA, &line), &["filename"]);
            number(&with(UPLOAD_LENGTH, &line), &UPLOAD_LENGTH, "x").ok();
        }
    }
}
