-- Rooms as their owners settle them, members who are muted, bans that end, invitations, and requests to join. Times are milliseconds.

-- How many messages somebody has written: what trust is computed from, kept by whoever stores messages.
alter table users add column message_count bigint not null default 0;

-- What a role is null for, the room's kind says. revision grows with every change. A PIN is known by its hash alone.
alter table rooms add column slug text;
alter table rooms add column description text not null default '';
alter table rooms add column category text;
alter table rooms add column content_level text not null default 'general';
alter table rooms add column retention text not null default 'forever';
alter table rooms add column slow_mode_s bigint not null default 0;
alter table rooms add column min_trust_to_join text not null default 'new';
alter table rooms add column min_trust_to_post text not null default 'new';
alter table rooms add column join_requests boolean not null default false;
alter table rooms add column pin_hash text;
alter table rooms add column least_post text;
alter table rooms add column least_call text;
alter table rooms add column least_share text;
alter table rooms add column least_record text;
alter table rooms add column least_invite text;
alter table rooms add column archived_at bigint;
alter table rooms add column revision bigint not null default 1;
create unique index rooms_slug on rooms (slug) where slug is not null;
create index rooms_listed on rooms (visibility, category, id) where archived_at is null;
create index rooms_maker on rooms (created_by);
update rooms set retention = 'none' where kind = 'match';
update users set message_count = (select count(*) from messages where sender_id = users.id);

alter table members add column muted_until bigint;
create index members_joined on members (room_id, joined_at, user_id);

-- until: when the ban is over; null: never.
alter table removals add column until bigint;

-- A link by which people come in. Of its code only the hash is known. max_uses: null: as often as anybody likes.
create table invites (
    id uuid primary key,
    room_id uuid not null references rooms (id) on delete cascade,
    code_hash bytea not null,
    created_by uuid not null references users (id) on delete cascade,
    created_at bigint not null,
    expires_at bigint,
    max_uses bigint,
    uses bigint not null default 0
);
create unique index invites_code on invites (code_hash);
create index invites_room on invites (room_id, id);

-- Who asked to be let in. denied_at: when somebody said no; they may ask again after a while.
create table join_requests (
    room_id uuid not null references rooms (id) on delete cascade,
    user_id uuid not null references users (id) on delete cascade,
    note text,
    created_at bigint not null,
    denied_at bigint,
    primary key (room_id, user_id)
);
create index join_requests_open on join_requests (room_id, created_at) where denied_at is null;
