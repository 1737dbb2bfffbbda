//! Passkeys over REST, with an authenticator of the tests: P-256, no attestation (Web Authentication, section 6).

use reqwest::{Method, StatusCode};
use ring::{
    digest,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use crate::accounts::{person, register};
use crate::harness::{Person, Server};

const ORIGIN: &str = "http://localhost:3003";
const PASSWORD: &str = "correct horse battery";
/// What the authenticator says of a person: present (1), verified (4); and that a key comes along (64).
const PRESENT_AND_VERIFIED: u8 = 0b101;
const WITH_KEY: u8 = 0b100_0000;

/// A device that keeps one passkey.
pub(crate) struct Authenticator {
    key: EcdsaKeyPair,
    id: [u8; 16],
    user: Vec<u8>,
    uses: u32,
    /// What came with it.
    recovery_code: String,
}

impl Authenticator {
    fn new(person: &Person) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let id = uuid::Uuid::now_v7().into_bytes();
        let user = person.id.parse::<uuid::Uuid>().unwrap().as_bytes().to_vec();
        Self { key, id, user, uses: 0, recovery_code: String::new() }
    }

    fn head(&mut self, flags: u8) -> Vec<u8> {
        self.uses += 1;
        let site = digest::digest(&digest::SHA256, b"localhost");
        [site.as_ref(), &[flags], &self.uses.to_be_bytes()].concat()
    }

    /// What `navigator.credentials.create` gives.
    fn create(&mut self, options: &Value) -> Value {
        let point = self.key.public_key().as_ref().to_vec();
        let (x, y) = point[1..].split_at(32);
        // COSE (RFC 9053): an elliptic curve, ES256, P-256.
        let key = [&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32], x, &[0x22, 0x58, 32], y].concat();
        let head = self.head(PRESENT_AND_VERIFIED | WITH_KEY);
        let data = [&head[..], &[0; 16], &[0, 16], &self.id, &key].concat();
        let mut object = vec![0xa3, 0x63];
        object.extend(b"fmt\x64none\x67attStmt\xa0\x68authData\x58");
        object.push(u8::try_from(data.len()).unwrap());
        object.extend(&data);
        let client = client_data("webauthn.create", options);
        json!({"id": base64(&self.id), "rawId": base64(&self.id), "type": "public-key", "clientExtensionResults": {},
            "response": {"attestationObject": base64(&object), "clientDataJSON": base64(&client)}})
    }

    /// What `navigator.credentials.get` gives.
    pub(crate) fn show(&mut self, options: &Value) -> Value {
        let client = client_data("webauthn.get", options);
        let head = self.head(PRESENT_AND_VERIFIED);
        let signed = [&head[..], digest::digest(&digest::SHA256, &client).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        json!({"id": base64(&self.id), "rawId": base64(&self.id), "type": "public-key", "clientExtensionResults": {},
            "response": {"authenticatorData": base64(&head), "clientDataJSON": base64(&client),
                "signature": base64(signature.as_ref()), "userHandle": base64(&self.user)}})
    }
}

fn client_data(kind: &str, options: &Value) -> Vec<u8> {
    let challenge = &options["publicKey"]["challenge"];
    json!({"type": kind, "challenge": challenge, "origin": ORIGIN, "crossOrigin": false}).to_string().into_bytes()
}

/// Base64 for addresses, without padding (RFC 4648, section 5).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let number = part.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - part.len()));
        for at in 0..=part.len() {
            text.push(char::from(LETTERS[(number >> (18 - 6 * at)) as usize & 63]));
        }
    }
    text
}

async fn server() -> Server {
    Server::start_with(|config| config.public_url = Some(ORIGIN.to_owned())).await
}

pub(crate) async fn add(person: &Person) -> Authenticator {
    let mut device = Authenticator::new(person);
    let asked = person.post("/auth/passkeys/options", json!({"password": PASSWORD})).await.expect(StatusCode::OK);
    let credential = device.create(&asked["options"]);
    let new = json!({"challengeId": asked["challengeId"], "name": "telephone", "credential": credential});
    let added = person.post("/auth/passkeys", new.clone()).await.expect(StatusCode::CREATED);
    let told: Vec<_> = added["recoveryCodes"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!(told.len(), 10, "the first second factor comes with codes for the day on which it is lost");
    device.recovery_code = told[0].to_owned();
    person.post("/auth/passkeys", new).await.refused(401, "token_invalid");
    device
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passkey_takes_the_place_of_name_and_password() {
    let server = server().await;
    let anybody = server.anonymous();
    let ada = register(&server, "ada").await;
    let mut device = add(&ada).await;
    let list = ada.get("/auth/passkeys").await.expect(StatusCode::OK);
    assert_eq!(list["passkeys"][0]["name"], "telephone");
    let asked = anybody.post("/auth/login/passkey/options", json!({})).await.expect(StatusCode::OK);
    let said = json!({"challengeId": asked["challengeId"], "credential": device.show(&asked["options"])});
    let body = anybody.post("/auth/login/passkey", said.clone()).await.expect(StatusCode::OK);
    assert_eq!(body["user"]["id"], json!(ada.id));
    anybody.post("/auth/login/passkey", said).await.refused(401, "token_invalid");
    let again = person(&server, "ada", &body).await;
    let sessions = again.get("/auth/sessions").await.expect(StatusCode::OK);
    assert_eq!(sessions["sessions"][0]["secondFactor"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passkey_is_a_second_factor() {
    let server = server().await;
    let anybody = server.anonymous();
    let ada = register(&server, "ada").await;
    let mut device = add(&ada).await;
    let credentials = json!({"username": "ada", "password": PASSWORD});
    let ask = async || {
        let asked = anybody.post("/auth/login", credentials.clone()).await.refused(403, "mfa_required");
        assert_eq!(asked["extra"]["methods"], json!(["passkey", "recoveryCode"]));
        let ticket = json!({"ticket": asked["extra"]["ticket"]});
        let options = anybody.post("/auth/login/passkey/options", ticket.clone()).await.expect(StatusCode::OK);
        anybody.post("/auth/login/passkey/options", ticket).await.refused(401, "token_invalid");
        options
    };
    let asked = ask().await;
    let mut other = Authenticator::new(&ada);
    let said = json!({"challengeId": asked["challengeId"], "credential": other.show(&asked["options"])});
    anybody.post("/auth/login/passkey", said).await.refused(401, "bad_credentials");
    let (asked, other) = (ask().await, ask().await);
    let said = json!({"challengeId": asked["challengeId"], "credential": device.show(&other["options"])});
    anybody.post("/auth/login/passkey", said).await.refused(401, "bad_credentials");
    let asked = ask().await;
    let said = json!({"challengeId": asked["challengeId"], "credential": device.show(&asked["options"])});
    anybody.post("/auth/login/passkey", said).await.expect(StatusCode::OK);
    let mut without = credentials.clone();
    without["code"] = json!(device.recovery_code);
    anybody.post("/auth/login", without.clone()).await.expect(StatusCode::OK);
    anybody.post("/auth/login", without).await.refused(401, "bad_credentials");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passkey_is_forgotten_by_whoever_has_shown_it() {
    let server = server().await;
    let ada = register(&server, "ada").await;
    let plain = json!({"username": "ada", "password": PASSWORD});
    let before = server.anonymous().post("/auth/login", plain.clone()).await.expect(StatusCode::OK);
    let before = person(&server, "ada", &before).await;
    add(&ada).await;
    let list = ada.get("/auth/passkeys").await.expect(StatusCode::OK);
    let path = format!("/auth/passkeys/{}", list["passkeys"][0]["passkeyId"].as_str().unwrap());
    let forget =
        async |who: &Person, password: &str| who.ask(Method::DELETE, &path, Some(json!({"password": password}))).await;
    forget(&before, PASSWORD).await.refused(401, "token_invalid");
    forget(&ada, "wrong wrong").await.refused(401, "bad_credentials");
    forget(&ada, PASSWORD).await.expect(StatusCode::NO_CONTENT);
    server.anonymous().post("/auth/login", plain).await.expect(StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bare_address_has_no_passkeys() {
    let server = Server::start().await;
    let ada = register(&server, "ada").await;
    let refused = ada.post("/auth/passkeys/options", json!({"password": PASSWORD})).await;
    assert_eq!(refused.refused(400, "bad_request")["extra"]["field"], "host");
}
