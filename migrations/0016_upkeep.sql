-- Whose messages: deleting all that is somebody's, and giving it out.
create index messages_sender on messages (sender_id, id);

-- Somebody's calls, the latest first; and those of them that ring or go on.
create index calls_made on calls (initiator_id, id);
create index calls_made_open on calls (initiator_id) where ended_at is null;

-- Up to where the messages of a room are deleted that it keeps no longer.
create table room_upkeep (
    room_id uuid primary key references rooms (id) on delete cascade,
    swept_offset bigint not null
);
