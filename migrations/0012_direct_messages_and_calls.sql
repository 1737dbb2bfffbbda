-- Direct messages and the calls that ring.

-- From whom somebody takes direct messages: everyone (strangers as a request), sharesRoom, nobody.
alter table users add column direct_from text not null default 'everyone';

-- A room of kind dm or groupDm. The two of a dm, the lesser id first; both null in a group. Nulls never equal each other, so that
-- the index holds the pairs alone.
create table direct_rooms (
    room_id uuid primary key references rooms (id) on delete cascade,
    user_a uuid references users (id) on delete cascade,
    user_b uuid references users (id) on delete cascade
);
create unique index direct_pairs on direct_rooms (user_a, user_b);

-- What somebody is to such a room: accepted, pending (a request that they have not answered), declined, left. Only who has accepted
-- has a row in members as well: nobody else comes in, sees who is there, or is called.
create table direct_people (
    room_id uuid not null references direct_rooms (room_id) on delete cascade,
    user_id uuid not null references users (id) on delete cascade,
    standing text not null,
    invited_by uuid references users (id) on delete cascade,
    changed_at bigint not null,
    primary key (room_id, user_id)
);
create index direct_people_user on direct_people (user_id, standing);
create index direct_people_inviter on direct_people (invited_by, changed_at);

-- A call that rang. call_id is the room's. outcome is null while it rings or goes on; seen_at is when the server that has it was
-- last alive: a call of a server that died ends by that.
create table calls (
    id uuid primary key,
    room_id uuid not null references rooms (id) on delete cascade,
    call_id uuid not null,
    initiator_id uuid not null references users (id) on delete cascade,
    kind text not null,
    started_at bigint not null,
    answered_at bigint,
    ended_at bigint,
    outcome text,
    seen_at bigint not null
);
create index calls_initiator on calls (initiator_id, started_at);
create index calls_room on calls (room_id, started_at);
create index calls_open on calls (ended_at, seen_at);

create table call_people (
    call_id uuid not null references calls (id) on delete cascade,
    user_id uuid not null references users (id) on delete cascade,
    answer text not null,
    primary key (call_id, user_id)
);
create index call_people_user on call_people (user_id, call_id);
