-- Who belongs to which cluster. A room belongs to that of whoever made it, whose row stays for as long as the room does.

alter table users add column cluster_id text not null default 'default';

-- When codes of an app were asked for that are not in force yet; and codes that were wrong since the last login.
alter table accounts add column totp_wanted_at bigint;
alter table accounts add column wrong_codes bigint not null default 0;
alter table accounts add column wrong_code_at bigint;
