-- One set for both databases. SQLite takes any type name (UUID and BYTEA hold blobs there); times are milliseconds since 1970.

create table users (
    id uuid primary key,
    nickname text not null,
    site_role text not null,
    created_at bigint not null
);

-- A login and the refresh tokens that grew out of it. Only hashes are kept; used tokens stay, to tell a second use.
create table families (
    id uuid primary key,
    user_id uuid not null references users (id) on delete cascade,
    created_at bigint not null,
    expires_at bigint not null,
    revoked_at bigint
);
create index families_user on families (user_id);

create table refresh_tokens (
    hash bytea primary key,
    family_id uuid not null references families (id) on delete cascade,
    expires_at bigint not null,
    used_at bigint
);
create index refresh_tokens_family on refresh_tokens (family_id);

-- The secret of the administrator's link, hashed; at most one row, gone once used.
create table claims (
    hash bytea primary key,
    created_at bigint not null
);

create table rooms (
    id uuid primary key,
    kind text not null,
    name text not null,
    visibility text not null,
    max_participants bigint not null,
    call_id uuid not null,
    created_by uuid not null references users (id),
    created_at bigint not null
);
create unique index rooms_call on rooms (call_id);
create index rooms_public on rooms (visibility, id);

create table members (
    room_id uuid not null references rooms (id) on delete cascade,
    user_id uuid not null references users (id) on delete cascade,
    role text not null,
    joined_at bigint not null,
    primary key (room_id, user_id)
);
create index members_user on members (user_id);

create table removals (
    room_id uuid not null references rooms (id) on delete cascade,
    user_id uuid not null references users (id) on delete cascade,
    removed_by uuid not null references users (id),
    reason text,
    created_at bigint not null,
    primary key (room_id, user_id)
);

-- The room's stream: whoever holds this row's lock may append, so offsets have no gap, on any number of nodes.
create table room_streams (
    room_id uuid primary key references rooms (id) on delete cascade,
    epoch uuid not null,
    last_offset bigint not null
);

create table events (
    room_id uuid not null references rooms (id) on delete cascade,
    event_offset bigint not null,
    kind text not null,
    message_id uuid,
    body text not null,
    primary key (room_id, event_offset)
);
create index events_message on events (message_id);

-- content_hash is that of the message as it was sent: what a repeated client id is compared with, even after an edit.
create table messages (
    id uuid primary key,
    room_id uuid not null references rooms (id) on delete cascade,
    sender_id uuid not null references users (id),
    sender_nickname text not null,
    client_id text not null,
    content_hash bytea not null,
    text text not null,
    reply_to uuid,
    event_offset bigint not null,
    created_at bigint not null,
    edited_at bigint,
    deleted_at bigint,
    deleted_by uuid references users (id),
    unique (room_id, sender_id, client_id)
);
create index messages_room on messages (room_id, event_offset);
