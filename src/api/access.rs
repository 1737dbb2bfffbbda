//! Who asks: extractors that turn a bearer token into a caller, and count each request against its limit.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;

use super::Shared;
use super::client::Client;
use super::error::Error;
use super::scopes;
use crate::auth::Access;
use crate::domain::api_key::API_KEY_PREFIX;
use crate::domain::{Caller, Refusal};
use crate::limit::Rule;
use crate::proto::ErrorCode;

/// Somebody who is logged in.
#[derive(Debug)]
pub(crate) struct Known(pub(crate) Access);

impl Known {
    pub(crate) fn caller(&self) -> &Caller {
        &self.0.caller
    }
}

/// Somebody at an address, logged in or not.
#[derive(Debug)]
pub(crate) struct Anyone(pub(crate) Client);

impl FromRequestParts<Shared> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<Client>().cloned();
        Ok(known.unwrap_or_else(|| Client::of(parts, &shared.config)))
    }
}

impl FromRequestParts<Shared> for Anyone {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Error> {
        let Ok(client) = Client::from_request_parts(parts, shared).await;
        // Cookies go along with requests that another site's page makes in our user's browser.
        if !client.may_come_from(&parts.headers, &shared.config) {
            return Err(Error::foreign_origin());
        }
        shared.limits.check_address(Rule::Request, client.address)?;
        Ok(Self(client))
    }
}

impl FromRequestParts<Shared> for Known {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Error> {
        let Ok(client) = Client::from_request_parts(parts, shared).await;
        Self::of(parts, &client, shared).await
    }
}

impl Known {
    /// Whoever the request's token names.
    pub(crate) async fn of(parts: &Parts, client: &Client, shared: &Shared) -> Result<Self, Error> {
        let Some(token) = bearer(parts) else {
            shared.limits.check_address(Rule::Request, client.address)?;
            return Err(Refusal::Unauthenticated.into());
        };
        let access = verify(token, client, shared).await?;
        scopes::permit(parts, &access)?;
        shared.limits.check(Rule::Request, &access.caller)?;
        if let Some(resting) = parts.extensions.get::<Resting>().filter(|_| access.withheld.is_some()) {
            resting.0.store(true, Ordering::Relaxed);
        }
        Ok(Self(access))
    }
}

/// Whether the request is somebody's whose role on the site rests until their login has passed a second factor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resting(Arc<AtomicBool>);

impl Resting {
    /// Whether that is why they were refused: with the role they might not have been.
    pub(crate) fn explains(&self, response: &Response) -> bool {
        self.0.load(Ordering::Relaxed) && response.extensions().get::<ErrorCode>() == Some(&ErrorCode::Forbidden)
    }
}

/// What a token proves. Limits come before the database: forged tokens count for their address, true ones for their owner.
pub(crate) async fn verify(token: &str, client: &Client, shared: &Shared) -> Result<Access, Refusal> {
    if token.starts_with(API_KEY_PREFIX) {
        // It says of itself whose it is only once it is looked up: it counts for its address until then.
        return shared.auth.verify(token, client.address).await;
    }
    match shared.auth.claimed(token) {
        Ok(user) => shared.limits.check_user(Rule::Frame, user, client.address)?,
        Err(refusal) => {
            shared.limits.check_address(Rule::Request, client.address)?;
            return Err(refusal);
        }
    }
    shared.auth.verify(token, client.address).await
}

/// The token of `Authorization: Bearer …` (RFC 6750, section 2.1; the scheme's case does not matter).
pub(crate) fn bearer(parts: &Parts) -> Option<&str> {
    let (scheme, token) = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
