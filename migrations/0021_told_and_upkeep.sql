-- Whom messages of the server tell of: when that person has everything deleted, these go too.
create table told_of (
    message_id uuid primary key references messages (id) on delete cascade,
    user_id uuid not null references users (id) on delete cascade
);
create index told_of_user on told_of (user_id, message_id);

-- Work on old rows that is done once, in small steps: how far it has come, in ids that it has still to look at and in places given out.
create table upkeep (
    task text primary key,
    before_id uuid,
    place bigint not null default 0,
    done_at bigint
);
