-- Keys with which programs publish into a room, or watch it, without a login of their own. Of a key only the hash is known; who made it
-- answers for what comes by it. A key that is revoked is gone.
create table stream_keys (
    id uuid primary key,
    room_id uuid not null references rooms (id) on delete cascade,
    name text not null,
    kind text not null,
    secret_hash bytea not null,
    created_by uuid not null references users (id) on delete cascade,
    created_at bigint not null,
    expires_at bigint
);
create unique index stream_keys_secret on stream_keys (secret_hash);
create index stream_keys_room on stream_keys (room_id, id);
create index stream_keys_maker on stream_keys (created_by);
