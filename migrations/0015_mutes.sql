-- A mute goes on when a membership ends: whoever leaves and comes back has no voice until then. Of members it is in muted_until.
create table mutes (
    room_id uuid not null references rooms (id) on delete cascade,
    user_id uuid not null references users (id) on delete cascade,
    until bigint not null,
    primary key (room_id, user_id)
);

-- Whose they are, when an account goes.
create index mutes_user on mutes (user_id);
