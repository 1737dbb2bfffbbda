-- The door of a room, as its hosts want it until they change it: nobody new comes in; people are let in one by one.

alter table rooms add column locked boolean not null default false;
alter table rooms add column waiting_room boolean not null default false;
