//! Having everything deleted, with a receipt.

use serde::Serialize;
use uuid::Uuid;

use super::{Access, Auth};
use crate::domain::{LoginChange, Refusal, Role, Time, UserId};
use crate::limit::Rule;
use crate::store::{Belongings, ID_STAYS};

/// Messages that are deleted in one go.
const BATCH: u32 = 200;
/// Deletions that one sweep brings to their end.
const UNFINISHED: u32 = 100;
/// So long after it began a deletion is looked at once more: nothing is on its way any more, and a server that has not come to its end
/// has stopped.
const LATE_MS: i64 = 10 * 60 * 1000;

/// By what an account's owner shows once more who they are.
#[derive(Clone, Default)]
pub struct Again {
    /// The password.
    pub password: Option<String>,
    /// A code of an app, or for recovery.
    pub code: Option<String>,
}

/// What was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeletionReceipt)]
pub struct Receipt {
    /// Which.
    #[schema(value_type = String, format = Uuid)]
    pub receipt_id: Uuid,
    /// Who they were.
    pub user_id: UserId,
    /// When it was done.
    pub deleted_at: Time,
    /// How many of what.
    pub deleted: Deleted,
    /// What is not.
    pub kept: Kept,
}

/// How many of what were deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deleted {
    /// There was an account: name, e-mail address, password, second factors.
    pub account: bool,
    /// Messages; others see that there was one.
    pub messages: u64,
    /// Files.
    pub files: u64,
    /// Logins.
    pub sessions: u64,
    /// Passkeys.
    pub passkeys: u64,
    /// Blocks, both ways.
    pub blocks: u64,
    /// Stream keys.
    pub stream_keys: u64,
    /// Memberships of rooms.
    pub memberships: u64,
    /// Rooms that another admin owns now.
    pub rooms_passed_on: u64,
    /// Rooms that nobody keeps in order any more, and that can only be read.
    pub rooms_archived: u64,
}

/// What was not deleted, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// Pieces of evidence in cases of moderation.
    pub evidence: u64,
    /// When the last of it is deleted; `null`: there is none.
    pub evidence_until: Option<Time>,
    /// Logins that have ended, of which the hashes of device and address are kept: a ban that is still to come binds those.
    pub ended_logins: u64,
    /// When the last of them is deleted; `null`: there is none.
    pub ended_logins_until: Option<Time>,
    /// Where the id stays, without a name, as `table.column`: messages that others see were there, rooms that others are in, what others
    /// have forwarded, who met whom (until its usual end), and what moderation decided.
    #[schema(value_type = Vec<String>)]
    pub id_in: Vec<&'static str>,
}

/// A receipt that can be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedReceipt {
    /// What it says.
    pub receipt: Receipt,
    /// The same, letter by letter as it was signed.
    pub signed: String,
    /// Ed25519 (RFC 8032) over the bytes of `signed`, in hexadecimal.
    pub signature: String,
    /// With what it is verified, in hexadecimal.
    pub public_key: String,
}

impl Auth {
    /// Deletes somebody and all that is theirs.
    ///
    /// # Errors
    /// `rate_limited`, `bad_credentials` (an account shows its password or a code once more), `mfa_required` (the password alone, by a
    /// login that has shown no second factor), `internal`; what has begun goes on then.
    pub async fn erase(&self, access: &Access, again: Again) -> Result<SignedReceipt, Refusal> {
        let caller = &access.caller;
        self.0.limits.check_user(Rule::Everything, caller.user.id, caller.address)?;
        if let Some(account) = self.0.store.account(caller.user.id).await? {
            match (again.password, again.code) {
                (Some(password), None) => drop(self.account_to_change(access, &password).await?),
                (Some(password), Some(code)) => {
                    self.check_password(&account, &password, caller).await?;
                    self.take_code(&account, &code, caller.address).await?;
                }
                (None, Some(code)) => self.take_code(&account, &code, caller.address).await?,
                (None, None) => return Err(Refusal::BadCredentials),
            }
        }
        let (auth, user) = (self.clone(), caller.user.id);
        // To its end even if nobody waits for the receipt.
        let erasing = tokio::spawn(async move { auth.erase_all(user).await });
        let receipt = erasing.await.map_err(|error| Refusal::Internal(error.to_string()))??;
        let signed = serde_json::to_string(&receipt).map_err(|error| Refusal::Internal(error.to_string()))?;
        let (signature, public_key) = (self.0.keys.sign(&signed), self.0.keys.receipt_key());
        Ok(SignedReceipt { receipt, signed, signature, public_key })
    }

    /// With what receipts are verified: an Ed25519 key in hexadecimal.
    pub fn receipt_key(&self) -> String {
        self.0.keys.receipt_key()
    }

    /// Brings deletions to their end: those that a stop has interrupted, and what came late in others. A message, a file or a step into a
    /// room was on its way while the logins ended, perhaps on another node.
    pub(super) async fn finish_erasures(&self, now: Time) -> Result<(), Refusal> {
        let before = Time::from_ms(now.as_ms() - LATE_MS);
        for user in self.0.store.unfinished_erasures(before, UNFINISHED).await? {
            let ended = match self.erase_all(user).await {
                Ok(_) => self.0.store.end_erasure(user, Time::now()).await.map_err(Refusal::from),
                Err(refusal) => Err(refusal),
            };
            if let Err(refusal) = ended {
                tracing::error!(%user, ?refusal, "a deletion came to no end; it is taken up again");
            }
        }
        Ok(())
    }

    async fn erase_all(&self, user: UserId) -> Result<Receipt, Refusal> {
        let store = &self.0.store;
        let early_keys = store.count_stream_keys_of(user).await?;
        for family in store.begin_erasure(user, Time::now()).await? {
            self.changed(LoginChange::Revoked(family));
        }
        // What others came by in their name: streams by keys of theirs.
        self.changed(LoginChange::Reached(user));
        let (rooms_passed_on, rooms_archived) = self.pass_rooms_on(user).await?;
        let messages = self.erase_messages(user).await?;
        store.take_marks_back(user).await?;
        let files = store.count_files_of(user).await?;
        store.doom_attachments_of(user).await?;
        let Belongings { logins, passkeys, blocks, stream_keys, memberships, account } =
            store.erase_belongings(user).await?;
        // What was on its way to the disk when the logins ended.
        let messages = messages + self.erase_messages(user).await?;
        store.forget_tales(user).await?;
        store.unname_forwards(user).await?;
        store.forget_words().await?;
        let (evidence, evidence_until) = store.evidence_about(user).await?;
        let deleted_at = Time::now();
        tracing::info!(%user, messages, "somebody had everything deleted");
        let deleted = Deleted {
            account,
            messages,
            files,
            sessions: logins,
            passkeys,
            blocks,
            stream_keys: early_keys + stream_keys,
            memberships,
            rooms_passed_on,
            rooms_archived,
        };
        let (ended_logins, ended_logins_until) = store.ended_logins_of(user).await?;
        let id_in = ID_STAYS.to_vec();
        let kept = Kept { evidence, evidence_until, ended_logins, ended_logins_until, id_in };
        Ok(Receipt { receipt_id: Uuid::now_v7(), user_id: user, deleted_at, deleted, kept })
    }

    /// Deletes the messages one by one, as events of their rooms: who reads them sees them go.
    async fn erase_messages(&self, user: UserId) -> Result<u64, Refusal> {
        let (mut after, mut count) = (None, 0);
        loop {
            let batch = self.0.store.own_messages(user, after, BATCH).await?;
            let Some(last) = batch.last() else { break };
            after = Some(last.id);
            for message in &batch {
                match self.0.store.expire_message(message.room, message.id, user).await {
                    Ok(_) => count += 1,
                    // Somebody else was first, or its room is gone.
                    Err(Refusal::NotFound) => {}
                    Err(refusal) => return Err(refusal),
                }
            }
        }
        self.erase_tales(user).await?;
        self.0.store.empty_messages(user).await?;
        Ok(count)
    }

    /// Deletes what the server has told of them: it names them.
    async fn erase_tales(&self, user: UserId) -> Result<(), Refusal> {
        let mut after = None;
        loop {
            let batch = self.0.store.messages_about(user, after, BATCH).await?;
            let Some(last) = batch.last() else { return Ok(()) };
            after = Some(last.id);
            for message in &batch {
                match self.0.store.expire_message(message.room, message.id, user).await {
                    Ok(_) | Err(Refusal::NotFound) => {}
                    Err(refusal) => return Err(refusal),
                }
            }
        }
    }

    /// Gives rooms that they own to who comes next, and puts away those where nobody does. How many of each.
    async fn pass_rooms_on(&self, user: UserId) -> Result<(u64, u64), Refusal> {
        let (mut after, mut passed, mut archived) = (None, 0, 0);
        loop {
            let rooms = self.0.store.own_rooms(user, after, BATCH).await?;
            let Some(last) = rooms.last() else { return Ok((passed, archived)) };
            after = Some(last.id);
            for room in rooms.iter().filter(|room| room.role == Role::Owner) {
                if let Some(heir) = self.0.store.heir_of_room(room.id, user).await? {
                    self.0.store.set_member_role(room.id, heir, Role::Owner, None).await?;
                    passed += 1;
                } else {
                    self.0.store.orphan_room(room.id, Time::now()).await?;
                    archived += 1;
                }
            }
        }
    }
}
