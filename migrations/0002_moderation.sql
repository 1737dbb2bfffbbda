-- What people have to judge, what it rests on, what was reported, and what was done. No row here refers to rooms or users by a
-- foreign key: it must outlive what it is about.

-- While a case waits, `subject_key` is what makes two findings one case: a track and a label, a person, a message.
-- priority: 0 low to 3 critical. applied_at: when what was decided had been done; until then a crash brings the case back.
create table cases (
    id uuid primary key,
    source text not null,
    subject_key text not null,
    label text,
    priority bigint not null,
    status text not null,
    user_id uuid not null,
    nickname text not null,
    room_id uuid,
    call_id uuid,
    participant_id uuid,
    track_id uuid,
    track_source text,
    message_id uuid,
    report_count bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    claimed_by uuid,
    claimed_until bigint,
    action text,
    reason text,
    duration_s bigint,
    decided_by uuid,
    decided_at bigint,
    applied_at bigint
);
create unique index cases_waiting on cases (subject_key) where status = 'pending';
create index cases_queue on cases (status, priority, id);
create index cases_user on cases (user_id, id);

-- weight: hundredths of an ordinary person's word.
create table reports (
    id uuid primary key,
    case_id uuid not null references cases (id) on delete cascade,
    reporter_id uuid not null,
    reporter_nickname text not null,
    user_id uuid not null,
    reason text not null,
    description text,
    weight bigint not null,
    created_at bigint not null,
    unique (case_id, reporter_id)
);
create index reports_user on reports (user_id, created_at);
create index reports_reporter on reports (reporter_id, created_at);

-- The bytes are a file under the evidence's id. scores: JSON, a probability for each label.
create table evidence (
    id uuid primary key,
    case_id uuid not null references cases (id) on delete cascade,
    kind text not null,
    media_type text not null,
    sha256 text not null,
    size_bytes bigint not null,
    taken_at bigint not null,
    expires_at bigint not null,
    width bigint,
    height bigint,
    scores text,
    threshold double precision,
    model_name text,
    model_sha256 text
);
create index evidence_case on evidence (case_id);
create index evidence_expiry on evidence (expires_at);

-- Who did what, when, to whom and why. `actor_id` is null where the server acted by itself.
create table moderation_log (
    id uuid primary key,
    at bigint not null,
    actor_id uuid,
    action text not null,
    case_id uuid,
    user_id uuid,
    room_id uuid,
    evidence_id uuid,
    reason text,
    duration_s bigint
);
create index moderation_log_case on moderation_log (case_id, id);
