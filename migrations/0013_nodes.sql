-- The processes that serve this database now. A lease is over by the database's clock; who does not renew it is as good as gone.
create table nodes (
    id uuid primary key,
    address text not null,
    started_at bigint not null,
    lease_until bigint not null
);

-- What lives on one node alone: a room's call, the matcher. A seat counts while its node's lease does.
create table seats_of_nodes (
    thing text primary key,
    node_id uuid not null,
    taken_at bigint not null
);
