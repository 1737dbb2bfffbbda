//! What this place offers and looks like: `/api/v1/features`, `/api/v1/cluster`. Anybody may ask, before they enter: the host says of
//! which cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::access::Anyone;
use super::client::Client;
use super::error::{Error, Problem};
use crate::domain::cluster::{Cluster, ModerationLevel, Theme};
use crate::domain::{ContentLevel, Refusal};

/// What is on here.
#[derive(Serialize, ToSchema)]
pub(crate) struct FeaturesView {
    /// Each feature by its name: `voice`, `video`, `share`, `recording`, `files`, `gifts`, `tips`, `encryption`, `moderation`,
    /// `matching`, `forums`, `directMessages`, `previews`. What is off answers `feature_off` wherever it is used.
    #[schema(value_type = std::collections::HashMap<String, bool>, example = json!({"video": true, "gifts": false}))]
    features: BTreeMap<&'static str, bool>,
}

/// The cluster of this host.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClusterView {
    /// Its name for programs.
    #[schema(example = "default")]
    id: String,
    /// Its name for people.
    #[schema(example = "Parlor")]
    name: String,
    /// What its page looks like; `null` means the page's own.
    theme: Theme,
    /// What is on, as `GET /features` says it.
    #[schema(value_type = std::collections::HashMap<String, bool>)]
    features: BTreeMap<&'static str, bool>,
    /// The most that is shown and said in its rooms.
    max_content_level: ContentLevel,
    /// How strictly texts are held.
    moderation_level: ModerationLevel,
    /// How old one has to be, in years.
    min_age: u8,
}

impl From<&Cluster> for ClusterView {
    fn from(cluster: &Cluster) -> Self {
        Self {
            id: cluster.id.to_string(),
            name: cluster.name.clone(),
            theme: cluster.theme.clone(),
            features: cluster.features.by_name(),
            max_content_level: cluster.max_content_level,
            moderation_level: cluster.moderation_level,
            min_age: cluster.min_age,
        }
    }
}

/// See what is on here.
#[utoipa::path(get, path = "/features", tag = "clusters",
    responses((status = 200, body = FeaturesView), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn features(
    State(shared): State<Shared>,
    Anyone(client): Anyone,
) -> Result<Json<FeaturesView>, Error> {
    Ok(Json(FeaturesView { features: asked_for(&shared, &client)?.features.by_name() }))
}

/// See whose place this is: its theme, and what it offers.
#[utoipa::path(get, path = "/cluster", tag = "clusters",
    responses((status = 200, body = ClusterView), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn cluster(State(shared): State<Shared>, Anyone(client): Anyone) -> Result<Json<ClusterView>, Error> {
    Ok(Json(asked_for(&shared, &client)?.as_ref().into()))
}

fn asked_for<'a>(shared: &'a Shared, client: &Client) -> Result<&'a Arc<Cluster>, Refusal> {
    shared.clusters.at(client.host.as_deref()).ok_or(Refusal::NotFound)
}
