-- What a message may say and have beside its text. `extra`, `poll` and `reactions` are JSON; the counts in the last two are changed in the
-- transaction that changes the rows they count, by whoever holds the room's stream, so they cannot drift.

alter table messages add column content_type text not null default 'text';
alter table messages add column extra text;
alter table messages add column poll text;
alter table messages add column reactions text;
alter table messages add column thread_id uuid;
alter table messages add column thread_replies bigint not null default 0;
alter table messages add column thread_last_at bigint;
alter table messages add column thread_locked boolean not null default false;
alter table messages add column pinned_at bigint;
alter table messages add column expires_at bigint;
create index messages_thread on messages (thread_id, event_offset) where thread_id is not null;
create index messages_pinned on messages (room_id, pinned_at) where pinned_at is not null;
create index messages_expiring on messages (expires_at) where expires_at is not null and deleted_at is null;

-- What a message said before each change.
create table message_versions (
    message_id uuid not null references messages (id) on delete cascade,
    version bigint not null,
    text text not null,
    written_at bigint not null,
    primary key (message_id, version)
);

-- event_offset is that of the event that told it: the order of who reacted.
create table reactions (
    message_id uuid not null references messages (id) on delete cascade,
    emoji text not null,
    user_id uuid not null references users (id) on delete cascade,
    event_offset bigint not null,
    primary key (message_id, emoji, user_id)
);
create index reactions_order on reactions (message_id, emoji, event_offset);
create index reactions_user on reactions (user_id);

create table poll_votes (
    message_id uuid not null references messages (id) on delete cascade,
    user_id uuid not null references users (id) on delete cascade,
    choice bigint not null,
    primary key (message_id, user_id, choice)
);
create index poll_votes_user on poll_votes (user_id);
