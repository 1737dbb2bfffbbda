-- What programs act by, and what they are told.

-- A program, not a person.
alter table users add column bot boolean not null default false;

-- A key is a login without refresh tokens: what ends logins ends it. Of the key itself only the hash is known, and how it begins.
create table api_keys (
    id uuid primary key references families (id) on delete cascade,
    user_id uuid not null references users (id) on delete cascade,
    name text not null,
    prefix text not null,
    secret_hash bytea not null,
    scopes text not null,
    created_by uuid not null,
    created_at bigint not null,
    expires_at bigint,
    last_used_at bigint
);
create unique index api_keys_secret on api_keys (secret_hash);
create index api_keys_user on api_keys (user_id, id);

-- Where events are sent to: those of one room, or of all. Secrets are sealed with a key that grows out of the server's secret.
create table webhooks (
    id uuid primary key,
    room_id uuid references rooms (id) on delete cascade,
    created_by uuid not null references users (id) on delete cascade,
    url text not null,
    events text not null,
    secret bytea not null,
    former_secret bytea,
    former_until bigint,
    created_at bigint not null,
    failing_since bigint,
    disabled_at bigint,
    disabled_reason text,
    revision bigint not null default 1
);
create index webhooks_room on webhooks (room_id, id);
create index webhooks_maker on webhooks (created_by);

-- Up to where a room's stream has arrived there. Without a row: nothing of it has. The rest is of the event behind it, which has been tried
-- in vain so often, and is to be tried again then.
create table webhook_places (
    webhook_id uuid not null references webhooks (id) on delete cascade,
    room_id uuid not null references rooms (id) on delete cascade,
    event_offset bigint not null,
    attempts bigint not null default 0,
    tried_first_at bigint,
    next_at bigint not null default 0,
    primary key (webhook_id, room_id)
);
create index webhook_places_room on webhook_places (room_id);

-- Events that were given up.
create table webhook_deliveries (
    id uuid primary key,
    webhook_id uuid not null references webhooks (id) on delete cascade,
    room_id uuid not null references rooms (id) on delete cascade,
    event_offset bigint not null,
    kind text not null,
    state text not null,
    attempts bigint not null,
    status bigint,
    error text,
    created_at bigint not null,
    updated_at bigint not null,
    unique (webhook_id, room_id, event_offset)
);
create index webhook_deliveries_list on webhook_deliveries (webhook_id, state, id);
create index webhook_deliveries_room on webhook_deliveries (room_id);
