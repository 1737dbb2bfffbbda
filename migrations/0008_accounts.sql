-- People with a name and a password, by what else they prove who they are, and what they are told of each login. Secrets of second
-- factors are sealed with a key that grows out of the server's secret; of recovery codes only hashes are kept.
create table accounts (
    user_id uuid primary key references users (id) on delete cascade,
    username text not null,
    name_key text not null,
    password_hash text not null,
    email text,
    created_at bigint not null,
    password_at bigint not null,
    totp_secret bytea,
    totp_since bigint,
    totp_step bigint not null default 0
);
create unique index accounts_name on accounts (name_key);

create table recovery_codes (
    user_id uuid not null references users (id) on delete cascade,
    hash bytea not null,
    used_at bigint,
    primary key (user_id, hash)
);

create table passkeys (
    id uuid primary key,
    user_id uuid not null references users (id) on delete cascade,
    credential_id bytea not null,
    name text not null,
    credential text not null,
    created_at bigint not null,
    last_used_at bigint
);
create unique index passkeys_credential on passkeys (credential_id);
create index passkeys_user on passkeys (user_id);

-- Proofs of work that were taken: each is good once, until its time is over anyway.
create table spent_proofs (
    hash bytea primary key,
    expires_at bigint not null
);
create index spent_proofs_until on spent_proofs (expires_at);

-- Whoever entered so far has attested to be 18 or older. A person who had everything deleted stays as an empty row.
alter table users add column age_level text not null default 'selfDeclared';
alter table users add column erased_at bigint;
alter table users add column erasure_done_at bigint;
create index users_erasing on users (erased_at) where erased_at is not null and erasure_done_at is null;

alter table families add column device_name text;
alter table families add column last_used_at bigint;
alter table families add column second_factor_at bigint;
alter table families add column reused_at bigint;
alter table families add column reuse_told_at bigint;
