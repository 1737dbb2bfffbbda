//! What somebody searches for: the words, and the filters beside them.

use serde::Serialize;

use super::{Message, Refusal, Time, message::ContentType, words::words};

/// The longest query, in characters.
const QUERY_LIMIT: usize = 256;
/// Words and filters that one query has at most: each is a list that the database has to walk.
const PARTS: usize = 16;
/// Characters that a snippet shows before the first hit and after it.
const SNIPPET_BEFORE: usize = 40;
const SNIPPET_LENGTH: usize = 200;

/// A query, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// All of these are in the message.
    pub terms: Vec<Term>,
    /// One of these wrote it: ids, nicknames, or `me`.
    pub from: Vec<String>,
    /// It is in one of these rooms: ids or names.
    pub rooms: Vec<String>,
    /// It has all of these.
    pub has: Vec<Has>,
    /// It was written before.
    pub before: Option<Time>,
    /// It was written then or later.
    pub after: Option<Time>,
    /// It mentions whoever searches.
    pub mentions_me: bool,
}

/// Words that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Their tokens, at least one.
    pub tokens: Vec<String>,
    /// Whether the last one may go on.
    pub begins: bool,
}

/// Something that a message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Has {
    /// An address of the web in its text.
    Link,
    /// A picture.
    Image,
    /// A film.
    Video,
    /// Sound.
    Audio,
    /// Any other file.
    File,
    /// A poll.
    Poll,
}

/// A part of a message's text with what was searched for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Snippet {
    /// The part. Never HTML.
    pub text: String,
    /// Where the words are.
    pub hits: Vec<Hit>,
}

/// A word that was searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Hit {
    /// Where it begins in the snippet, in Unicode scalars.
    pub start: usize,
    /// How long it is, in Unicode scalars.
    pub length: usize,
}

impl Query {
    /// Reads what somebody wrote. `word`, `begin*`, `"several words"`, and the filters `from:`, `in:`, `has:`, `before:`, `after:`
    /// and `mentions:me`, whose values may stand in quotes.
    ///
    /// # Errors
    /// `bad_request` (`q`).
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.chars().count() > QUERY_LIMIT {
            return Err(bad(format!("A search has up to {QUERY_LIMIT} characters.")));
        }
        let mut query = Self::default();
        let mut parts = 0;
        for piece in pieces(text) {
            match piece.key.as_deref() {
                Some(key) => query.add_filter(key, &piece.value)?,
                None => query.terms.extend(Term::of(&piece.value)),
            }
            parts += 1;
        }
        if parts > PARTS {
            return Err(bad(format!("A search has up to {PARTS} words and filters.")));
        }
        if query == Self::default() {
            return Err(bad("Say what to search for: words, or a filter such as from:ada.".to_owned()));
        }
        Ok(query)
    }

    fn add_filter(&mut self, key: &str, value: &str) -> Result<(), Refusal> {
        if value.is_empty() {
            return Err(bad(format!("The filter {key}: needs a value.")));
        }
        match key {
            "from" => self.from.push(value.to_lowercase()),
            "in" => self.rooms.push(value.to_lowercase()),
            "has" => {
                let has = Has::parse(&value.to_lowercase());
                self.has.push(
                    has.ok_or_else(
                        || bad("The filter has: takes link, image, video, audio, file or poll.".to_owned()),
                    )?,
                );
            }
            "before" => self.before = Some(moment(value)?),
            "after" => self.after = Some(moment(value)?),
            _ if value.eq_ignore_ascii_case("me") => self.mentions_me = true,
            _ => return Err(bad("The filter mentions: takes me.".to_owned())),
        }
        Ok(())
    }

    /// The part of a message's text that shows the first hit.
    pub fn snippet(&self, message: &Message) -> Snippet {
        let text = said(message);
        let found = words(text);
        let mut hits = Vec::new();
        for term in &self.terms {
            for run in found.windows(term.tokens.len()).filter(|run| term.fits(run.iter().map(|word| &*word.token))) {
                hits.extend(run.iter().map(|word| Hit { start: word.start, length: word.length }));
            }
        }
        hits.sort_unstable_by_key(|hit| hit.start);
        hits.dedup();
        let first = hits.first().map_or(0, |hit| hit.start).saturating_sub(SNIPPET_BEFORE);
        let shown: String = text.chars().skip(first).take(SNIPPET_LENGTH).collect();
        let end = first + shown.chars().count();
        let within = hits.into_iter().filter(|hit| hit.start + hit.length <= end);
        Snippet { text: shown, hits: within.map(|hit| Hit { start: hit.start - first, ..hit }).collect() }
    }

    /// How well a message answers: more hits in fewer words are better.
    pub fn score(&self, message: &Message) -> u64 {
        let found = words(said(message));
        let count = |term: &Term| {
            found.windows(term.tokens.len()).filter(|run| term.fits(run.iter().map(|word| &*word.token))).count() as u64
        };
        let hits: u64 = self.terms.iter().map(|term| count(term).min(4) * 1_000 * term.tokens.len() as u64).sum();
        hits / (8 + found.len() as u64)
    }
}

impl Term {
    fn of(text: &str) -> Option<Self> {
        let tokens: Vec<_> = words(text).into_iter().map(|word| word.token).collect();
        (!tokens.is_empty()).then(|| Self { tokens, begins: text.ends_with('*') })
    }

    fn fits<'a>(&self, run: impl Iterator<Item = &'a str>) -> bool {
        let last = self.tokens.len() - 1;
        let same = |(at, (wanted, found)): (usize, (&String, &str))| {
            found == wanted || (self.begins && at == last && found.starts_with(wanted.as_str()))
        };
        self.tokens.iter().zip(run).enumerate().all(same)
    }
}

impl Has {
    /// Everything that a message can have, for whoever lists or parses it.
    pub const ALL: [Has; 6] = [Has::Link, Has::Image, Has::Video, Has::Audio, Has::File, Has::Poll];

    /// The name that a query uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Has::Link => "link",
            Has::Image => "image",
            Has::Video => "video",
            Has::Audio => "audio",
            Has::File => "file",
            Has::Poll => "poll",
        }
    }

    /// What has that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// What a message has.
    pub fn of(message: &Message) -> Vec<Self> {
        let content = &message.content;
        let has_link = content.text.contains("http://") || content.text.contains("https://");
        let kind = match content.kind {
            ContentType::Image | ContentType::Gif => Some(Has::Image),
            ContentType::Video => Some(Has::Video),
            ContentType::Audio => Some(Has::Audio),
            ContentType::File => Some(Has::File),
            ContentType::Poll => Some(Has::Poll),
            _ if content.attachments.is_empty() => None,
            _ => Some(Has::File),
        };
        has_link.then_some(Has::Link).into_iter().chain(kind).collect()
    }
}

/// What a message is found by: its text or, if it has none, the question of its poll.
pub fn said(message: &Message) -> &str {
    let content = &message.content;
    let question = content.poll.as_ref().map(|poll| poll.question.as_str());
    if content.text.is_empty() { question.unwrap_or_default() } else { &content.text }
}

/// A word, a quoted phrase, or a filter.
struct Piece {
    key: Option<String>,
    value: String,
}

/// Cuts a query at blanks, except within quotes. A quote that is not closed goes to the end.
fn pieces(text: &str) -> Vec<Piece> {
    const KEYS: [&str; 6] = ["from", "in", "has", "before", "after", "mentions"];
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let colon = rest.find(':').filter(|at| KEYS.contains(&rest[..*at].to_lowercase().as_str()));
        let key = colon.map(|at| rest[..at].to_lowercase());
        let after = colon.map_or(rest, |at| &rest[at + 1..]);
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        found.push(Piece { key, value: value.to_owned() });
        rest = left.trim_start();
    }
    found
}

/// A day (its begin in UTC) or a moment.
fn moment(value: &str) -> Result<Time, Refusal> {
    let whole = if value.len() == "2026-01-31".len() { format!("{value}T00:00:00Z") } else { value.to_owned() };
    whole.parse().map_err(|_| bad("A date is written 2026-01-31, or 2026-01-31T09:30:00Z.".to_owned()))
}

fn bad(why: String) -> Refusal {
    Refusal::bad_request("q", why)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> Message {
        let message = r#"{"id":"01938a5c-0000-7000-8000-00000000000a","roomId":"01938a5c-0000-7000-8000-000000000001",
            "sender":{"id":"01938a5c-0000-7000-8000-000000000002","nickname":"ada"},"clientId":"c","content":{"text":""},
            "replyTo":null,"createdAt":"2026-01-31T09:30:00Z","editedAt":null,"deleted":false}"#;
        let mut message: Message = serde_json::from_str(message).unwrap();
        text.clone_into(&mut message.content.text);
        message
    }

    fn term(tokens: &[&str], begins: bool) -> Term {
        Term { tokens: tokens.iter().map(|&it| it.to_owned()).collect(), begins }
    }

    #[test]
    fn words_phrases_and_filters_are_told_apart() {
        let query =
            Query::parse(r#"Café "two  words" begin* from:Ada in:"The Lounge" has:link before:2026-02-01"#).unwrap();
        assert_eq!(query.terms, [term(&["cafe"], false), term(&["two", "words"], false), term(&["begin"], true)]);
        assert_eq!((query.from, query.rooms), (vec!["ada".to_owned()], vec!["the lounge".to_owned()]));
        assert_eq!((query.has, query.mentions_me), (vec![Has::Link], false));
        assert_eq!(query.before.unwrap().to_string(), "2026-02-01T00:00:00.000Z");
        let query = Query::parse("mentions:me after:2026-01-31T09:30:00Z http://example.org").unwrap();
        assert!(query.mentions_me && query.after.is_some());
        assert_eq!(query.terms, [term(&["http", "example", "org"], false)], "an unknown key is a word");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_sentence() {
        for text in
            ["", "  ", "***", "\"\"", "has:cheese", "before:yesterday", "from:", "mentions:ada", &"x ".repeat(17)]
        {
            assert!(matches!(Query::parse(text), Err(Refusal::BadRequest { field: "q", .. })), "{text:?}");
        }
    }

    #[test]
    fn a_snippet_shows_the_first_hit_and_where_it_is() {
        let query = Query::parse("naïve").unwrap();
        let text = format!("{} a Naive idea, so naïve", "long ".repeat(40));
        let snippet = query.snippet(&message(&text));
        let at = |hit: &Hit| snippet.text.chars().skip(hit.start).take(hit.length).collect::<String>();
        assert_eq!(snippet.hits.iter().map(at).collect::<Vec<_>>(), ["Naive", "naïve"]);
        assert!(query.score(&message("naive")) > query.score(&message("a naive idea among very many other words")));
    }

    proptest! {
        #[test]
        fn no_query_panics_and_no_hit_lies_outside(query in any::<String>(), text in any::<String>()) {
            if let Ok(query) = Query::parse(&query) {
                let snippet = query.snippet(&message(&text));
                let length = snippet.text.chars().count();
                prop_assert!(snippet.hits.iter().all(|hit| hit.start + hit.length <= length));
                query.score(&message(&text));
            }
        }

        #[test]
        fn operators_are_words_or_nothing(query in r#"[a-z" :*()^+\-{}&|!<>']{0,60}"#) {
            if let Ok(query) = Query::parse(&query) {
                for token in query.terms.iter().flat_map(|term| &term.tokens) {
                    prop_assert!(token.bytes().all(|it| it.is_ascii_alphanumeric()));
                }
            }
        }

        #[test]
        fn a_message_is_found_by_its_own_words(text in "[a-zA-Zéß ]{1,40}") {
            for word in words(&text) {
                let spelled: String = text.chars().skip(word.start).take(word.length).collect();
                if let Ok(query) = Query::parse(&format!("\"{spelled}\"")) {
                    prop_assert!(!query.snippet(&message(&text)).hits.is_empty());
                }
            }
        }
    }
}
