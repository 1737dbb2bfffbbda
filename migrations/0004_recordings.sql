-- Recordings of calls. A room with recordings cannot go before them: their files are elsewhere, and would be forgotten there.
-- started_at: null while everybody is told and nothing is written.
create table recordings (
    id uuid primary key,
    call_id uuid not null,
    room_id uuid not null references rooms (id),
    room_name text not null,
    state text not null,
    created_at bigint not null,
    started_at bigint,
    ended_at bigint,
    started_by uuid not null references users (id),
    stop_reason text,
    composed_state text,
    composed_error text,
    composed_by uuid
);
-- A call is recorded once at a time, whoever asks.
create unique index recordings_running on recordings (call_id) where state in ('starting', 'running');
create index recordings_call on recordings (call_id, id);
create index recordings_room on recordings (room_id, id);
create index recordings_state on recordings (state);

-- user_id: who is in it; null when it is everybody, or when a crash left nothing but the file. duration_ms, size_bytes and sha256
-- are there once the file is whole, which may be before it is where files are kept (state 'finishing').
create table recording_files (
    id uuid primary key,
    recording_id uuid not null references recordings (id) on delete cascade,
    kind text not null,
    user_id uuid references users (id),
    nickname text,
    state text not null,
    interrupted boolean not null,
    container text not null,
    starts_at_ms bigint not null,
    duration_ms bigint,
    size_bytes bigint,
    sha256 text
);
create index recording_files_recording on recording_files (recording_id, id);
create index recording_files_user on recording_files (user_id, recording_id);
