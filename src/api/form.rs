//! The body of a form on its way to whoever takes it apart.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt as _};

use crate::attachments::Broken;

/// What a form has around its file at most, in bytes.
pub(super) const FORM_BYTES: u64 = 64 * 1024;
/// What is handed over at once in front of the file, in bytes: a field takes at least so much of [`FORM_BYTES`], and there are few.
const PIECE_BYTES: usize = 1024;

/// A form's body, as it is handed over. Whoever takes a form apart collects all that is there before it looks for what ends a field,
/// and goes on collecting if nothing does: here it gets one piece at a time, and no more of them than a form may have.
pub(super) struct Body {
    from: BoxStream<'static, Result<Bytes, Broken>>,
    rest: Bytes,
    handed_bytes: u64,
    most_bytes: u64,
    at_file: AtFile,
    /// What was handed over is to be looked at first.
    rests: bool,
}

/// Whether the file's field has begun.
#[derive(Clone, Default)]
pub(super) struct AtFile(Arc<AtomicBool>);

impl AtFile {
    /// It has: what comes now is the file.
    pub(super) fn reached(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Body {
    /// A body of which so many bytes are read at most.
    pub(super) fn new(from: BoxStream<'static, Result<Bytes, Broken>>, most_bytes: u64, at_file: AtFile) -> Self {
        Self { from, rest: Bytes::new(), handed_bytes: 0, most_bytes, at_file, rests: false }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rests) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            match ready!(self.from.poll_next_unpin(context)) {
                Some(Ok(bytes)) => self.rest = bytes,
                Some(Err(Broken)) => return Poll::Ready(Some(Err(std::io::ErrorKind::UnexpectedEof.into()))),
                None => return Poll::Ready(None),
            }
        }
        let (most_bytes, piece_bytes) = if self.at_file.0.load(Ordering::Relaxed) {
            (self.most_bytes, usize::MAX)
        } else {
            (self.most_bytes.min(FORM_BYTES), PIECE_BYTES)
        };
        if self.handed_bytes >= most_bytes {
            return Poll::Ready(Some(Err(std::io::ErrorKind::FileTooLarge.into())));
        }
        let length = self.rest.len().min(piece_bytes);
        let piece = self.rest.split_to(length);
        self.handed_bytes += piece.len() as u64;
        self.rests = true;
        Poll::Ready(Some(Ok(piece)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use futures_util::TryStreamExt as _;
    use futures_util::stream;

    use super::*;

    const MOST: u64 = 100 << 20;

    #[tokio::test]
    async fn what_never_ends_in_front_of_the_file_is_not_collected() {
        let endless = [
            Bytes::from(vec![b'x'; 4096]),
            // It begins well: fields without end, and one that has none.
            Bytes::from("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\na\r\n".repeat(50)),
            Bytes::from("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n".to_owned() + &"y".repeat(4096)),
        ];
        for chunk in endless {
            let read = Arc::new(AtomicU64::new(0));
            let count = read.clone();
            let body = stream::repeat(chunk).map(move |chunk| {
                count.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                Ok(chunk)
            });
            let mut form = multer::Multipart::new(Body::new(body.boxed(), MOST, AtFile::default()), "x");
            while let Ok(field) = form.next_field().await {
                assert_eq!(field.expect("there is no end").name(), Some("a"));
            }
            let read = read.load(Ordering::Relaxed);
            assert!(read <= FORM_BYTES + 8192, "{read} bytes were read");
        }
    }

    #[tokio::test]
    async fn a_form_is_taken_apart_however_it_arrives() {
        let file = vec![b'z'; 300_000];
        let front = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\na\r\n".repeat(20);
        let head = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n";
        let whole = [front.as_bytes(), head.as_bytes(), &file, b"\r\n--x--\r\n"].concat();
        for length in [1, 7, 1000, 65_536, whole.len()] {
            let chunks: Vec<_> = whole.chunks(length).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
            let at_file = AtFile::default();
            let body = Body::new(stream::iter(chunks).boxed(), MOST, at_file.clone());
            let mut form = multer::Multipart::new(body, "x");
            let field = loop {
                let field = form.next_field().await.unwrap().unwrap();
                if field.name() == Some("file") {
                    break field;
                }
            };
            at_file.reached();
            let pieces: Vec<Bytes> = field.try_collect().await.unwrap();
            assert!(pieces.concat() == file, "in chunks of {length}");
        }
    }

    #[tokio::test]
    async fn a_file_has_an_end() {
        let at_file = AtFile::default();
        at_file.reached();
        let endless = stream::repeat(Bytes::from_static(&[b'x'; 1000])).map(Ok).boxed();
        let mut body = Body::new(endless, 10_000, at_file);
        let mut read = 0;
        while let Some(Ok(piece)) = body.next().await {
            read += piece.len();
        }
        assert_eq!(read, 10_000);
    }
}
