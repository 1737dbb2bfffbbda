//! The settings of `files`.

use std::fmt;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::ClientOptions;
use object_store::{BackoffConfig, RetryConfig};
use serde::Deserialize;

use super::Error;

/// Tries that follow a failed request to the bucket.
const RETRIES: usize = 3;
/// The time after which no further try begins; beyond the next, so that a part that was too slow is tried again.
const RETRY_TIMEOUT: Duration = Duration::from_secs(400);
/// The time a bucket has to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time without a byte of an answer. The bucket says nothing while a part is sent to it: on an uplink of 1 Mbit/s two parts
/// take a minute and a half.
const READ_TIMEOUT: Duration = Duration::from_secs(180);

/// Where files are kept (`PARLOR_FILES__…`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
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
        self.bucket().map(drop)
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
