-- Who is kept out of the site, why, by whom and until when. What is lifted or over stays: it is the person's history.
create table bans (
    id uuid primary key,
    user_id uuid not null references users (id) on delete cascade,
    reason text not null,
    case_id uuid,
    banned_by uuid not null references users (id),
    created_at bigint not null,
    until bigint,
    lifted_at bigint,
    lifted_by uuid references users (id),
    lift_reason text
);
create index bans_user on bans (user_id);

-- What a ban binds besides the account. Of a device only the hash of its cookie is known; of an address only a keyed hash, which is
-- forgotten after a day.
create table ban_devices (
    ban_id uuid not null references bans (id) on delete cascade,
    device_hash bytea not null,
    primary key (ban_id, device_hash)
);
create index ban_devices_hash on ban_devices (device_hash);

create table ban_addresses (
    ban_id uuid not null references bans (id) on delete cascade,
    address_hash bytea not null,
    until bigint not null,
    primary key (ban_id, address_hash)
);
create index ban_addresses_hash on ban_addresses (address_hash);
create index ban_addresses_until on ban_addresses (until);

-- Where a login comes from, for a ban that may follow; the address for a day.
alter table families add column device_hash bytea;
alter table families add column address_hash bytea;
alter table families add column address_at bigint;
create index families_device on families (device_hash);
create index families_address on families (address_at);
