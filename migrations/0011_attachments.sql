-- Files that people put into messages. The rows outlive the messages and rooms that took them, because the files have to be deleted
-- elsewhere first: `doomed` rows are the queue of that. A row whose message is gone has a room and no message.
-- size_bytes: what was announced, then what is kept. received_bytes: how much of it has arrived. due_at: when it is looked at next; busy_until:
-- somebody (busy_by, one run of one process) looks at it now. expires_at: when it goes if no message has taken it.
create table attachments (
    id uuid primary key,
    uploader_id uuid references users (id) on delete set null,
    state text not null,
    fault text,
    kind text not null,
    name text not null,
    media_type text not null,
    size_bytes bigint not null,
    received_bytes bigint not null default 0,
    sha256 text,
    width bigint,
    height bigint,
    duration_ms bigint,
    thumbnail boolean not null default false,
    created_at bigint not null,
    expires_at bigint not null,
    room_id uuid,
    message_id uuid references messages (id) on delete set null deferrable initially deferred,
    place bigint not null default 0,
    due_at bigint not null default 0,
    busy_until bigint not null default 0,
    busy_by uuid,
    tries bigint not null default 0,
    doomed boolean not null default false
);
create index attachments_uploader on attachments (uploader_id, id);
create index attachments_message on attachments (message_id, place);
create index attachments_due on attachments (due_at) where state = 'scanning';
create index attachments_loose on attachments (expires_at) where message_id is null;
create index attachments_doomed on attachments (id) where doomed;
create index messages_deleted on messages (deleted_at) where deleted_at is not null;

-- What has arrived of a file whose upload goes on. size_bytes: null as long as the piece is not where files are kept for certain.
create table upload_pieces (
    id uuid primary key,
    attachment_id uuid not null references attachments (id) on delete cascade,
    start_offset bigint not null,
    size_bytes bigint
);
create index upload_pieces_attachment on upload_pieces (attachment_id, start_offset);
