//! Tables `recordings` and `recording_files`.

use std::collections::HashMap;

use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{execute_now, on_pool},
};
use crate::domain::{
    CallId, FileId, RecordingId, RoomId, Time, UserId,
    recording::{
        Composed, ComposedState, Container, FileKind, FileState, RecordedFile, Recording, RecordingState, RecordingStop,
    },
};

/// Whose recordings somebody sees, besides those that they are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Those of rooms that they keep order in.
    OwnRooms,
    /// All: they keep order on the whole site.
    Everything,
}

#[derive(FromRow)]
struct RecordingRow {
    id: Uuid,
    call_id: Uuid,
    room_id: Uuid,
    room_name: String,
    state: String,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    started_by: Uuid,
    stop_reason: Option<String>,
    composed_state: Option<String>,
    composed_error: Option<String>,
}

#[derive(FromRow)]
struct FileRow {
    id: Uuid,
    recording_id: Uuid,
    kind: String,
    user_id: Option<Uuid>,
    nickname: Option<String>,
    state: String,
    interrupted: bool,
    container: String,
    starts_at_ms: i64,
    duration_ms: Option<i64>,
    size_bytes: Option<i64>,
    sha256: Option<String>,
}

fn read<T>(parsed: Option<T>, text: &str) -> Result<T, Error> {
    parsed.ok_or_else(|| Error::Unreadable(text.to_owned()))
}

impl RecordingRow {
    fn with(self, files: Vec<RecordedFile>) -> Result<Recording, Error> {
        let reason = |text: String| read(RecordingStop::parse(&text), &text);
        let composed = self.composed_state.map(|text| {
            let state = read(ComposedState::parse(&text), &text)?;
            let progress = if state == ComposedState::Done { 1.0 } else { 0.0 };
            Ok::<_, Error>(Composed { state, progress, error: self.composed_error })
        });
        Ok(Recording {
            recording_id: RecordingId::from_uuid(self.id),
            call_id: CallId::from_uuid(self.call_id),
            room_id: RoomId::from_uuid(self.room_id),
            room_name: self.room_name,
            state: read(RecordingState::parse(&self.state), &self.state)?,
            started_at: self.started_at.map(Time::from_ms),
            ended_at: self.ended_at.map(Time::from_ms),
            started_by: UserId::from_uuid(self.started_by),
            stop_reason: self.stop_reason.map(reason).transpose()?,
            files,
            composed: composed.transpose()?,
        })
    }
}

impl TryFrom<FileRow> for RecordedFile {
    type Error = Error;

    fn try_from(row: FileRow) -> Result<Self, Error> {
        Ok(Self {
            file_id: FileId::from_uuid(row.id),
            kind: read(FileKind::parse(&row.kind), &row.kind)?,
            user_id: row.user_id.map(UserId::from_uuid),
            nickname: row.nickname,
            state: read(FileState::parse(&row.state), &row.state)?,
            interrupted: row.interrupted,
            container: read(Container::parse(&row.container), &row.container)?,
            starts_at_ms: row.starts_at_ms,
            duration_ms: row.duration_ms,
            size_bytes: row.size_bytes,
            sha256: row.sha256,
        })
    }
}

impl Store {
    /// Keeps a new recording that is about to start. `false`: the call is being recorded already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_recording(&self, new: &Recording, at: Time) -> Result<bool, Error> {
        const SQL: &str = "insert into recordings (id, call_id, room_id, room_name, state, created_at, started_by) \
            values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing";
        let made = execute_now!(
            &self.write,
            sqlx::query(SQL)
                .bind(new.recording_id.as_uuid())
                .bind(new.call_id.as_uuid())
                .bind(new.room_id.as_uuid())
                .bind(&new.room_name)
                .bind(new.state.as_str())
                .bind(at.as_ms())
                .bind(new.started_by.as_uuid())
        )?;
        Ok(made == 1)
    }

    /// From now on packets are written.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_recording(&self, id: RecordingId, at: Time) -> Result<(), Error> {
        const SQL: &str = "update recordings set state = $2, started_at = $3 where id = $1";
        let state = RecordingState::Running.as_str();
        execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(state).bind(at.as_ms()))?;
        Ok(())
    }

    /// From now on nothing is written, and the files are being finished. The first reason stands.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stop_recording(&self, id: RecordingId, reason: RecordingStop, at: Time) -> Result<(), Error> {
        const SQL: &str = "update recordings set state = $2, stop_reason = coalesce(stop_reason, $3), \
            ended_at = coalesce(ended_at, $4) where id = $1 and state in ('starting', 'running')";
        let state = RecordingState::Finishing.as_str();
        execute_now!(
            &self.write,
            sqlx::query(SQL).bind(id.as_uuid()).bind(state).bind(reason.as_str()).bind(at.as_ms())
        )?;
        Ok(())
    }

    /// The server died while this was being recorded: its call may be recorded anew, and its files wait to be finished.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn abandon_recording(&self, id: RecordingId) -> Result<(), Error> {
        const SQL: &str = "update recordings set state = $2, stop_reason = coalesce(stop_reason, $3) \
            where id = $1 and state = 'running'";
        let (state, reason) = (RecordingState::Finishing.as_str(), RecordingStop::ServerStopped.as_str());
        execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(state).bind(reason))?;
        Ok(())
    }

    /// Nothing more will become of a recording: it is ready, or has failed. `ended_at` is for one whose end nobody saw.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_recording(&self, id: RecordingId, state: RecordingState, ended_at: Time) -> Result<(), Error> {
        const SQL: &str = "update recordings set state = $2, ended_at = coalesce(ended_at, $3) where id = $1";
        execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(state.as_str()).bind(ended_at.as_ms()))?;
        Ok(())
    }

    /// Forgets a recording and its files.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_recording(&self, id: RecordingId) -> Result<(), Error> {
        execute_now!(&self.write, sqlx::query("delete from recordings where id = $1").bind(id.as_uuid()))?;
        Ok(())
    }

    /// Keeps a file of a recording as it is now: a new one, or what has become of one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_recorded_file(&self, recording: RecordingId, file: &RecordedFile) -> Result<(), Error> {
        const SQL: &str = "insert into recording_files (id, recording_id, kind, user_id, nickname, state, interrupted, \
            container, starts_at_ms, duration_ms, size_bytes, sha256) \
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict (id) do update set \
            state = excluded.state, interrupted = excluded.interrupted, container = excluded.container, \
            duration_ms = excluded.duration_ms, size_bytes = excluded.size_bytes, sha256 = excluded.sha256";
        execute_now!(
            &self.write,
            sqlx::query(SQL)
                .bind(file.file_id.as_uuid())
                .bind(recording.as_uuid())
                .bind(file.kind.as_str())
                .bind(file.user_id.map(UserId::as_uuid))
                .bind(&file.nickname)
                .bind(file.state.as_str())
                .bind(file.interrupted)
                .bind(file.container.as_str())
                .bind(file.starts_at_ms)
                .bind(file.duration_ms)
                .bind(file.size_bytes)
                .bind(&file.sha256)
        )?;
        Ok(())
    }

    /// Forgets a file.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_recorded_file(&self, id: FileId) -> Result<(), Error> {
        execute_now!(&self.write, sqlx::query("delete from recording_files where id = $1").bind(id.as_uuid()))?;
        Ok(())
    }

    /// Says how far the one file of all is; whoever asked for it is kept with it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_composed(
        &self,
        id: RecordingId,
        state: ComposedState,
        error: Option<&str>,
        by: UserId,
    ) -> Result<(), Error> {
        const SQL: &str =
            "update recordings set composed_state = $2, composed_error = $3, composed_by = $4 where id = $1";
        let state = state.as_str();
        execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(state).bind(error).bind(by.as_uuid()))?;
        Ok(())
    }

    /// What was being composed when the server stopped has failed, and why.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fail_composing(&self, why: &str) -> Result<(), Error> {
        const SQL: &str =
            "update recordings set composed_state = $1, composed_error = $2 where composed_state in ($3, $4)";
        let [failed, queued, running] =
            [ComposedState::Failed, ComposedState::Queued, ComposedState::Running].map(ComposedState::as_str);
        execute_now!(&self.write, sqlx::query(SQL).bind(failed).bind(why).bind(queued).bind(running))?;
        Ok(())
    }

    /// The recording of that id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recording(&self, id: RecordingId) -> Result<Option<Recording>, Error> {
        let row: Option<RecordingRow> = on_pool!(&self.read, db => sqlx::query_as("select * from recordings where id = $1")
            .bind(id.as_uuid()).fetch_optional(db))?;
        Ok(self.with_files(row.into_iter().collect()).await?.pop())
    }

    /// The recordings of a call, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recordings_of_call(&self, call: CallId, limit: u32) -> Result<Vec<Recording>, Error> {
        const SQL: &str = "select * from recordings where call_id = $1 order by id desc limit $2";
        let rows: Vec<RecordingRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(call.as_uuid()).bind(i64::from(limit)).fetch_all(db))?;
        self.with_files(rows).await
    }

    /// The recordings that somebody may see, newest first; those before `before`, if it is given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recordings_seen_by(
        &self,
        user: UserId,
        sight: Sight,
        before: Option<RecordingId>,
        limit: u32,
    ) -> Result<Vec<Recording>, Error> {
        // The roles are those that the permission table lets record; a test compares.
        const SQL: &str = "select * from recordings r where r.id < $1 and ($2 \
            or exists (select 1 from members m where m.room_id = r.room_id and m.user_id = $3 \
                and m.role in ('moderator', 'admin', 'owner')) \
            or exists (select 1 from recording_files f where f.recording_id = r.id and f.user_id = $3)) \
            order by r.id desc limit $4";
        let before = before.map_or(Uuid::max(), RecordingId::as_uuid);
        let rows: Vec<RecordingRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(before).bind(sight == Sight::Everything).bind(user.as_uuid()).bind(i64::from(limit)).fetch_all(db))?;
        self.with_files(rows).await
    }

    /// Recordings that are not over, the oldest first: after a start, those that a crash interrupted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unfinished_recordings(&self) -> Result<Vec<Recording>, Error> {
        const SQL: &str = "select * from recordings where state in ('starting', 'running', 'finishing') order by id";
        let rows: Vec<RecordingRow> = on_pool!(&self.read, db => sqlx::query_as(SQL).fetch_all(db))?;
        self.with_files(rows).await
    }

    /// The same recordings with their files.
    async fn with_files(&self, rows: Vec<RecordingRow>) -> Result<Vec<Recording>, Error> {
        const SQL: &str = "select * from recording_files where recording_id in (";
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let files: Vec<FileRow> = on_pool!(&self.read, db => {
            let mut query = QueryBuilder::new(SQL);
            let mut ids = query.separated(", ");
            for row in &rows {
                ids.push_bind(row.id);
            }
            query.push(") order by starts_at_ms, id");
            async move { query.build_query_as().fetch_all(db).await }
        })?;
        let mut of: HashMap<Uuid, Vec<RecordedFile>> = HashMap::new();
        for file in files {
            of.entry(file.recording_id).or_default().push(file.try_into()?);
        }
        rows.into_iter()
            .map(|row| {
                let files = of.remove(&row.id).unwrap_or_default();
                row.with(files)
            })
            .collect()
    }
}
