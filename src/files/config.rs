//! The settings of `files`.

use std::fmt;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::ClientOptions;
use object_store::{BackoffConfig, RetryConfig};
use serde::{Deserialize, Deserializer};

use super::Error;
use crate::domain::attachment::AttachmentKind;

/// Tries that follow a failed request to the bucket.
const RETRIES: usize = 3;
/// The time after which no further try begins; beyond the next, so that a part that was too slow is tried again.
const RETRY_TIMEOUT: Duration = Duration::from_secs(400);
/// The time a bucket has to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time without a byte of an answer. The bucket says nothing while a part is sent to it: on an uplink of 1 Mbit/s two parts
/// take a minute and a half.
const READ_TIMEOUT: Duration = Duration::from_secs(180);

/// Where files are kept, and which people may upload (`PARLOR_FILES__…`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// An S3 bucket. Unset: the folder `files` in the data folder.
    pub bucket: Option<String>,
    /// The address of an S3 server that is not Amazon's, such as `https://s3.example.org`.
    pub endpoint: Option<String>,
    /// The bucket's region; unset: `us-east-1`, which is what most other servers call theirs.
    pub region: Option<String>,
    /// The access key's id.
    pub access_key: Option<String>,
    /// The access key's secret.
    pub secret_key: Option<Secret>,
    /// Whether the endpoint may be plain http.
    pub allow_http: bool,
    /// What stands in front of each name in the bucket, such as `parlor/`.
    pub prefix: String,
    /// Whether people may upload at all.
    pub uploads: bool,
    /// Bytes that a picture has at most.
    pub max_image_bytes: u64,
    /// Bytes that a film has at most.
    pub max_video_bytes: u64,
    /// Bytes that a sound has at most.
    pub max_audio_bytes: u64,
    /// Bytes that any other file has at most.
    pub max_file_bytes: u64,
    /// Pixels that a picture has at most: each costs four bytes while it is looked at.
    pub max_pixels: u32,
    /// Media types of pictures that are taken.
    #[serde(deserialize_with = "list")]
    pub image_types: Vec<String>,
    /// Media types of films that are taken.
    #[serde(deserialize_with = "list")]
    pub video_types: Vec<String>,
    /// Media types of sounds that are taken.
    #[serde(deserialize_with = "list")]
    pub audio_types: Vec<String>,
    /// Media types of other files that are taken.
    #[serde(deserialize_with = "list")]
    pub file_types: Vec<String>,
    /// What people without an account may upload: `image`, `video`, `audio`, `file`.
    #[serde(deserialize_with = "list")]
    pub anonymous_kinds: Vec<String>,
    /// Bytes of all files that one person may have here.
    pub user_quota_bytes: u64,
    /// Uploads of one person that may be unfinished at a time.
    pub unfinished_uploads: u32,
    /// How long an unfinished upload, and a file that no message has taken, stay, in seconds.
    pub unused_ttl_s: u64,
    /// How long the body of an upload may be silent, in milliseconds.
    pub upload_idle_ms: u64,
    /// The virus scanner clamd: `host:3310`, or the path of its socket. Unset: files are not scanned.
    pub clamd: Option<String>,
    /// The longest time between two tries of a scan or a deletion that fails, in seconds.
    pub retry_s: u64,
}

/// 100 MiB.
const MOST_BYTES: u64 = 104_857_600;

impl Default for Config {
    fn default() -> Self {
        let all = |types: &[&str]| types.iter().map(|it| (*it).to_owned()).collect();
        Self {
            bucket: None,
            endpoint: None,
            region: None,
            access_key: None,
            secret_key: None,
            allow_http: false,
            prefix: String::new(),
            uploads: true,
            // A picture is looked at in memory, whole.
            max_image_bytes: 26_214_400,
            max_video_bytes: MOST_BYTES,
            max_audio_bytes: MOST_BYTES,
            max_file_bytes: MOST_BYTES,
            max_pixels: 40_000_000,
            image_types: all(&["image/jpeg", "image/png", "image/gif", "image/webp"]),
            video_types: all(&["video/mp4", "video/webm", "video/quicktime"]),
            audio_types: all(&[
                "audio/mpeg",
                "audio/mp4",
                "audio/ogg",
                "audio/wav",
                "audio/flac",
                "audio/aac",
                "audio/webm",
            ]),
            file_types: all(&[
                "application/pdf",
                "application/zip",
                "application/gzip",
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                "application/vnd.openxmlformats-officedocument.presentationml.presentation",
                "application/vnd.oasis.opendocument.text",
                "application/vnd.oasis.opendocument.spreadsheet",
                "application/vnd.oasis.opendocument.presentation",
                "text/plain",
            ]),
            anonymous_kinds: all(&["audio", "file"]),
            user_quota_bytes: 1 << 30,
            unfinished_uploads: 10,
            unused_ttl_s: 24 * 3600,
            upload_idle_ms: 30_000,
            clamd: None,
            retry_s: 60,
        }
    }
}

/// A list, or one line with commas: an environment variable has no lists.
fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum List {
        Items(Vec<String>),
        Line(String),
    }
    let items = match List::deserialize(from)? {
        List::Items(items) => items,
        List::Line(line) => line.split(',').map(str::to_owned).collect(),
    };
    Ok(items.iter().map(|item| item.trim()).filter(|item| !item.is_empty()).map(str::to_owned).collect())
}

/// A secret: it is not shown where settings are.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Config {
    /// Checks the settings against each other.
    ///
    /// # Errors
    /// The first thing that cannot be meant.
    pub fn check(&self) -> Result<(), Error> {
        self.prefix()?;
        self.bucket().map(drop)?;
        let unknown = self.anonymous_kinds.iter().find(|kind| AttachmentKind::parse(kind).is_none());
        match unknown {
            Some(kind) => Err(Error::Setting(format!(
                "PARLOR_FILES__ANONYMOUS_KINDS={kind}: it is none of image, video, audio and file"
            ))),
            None => Ok(()),
        }
    }

    /// Bytes that a file of that kind has at most.
    pub fn most_bytes(&self, kind: AttachmentKind) -> u64 {
        match kind {
            AttachmentKind::Image => self.max_image_bytes,
            AttachmentKind::Video => self.max_video_bytes,
            AttachmentKind::Audio => self.max_audio_bytes,
            AttachmentKind::File => self.max_file_bytes,
        }
    }

    /// Bytes that any file has at most.
    pub fn most_bytes_of_all(&self) -> u64 {
        let kinds = [self.max_image_bytes, self.max_video_bytes, self.max_audio_bytes, self.max_file_bytes];
        kinds.into_iter().max().unwrap_or_default()
    }

    /// What files of that media type are, if they are taken.
    pub fn kind_of(&self, media_type: &str) -> Option<AttachmentKind> {
        let lists = [
            (AttachmentKind::Image, &self.image_types),
            (AttachmentKind::Video, &self.video_types),
            (AttachmentKind::Audio, &self.audio_types),
            (AttachmentKind::File, &self.file_types),
        ];
        lists.into_iter().find(|(_, types)| types.iter().any(|it| it == media_type)).map(|(kind, _)| kind)
    }

    /// The path in front of every name.
    pub(super) fn prefix(&self) -> Result<object_store::path::Path, Error> {
        object_store::path::Path::parse(&self.prefix)
            .map_err(|_| Error::Setting(format!("PARLOR_FILES__PREFIX={} is no path", self.prefix)))
    }

    /// The bucket, if one is named.
    pub(super) fn bucket(&self) -> Result<Option<AmazonS3>, Error> {
        let Some(bucket) = &self.bucket else {
            if self.endpoint.is_some() || self.access_key.is_some() || self.secret_key.is_some() {
                return Err(Error::Setting(
                    "PARLOR_FILES__… names an S3 server, but no bucket: set PARLOR_FILES__BUCKET".to_owned(),
                ));
            }
            return Ok(None);
        };
        let (Some(access_key), Some(secret_key)) = (&self.access_key, &self.secret_key) else {
            return Err(Error::Setting(
                "a bucket needs PARLOR_FILES__ACCESS_KEY and PARLOR_FILES__SECRET_KEY".to_owned(),
            ));
        };
        if self.endpoint.as_ref().is_some_and(|url| url.starts_with("http://")) && !self.allow_http {
            return Err(Error::Setting(
                "PARLOR_FILES__ENDPOINT is plain http: set PARLOR_FILES__ALLOW_HTTP=true if that is meant".to_owned(),
            ));
        }
        // The first provider decides for the process; ours is the same everywhere.
        tokio_rustls::rustls::crypto::ring::default_provider().install_default().ok();
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(self.region.as_deref().unwrap_or("us-east-1"))
            .with_access_key_id(access_key)
            .with_secret_access_key(&secret_key.0)
            .with_allow_http(self.allow_http)
            .with_retry(RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: RETRIES,
                retry_timeout: RETRY_TIMEOUT,
            })
            .with_client_options(
                ClientOptions::new()
                    .with_allow_http(self.allow_http)
                    .with_connect_timeout(CONNECT_TIMEOUT)
                    .with_read_timeout(READ_TIMEOUT)
                    // A download takes as long as its reader does.
                    .with_timeout_disabled(),
            );
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        builder.build().map(Some).map_err(|error| Error::Setting(format!("the bucket cannot be used: {error}")))
    }
}
