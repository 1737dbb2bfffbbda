-- Strangers who met, and people who do not want to meet.

-- People of one band meet each other only. Today's entry lets in adults alone.
alter table users add column age_band text not null default 'adult';

-- Two who met, when, and who ended it how. What they wrote is nowhere. room_id is no reference: rooms of matches go before this does.
create table matches (
    id uuid primary key,
    mode text not null,
    user_a uuid not null references users (id) on delete cascade,
    user_b uuid not null references users (id) on delete cascade,
    room_id uuid not null,
    started_at bigint not null,
    ended_at bigint,
    reason text,
    ended_by uuid
);
create index matches_started on matches (started_at);
create index matches_a on matches (user_a, started_at);
create index matches_b on matches (user_b, started_at);

create table blocks (
    user_id uuid not null references users (id) on delete cascade,
    blocked_id uuid not null references users (id) on delete cascade,
    created_at bigint not null,
    primary key (user_id, blocked_id)
);
create index blocks_blocked on blocks (blocked_id, created_at);
