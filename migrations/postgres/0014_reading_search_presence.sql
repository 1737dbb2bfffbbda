-- Up to where somebody has read a room, and how they want to hear of the rest: one row for a person and a room, never one for a message.
-- Without an offset they have read nothing since they joined.
create table reads (
    room_id uuid not null references rooms (id) on delete cascade,
    user_id uuid not null references users (id) on delete cascade,
    read_offset bigint,
    message_id uuid,
    read_at bigint not null,
    level text not null default 'all',
    muted_until bigint,
    primary key (room_id, user_id)
);
create index reads_user on reads (user_id);

-- Whom messages mention. The person 00000000-0000-0000-0000-000000000000 is everybody in the room.
create table mentions (
    user_id uuid not null,
    room_id uuid not null references rooms (id) on delete cascade,
    event_offset bigint not null,
    message_id uuid not null references messages (id) on delete cascade,
    primary key (user_id, room_id, event_offset)
);
create index mentions_message on mentions (message_id);

-- What people want to be shown as, and whether others are told what they have read. `last_seen` is a day, not a moment.
create table presences (
    user_id uuid primary key references users (id) on delete cascade,
    status text not null default 'online',
    words text,
    words_until bigint,
    private_receipts boolean not null default false,
    last_seen bigint
);

-- What is found of messages.
create table searchable (
    id bigint generated always as identity primary key,
    message_id uuid not null unique references messages (id) on delete cascade,
    created_at bigint not null,
    words tsvector not null
);
create index searchable_words on searchable using gin (words);
