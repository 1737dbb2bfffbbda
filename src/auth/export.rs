//! Giving somebody what the server has of them, piece by piece: never more than a page of it is in memory.

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Access, Auth, Profile};
use crate::domain::{Message, Refusal, attachment::AttachmentRecord};
use crate::limit::Rule;

/// Messages or rooms that are read in one go.
const PAGE: u32 = 200;
/// Pieces that wait for a slow reader.
const WAITING: usize = 2;

impl Auth {
    /// The pieces of a JSON document of all that is somebody's. It ends early, and is then no JSON, when the database fails.
    ///
    /// # Errors
    /// `rate_limited`, `not_found`, `internal`.
    pub async fn export(&self, access: &Access) -> Result<mpsc::Receiver<String>, Refusal> {
        self.0.limits.check_user(Rule::Everything, access.caller.user.id, access.caller.address)?;
        let profile = self.profile(access).await?;
        let (pieces, receiver) = mpsc::channel(WAITING);
        let (auth, access) = (self.clone(), access.clone());
        tokio::spawn(async move {
            // Nobody reads any more, or the database failed: the reader sees that the document has no end.
            if let Err(error) = auth.write_export(&access, &profile, &pieces).await {
                tracing::warn!(?error, "an export was cut short");
            }
        });
        Ok(receiver)
    }

    async fn write_export(
        &self,
        access: &Access,
        profile: &Profile,
        pieces: &mpsc::Sender<String>,
    ) -> Result<(), Refusal> {
        let (user, store) = (access.caller.user.id, &self.0.store);
        let account = profile
            .account
            .as_ref()
            .map(|it| json!({"username": it.username, "email": it.email, "totp": it.totp, "passkeys": it.passkeys}));
        let head = json!({"user": profile.user, "ageLevel": profile.age_level, "account": account});
        let head = head.to_string();
        // Without its closing bracket: the lists follow.
        send(pieces, head[..head.len() - 1].to_owned()).await?;
        let logins = self
            .logins(&access.caller)
            .await?
            .into_iter()
            .map(|it| json!({"device": it.device_name, "createdAt": it.created_at, "lastUsedAt": it.last_used_at}));
        send(pieces, format!(",\"sessions\":{}", Value::from_iter(logins))).await?;
        let blocks = store.blocks(user).await?.into_iter();
        let blocks = blocks.map(|it| json!({"userId": it.user, "nickname": it.nickname, "at": it.at}));
        send(pieces, format!(",\"blocks\":{}", Value::from_iter(blocks))).await?;
        let mut after = None;
        let mut list = List::begin("rooms");
        loop {
            let rooms = store.own_rooms(user, after, PAGE).await?;
            let Some(last) = rooms.last() else { break };
            after = Some(last.id);
            let rooms = rooms.iter();
            let rooms =
                rooms.map(|it| json!({"roomId": it.id, "name": it.name, "role": it.role, "joinedAt": it.joined_at}));
            send(pieces, list.piece(rooms)).await?;
        }
        send(pieces, list.end()).await?;
        let mut after = None;
        let mut list = List::begin("messages");
        loop {
            let messages = store.written_by(user, after, PAGE).await?;
            let Some(last) = messages.last() else { break };
            after = Some(last.id);
            let mut shown = Vec::with_capacity(messages.len());
            for message in &messages {
                shown.push(self.exported(message).await?);
            }
            send(pieces, list.piece(shown.into_iter())).await?;
        }
        send(pieces, list.end()).await?;
        let mut after = None;
        let mut list = List::begin("files");
        loop {
            let files = store.files_of(user, after, PAGE).await?;
            let Some(last) = files.last() else { break };
            after = Some(last.attachment.file_id);
            send(pieces, list.piece(files.iter().map(exported_file))).await?;
        }
        send(pieces, list.end() + "}").await
    }

    /// A message, and all that it has said before.
    async fn exported(&self, message: &Message) -> Result<Value, Refusal> {
        let mut shown = json!({
            "messageId": message.id,
            "roomId": message.room_id,
            "text": message.content.text,
            "createdAt": message.created_at,
        });
        let files: Vec<_> = message.content.attachments.iter().map(|file| file.file_id).collect();
        let rest = [
            ("replyTo", json!(message.reply_to)),
            ("editedAt", json!(message.edited_at)),
            ("poll", json!(message.content.poll)),
            ("files", if files.is_empty() { Value::Null } else { json!(files) }),
        ];
        for (name, value) in rest {
            if !value.is_null() {
                shown[name] = value;
            }
        }
        if message.edited_at.is_some() {
            let mut versions = self.0.store.versions(message.room_id, message.id).await?.unwrap_or_default();
            // The last is what it says now.
            versions.pop();
            shown["versions"] = json!(versions);
        }
        Ok(shown)
    }
}

/// A file, and where it is to be had: it may be large.
fn exported_file(record: &AttachmentRecord) -> Value {
    let file = &record.attachment;
    json!({
        "fileId": file.file_id,
        "name": file.name,
        "mediaType": file.media_type,
        "sizeBytes": file.size_bytes,
        "sha256": file.sha256,
        "state": file.state,
        "createdAt": file.created_at,
        "roomId": record.room,
        "messageId": record.message,
        "path": format!("/api/v1/files/{}", file.file_id),
    })
}

/// A list that is written page by page.
struct List {
    text: String,
    first: bool,
}

impl List {
    fn begin(name: &str) -> Self {
        Self { text: format!(",\"{name}\":["), first: true }
    }

    fn piece(&mut self, items: impl Iterator<Item = Value>) -> String {
        for item in items {
            if !std::mem::take(&mut self.first) {
                self.text.push(',');
            }
            self.text.push_str(&item.to_string());
        }
        std::mem::take(&mut self.text)
    }

    fn end(mut self) -> String {
        self.text.push(']');
        self.text
    }
}

async fn send(pieces: &mpsc::Sender<String>, piece: String) -> Result<(), Refusal> {
    pieces.send(piece).await.map_err(|_| Refusal::Internal("nobody reads it".to_owned()))
}
