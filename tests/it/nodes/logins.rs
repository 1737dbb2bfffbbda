//! A login that begins on one node goes on by another one.

use reqwest::StatusCode;
use serde_json::json;

use super::House;
use crate::accounts::{PASSWORD, register};
use crate::passkeys::add;

#[tokio::test(flavor = "multi_thread")]
async fn a_login_goes_on_by_another_node() {
    let house = House::with(|config| config.public_url = Some("http://localhost:3003".to_owned())).await;
    let (here, there) = (house.a.anonymous(), house.b.anonymous());
    let ada = register(&house.a, "ada").await;
    let mut device = add(&ada).await;
    let asked = here.post("/auth/login/passkey/options", json!({})).await.expect(StatusCode::OK);
    let said = json!({"challengeId": asked["challengeId"], "credential": device.show(&asked["options"])});
    let body = there.post("/auth/login/passkey", said.clone()).await.expect(StatusCode::OK);
    assert_eq!(body["user"]["id"], json!(ada.id));
    for node in [&here, &there] {
        node.post("/auth/login/passkey", said.clone()).await.refused(401, "token_invalid");
    }
    // The ticket of one node, the challenge of the same, and the answer by the other.
    let password = json!({"username": "ada", "password": PASSWORD});
    let ticket = there.post("/auth/login", password).await.refused(403, "mfa_required")["extra"]["ticket"].clone();
    let asked = here.post("/auth/login/passkey/options", json!({"ticket": ticket})).await.expect(StatusCode::OK);
    let said = json!({"challengeId": asked["challengeId"], "credential": device.show(&asked["options"])});
    here.post("/auth/login/passkey", said).await.expect(StatusCode::OK);
}
