//! What a message may say: the one place that looks at it before it is kept.

use unicode_normalization::UnicodeNormalization;

use super::{emoji, hashtags, text};
use crate::domain::{
    Action, FileId, Refusal, Seat, Time,
    attachment::ATTACHMENTS_LIMIT,
    feature::Feature,
    message::{Content, ContentType, Mentions, NewContent, NewPoll, Poll, PollOption},
};

/// People whom one message may call by name.
const MENTIONS: usize = 50;
/// The longest question of a poll, in characters.
const QUESTION: usize = 300;
/// The longest answer of a poll, in characters.
const ANSWER: usize = 100;
/// How many answers a poll has.
const ANSWERS: std::ops::RangeInclusive<usize> = 2..=10;

/// What somebody wants to say, as it will be kept, and the files it takes.
///
/// # Errors
/// `forbidden` and what else [`Seat::permit`] refuses, `feature_off` (gifts and tips), `bad_request` (`content…`),
/// `message_empty`, `message_too_long`.
pub(super) fn checked(new: NewContent, seat: &Seat) -> Result<(Content, Vec<FileId>), Refusal> {
    let NewContent { kind, text, attachments, mentions, poll, thread_id } = new;
    let files: Vec<FileId> = attachments.iter().map(|it| it.file_id).collect();
    let kind = kind_of(kind, poll.is_some(), files.len())?;
    if poll.is_some() {
        seat.permit(Action::MakePoll)?;
    }
    if !files.is_empty() {
        seat.permit(Action::Upload)?;
        seat.session.caller.demand(Feature::Files)?;
        check_files(&files)?;
    }
    let poll = poll.map(asked).transpose()?;
    let text = match &poll {
        // For search, and for who does not show polls.
        Some(poll) if text.trim().is_empty() => poll.question.clone(),
        None if text.trim().is_empty() && !files.is_empty() => String::new(),
        _ => text::checked(&text, seat.kind)?,
    };
    if kind == ContentType::Emoji && !emoji::is_drawn(&text) {
        return Err(Refusal::bad_request("content.text", "A message of type emoji has emoji alone."));
    }
    let mentions = called(mentions, seat)?;
    let hashtags = hashtags::of(&text);
    Ok((Content { kind, text, mentions, hashtags, poll, thread_id, ..Content::default() }, files))
}

fn kind_of(kind: Option<ContentType>, asks: bool, files: usize) -> Result<ContentType, Refusal> {
    let refused = |why: &str| Err(Refusal::bad_request("content.type", why));
    let kind = match kind {
        Some(kind) => kind,
        None if asks => ContentType::Poll,
        None if files > 0 => ContentType::File,
        None => ContentType::Text,
    };
    match kind {
        ContentType::Gift => Err(Refusal::FeatureOff { feature: "gifts" }),
        ContentType::Tip => Err(Refusal::FeatureOff { feature: "tips" }),
        ContentType::System => refused("Messages of this type are the server's own."),
        ContentType::Poll if !asks => refused("A message of type poll has a poll."),
        kind if asks && kind != ContentType::Poll => refused("A message with a poll is of type poll."),
        ContentType::Image | ContentType::Video | ContentType::Audio | ContentType::File if files == 0 => {
            refused("A message of this type has files.")
        }
        kind => Ok(kind),
    }
}

fn check_files(files: &[FileId]) -> Result<(), Refusal> {
    let mut sorted = files.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() < files.len() || files.len() > ATTACHMENTS_LIMIT {
        let why = format!("A message has up to {ATTACHMENTS_LIMIT} different files.");
        return Err(Refusal::bad_request("content.attachments", why));
    }
    Ok(())
}

/// Whom a message calls, each once.
pub(super) fn called(mentions: Mentions, seat: &Seat) -> Result<Mentions, Refusal> {
    let Mentions { mut users, here, room } = mentions;
    if here || room {
        seat.permit(Action::MentionEverybody)?;
    }
    users.sort_unstable();
    users.dedup();
    if users.len() > MENTIONS {
        let why = format!("A message calls up to {MENTIONS} people by name.");
        return Err(Refusal::bad_request("content.mentions.users", why));
    }
    Ok(Mentions { users, here, room })
}

fn asked(new: NewPoll) -> Result<Poll, Refusal> {
    let NewPoll { question, options, multiple, closes_at } = new;
    let question = line(&question, QUESTION).ok_or_else(|| {
        Refusal::bad_request("content.poll.question", format!("A question has 1 to {QUESTION} characters."))
    })?;
    let (least, most) = (ANSWERS.start(), ANSWERS.end());
    let refused = || {
        let why = format!("A poll has {least} to {most} different answers of 1 to {ANSWER} characters.");
        Refusal::bad_request("content.poll.options", why)
    };
    if !ANSWERS.contains(&options.len()) {
        return Err(refused());
    }
    let mut answers: Vec<PollOption> = Vec::with_capacity(options.len());
    for option in options {
        let text = line(&option.text, ANSWER).filter(|text| answers.iter().all(|it| it.text != *text));
        answers.push(PollOption { text: text.ok_or_else(refused)?, votes: 0 });
    }
    if closes_at.is_some_and(|closes_at| closes_at <= Time::now()) {
        return Err(Refusal::bad_request("content.poll.closesAt", "A poll closes in the future."));
    }
    Ok(Poll { question, options: answers, multiple, closes_at, voters: 0 })
}

/// A line as it is kept: NFC, without space around it. `None`: it is blank, too long, or has U+0000.
fn line(text: &str, limit: usize) -> Option<String> {
    let text: String = text.trim().nfc().collect();
    ((1..=limit).contains(&text.chars().count()) && !text.contains('\0')).then_some(text)
}
