-- Requests that are to be done once: what was asked, as a keyed hash, and what was answered, sealed. Without an answer it is being done.
create table requests_once (
    user_id uuid not null references users (id) on delete cascade,
    key_hash bytea not null,
    request_hash bytea not null,
    begun_at bigint not null,
    answer bytea,
    primary key (user_id, key_hash)
);
create index requests_once_begun on requests_once (begun_at);
