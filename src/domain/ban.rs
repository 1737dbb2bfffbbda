//! Keeping people out of the site.

use serde::Serialize;

use super::{BanId, CaseId, Time, case::Named};

/// Somebody is kept out of the site, or was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ban {
    /// Which.
    pub ban_id: BanId,
    /// Who is kept out.
    pub user: Named,
    /// Why.
    pub reason: String,
    /// Who decided that.
    pub by: Named,
    /// Since when.
    pub at: Time,
    /// Until when; `null`: for good.
    pub until: Option<Time>,
    /// In which case.
    pub case_id: Option<CaseId>,
    /// When somebody lifted it.
    pub lifted_at: Option<Time>,
}

/// What somebody who is kept out is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// Why.
    pub reason: String,
    /// Until when; `None`: for good.
    pub until: Option<Time>,
}
