//! The accounts of a `users.json`.

use serde_json::{Map, Value};

use super::{Line, Outcome, Report, user_of};
use crate::domain::{Time, user::Username};
use crate::store::{NewAccount, Store};

/// The dearest bcrypt hash that logins verify, as the logarithm of its rounds.
const DEAREST_BCRYPT: u32 = 14;
/// The names that the hash goes by.
const HASHES: [&str; 5] = ["hashed_password", "password_hash", "hashedPassword", "passwordHash", "password"];

/// Somebody, as the file says.
pub(super) struct Entry {
    name: String,
    fields: Map<String, Value>,
}

/// Reads the file: an object of names, a list of objects with `username`, or either under `users`.
pub(super) fn read(text: &str) -> anyhow::Result<Vec<Entry>> {
    let mut value: Value = serde_json::from_str(text)?;
    if let Some(users) = value.get_mut("users").filter(|users| users.is_array() || holds_people(users)) {
        value = users.take();
    }
    match value {
        Value::Object(people) => Ok(people.into_iter().map(|(name, it)| entry(Some(name), it)).collect()),
        Value::Array(people) => Ok(people.into_iter().map(|it| entry(None, it)).collect()),
        _ => anyhow::bail!("it is neither an object nor a list"),
    }
}

/// Whether it is an object of objects, and not somebody who is called `users`.
fn holds_people(value: &Value) -> bool {
    value.as_object().is_some_and(|people| people.values().all(Value::is_object))
}

fn entry(key: Option<String>, value: Value) -> Entry {
    let fields = match value {
        Value::Object(fields) => fields,
        // The shortest form of the file: a name and its hash.
        Value::String(hash) => Map::from_iter([("hashed_password".to_owned(), Value::String(hash))]),
        _ => Map::new(),
    };
    let named = fields.get("username").or_else(|| fields.get("name")).and_then(Value::as_str).map(str::to_owned);
    Entry { name: named.or(key).unwrap_or_default(), fields }
}

impl Entry {
    fn text(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.fields.get(*name)?.as_str())
    }

    /// The hash, if logins can verify it.
    fn hash(&self) -> Result<&str, String> {
        let hash = self.text(&HASHES).ok_or("there is no password hash")?;
        if hash.starts_with("$argon2id$") {
            return Ok(hash);
        }
        let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|head| hash.strip_prefix(head));
        let cost = rest.filter(|_| hash.len() == 60).and_then(|rest| rest.split('$').next()?.parse::<u32>().ok());
        match cost {
            Some(4..=DEAREST_BCRYPT) => Ok(hash),
            Some(cost) => Err(format!("the bcrypt hash has cost {cost}; logins verify 4 to {DEAREST_BCRYPT}")),
            None => Err("the password is neither a bcrypt nor an Argon2id hash".to_owned()),
        }
    }

    /// Since when they are known there; now, if nothing believable is said.
    fn since(&self, now: Time) -> Time {
        let said = ["created_at", "createdAt", "registered_at"].iter().find_map(|name| self.fields.get(*name));
        said.and_then(super::logs::time_of).filter(|at| *at <= now).unwrap_or(now)
    }

    fn is_disabled(&self) -> bool {
        let is = |name: &str, value: bool| self.fields.get(name).and_then(Value::as_bool) == Some(value);
        is("disabled", true) || is("is_active", false) || is("active", false)
    }
}

/// Takes them over, one after the other.
pub(super) async fn take(store: &Store, entries: Vec<Entry>, report: &mut Report<'_>) -> anyhow::Result<()> {
    let mut seen = std::collections::HashMap::new();
    for entry in entries {
        let (result, why) = match take_one(store, &entry, &mut seen, report).await? {
            Ok((result, note)) => (result, note),
            Err(why) => (Outcome::Skipped, Some(why)),
        };
        report.tell(&Line { file: None, line: None, user: Some(&entry.name), result, why })?;
    }
    Ok(())
}

/// What became of one of them; an inner error says why they are left out.
async fn take_one(
    store: &Store,
    entry: &Entry,
    seen: &mut std::collections::HashMap<String, String>,
    report: &Report<'_>,
) -> anyhow::Result<Result<(Outcome, Option<String>), String>> {
    let Ok(username) = Username::parse(&entry.name) else {
        return Ok(Err("the name is none that an account can have: 2 to 50 letters, digits, _ or -".to_owned()));
    };
    let hash = match entry.hash() {
        Ok(hash) => hash,
        Err(why) => return Ok(Err(why)),
    };
    if entry.is_disabled() {
        return Ok(Err("the account is disabled".to_owned()));
    }
    if let Some(other) = seen.insert(username.key(), entry.name.clone()) {
        return Ok(Err(format!("the name looks like {other}, which stands in this file as well")));
    }
    let id = user_of(&entry.name);
    if store.account(id).await?.is_some() || store.is_erased(id).await? {
        // Whoever has had everything deleted since stays so.
        return Ok(Ok((Outcome::Already, None)));
    }
    if let Some(other) = store.account_of_name(&username.key()).await? {
        return Ok(Err(format!("the name is taken: {} is an account here already", other.username)));
    }
    let email = entry.text(&["email"]).map(str::trim).filter(|email| email.contains('@') && email.len() <= 254);
    let role = entry.text(&["role"]).filter(|role| !matches!(*role, "user" | "viewer" | "member"));
    let note =
        role.map(|role| format!("the role {role} is not taken over: give it here, by PUT /users/{{userId}}/role"));
    if !report.dry {
        // Their chat may have been here before them.
        let upgraded = store.user(id).await?.is_some();
        let at = entry.since(Time::now());
        let new = NewAccount { user: id, username: &username, password_hash: hash, email, upgraded, at };
        if !store.create_account(&new).await? {
            return Ok(Err("the name is taken".to_owned()));
        }
    }
    Ok(Ok((report.taken(), note)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_come_in_several_forms() {
        let hash = format!("$2b$12${}", "x".repeat(53));
        for text in [
            format!(r#"{{"ada": {{"hashed_password": "{hash}", "email": "a@example.org"}}}}"#),
            format!(r#"[{{"username": "ada", "password_hash": "{hash}"}}]"#),
            format!(r#"{{"users": [{{"username": "ada", "password": "{hash}"}}]}}"#),
            format!(r#"{{"users": {{"ada": {{"hashedPassword": "{hash}"}}}}}}"#),
            format!(r#"{{"ada": "{hash}"}}"#),
        ] {
            let entries = read(&text).unwrap();
            assert_eq!(
                (entries.len(), entries[0].name.as_str(), entries[0].hash()),
                (1, "ada", Ok(hash.as_str())),
                "{text}"
            );
        }
        assert!(read("7").is_err() && read("{").is_err());
    }

    #[test]
    fn only_hashes_that_logins_verify_are_taken() {
        let why = |hash: &str| read(&format!(r#"{{"ada": "{hash}"}}"#)).unwrap()[0].hash().map(str::to_owned);
        assert!(why(&format!("$2b$31${}", "x".repeat(53))).unwrap_err().contains("cost 31"));
        for bad in ["secret", "", "$2b$12$short", "$1$md5"] {
            assert!(why(bad).is_err(), "{bad}");
        }
    }
}
