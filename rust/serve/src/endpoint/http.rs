//! As much of HTTP as it takes to be asked for a text: one GET, one answer, good-bye.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

/// A request's head is refused above this length.
const LONGEST_HEAD: usize = 8 * 1024;
/// An answer is sent in pieces of so many bytes, so that none waits for long.
const PIECE: usize = 16 * 1024;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) path: String,
    /// Only whether it is there, and how long it is.
    pub(super) head_only: bool,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: &'static str,
    pub(super) media_type: &'static str,
    pub(super) text: String,
}

impl Answer {
    /// An error, with a line for people.
    pub(super) fn error(status: &'static str, line: &str) -> Self {
        Self { status, media_type: "text/plain; charset=utf-8", text: format!("{line}\n") }
    }

    /// Sends it, unless it takes the other end longer than `patience` to have all of it.
    pub(super) fn send(
        &self,
        to: &mut impl Write,
        head_only: bool,
        patience: Duration,
        limit: impl Fn(Duration) -> io::Result<()>,
    ) -> io::Result<()> {
        let Self { status, media_type, text } = self;
        let mut message = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            text.len()
        );
        if !head_only {
            message.push_str(text);
        }
        let deadline = Instant::now() + patience;
        let mut rest = message.as_bytes();
        while !rest.is_empty() {
            limit(until(deadline).ok_or(io::ErrorKind::TimedOut)?)?;
            match to.write(&rest[..rest.len().min(PIECE)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Reads a question; the error is the answer to one that cannot be understood. `None`: there
/// is none, because the other end is gone or takes longer than `patience`.
pub(super) fn read(
    from: &mut impl Read,
    patience: Duration,
    limit: impl Fn(Duration) -> io::Result<()>,
) -> Option<Result<Question, Answer>> {
    let deadline = Instant::now() + patience;
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > LONGEST_HEAD {
            return Some(Err(Answer::error("431 Request Header Fields Too Large", "too long")));
        }
        limit(until(deadline)?).ok()?;
        match from.read(&mut piece) {
            Ok(0) => return None,
            Ok(read) => head.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    Some(parse(&head))
}

/// What is left of the time; `None`: nothing.
fn until(deadline: Instant) -> Option<Duration> {
    deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}

fn parse(head: &[u8]) -> Result<Question, Answer> {
    let refused = || Answer::error("400 Bad Request", "this is no HTTP request");
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| refused())?;
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(refused());
    };
    if !version.starts_with("HTTP/1.") {
        return Err(refused());
    }
    if !matches!(method, "GET" | "HEAD") {
        return Err(Answer::error("405 Method Not Allowed", "only GET and HEAD are understood"));
    }
    let path = target.split('?').next().unwrap_or_default().to_owned();
    Ok(Question { path, head_only: method == "HEAD" })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn asked(text: &[u8]) -> Option<Result<Question, Answer>> {
        let mut from = text;
        read(&mut from, PATIENCE, |_| Ok(()))
    }

    fn status(text: &[u8]) -> &'static str {
        asked(text).expect("complete").expect_err("refused").status
    }

    #[test]
    fn questions_are_understood() {
        let question = asked(b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
        let expected = Question { path: "/metrics".into(), head_only: false };
        assert_eq!(question, Some(Ok(expected)));
        let question = asked(b"HEAD / HTTP/1.0\r\n\r\n").expect("complete").expect("understood");
        assert!(question.head_only);
    }

    #[test]
    fn what_is_no_question_is_refused() {
        assert_eq!(status(b"POST / HTTP/1.1\r\n\r\n"), "405 Method Not Allowed");
        assert_eq!(status(b"GET /\r\n\r\n"), "400 Bad Request");
        assert_eq!(status(b"\xff\xfe\r\n\r\n"), "400 Bad Request");
        assert_eq!(status(b"GET / SPDY\r\n\r\n"), "400 Bad Request");
        let long = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 10_000]].concat();
        assert_eq!(status(&long), "431 Request Header Fields Too Large");
        assert_eq!(asked(b"GET / HTTP/1.1\r\n"), None, "nothing follows");
    }

    #[test]
    fn nobody_is_waited_for_without_end() {
        let mut slow = io::repeat(b'x').take(100);
        assert_eq!(read(&mut slow, Duration::ZERO, |_| Ok(())), None);
    }

    /// Takes a byte at a time.
    struct Slow(Vec<u8>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.extend(bytes.first());
            Ok(bytes.len().min(1))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_answer_is_not_sent_without_end() {
        let answer = Answer::error("404 Not Found", "no");
        let (asked, last) = (Cell::new(0), Cell::new(PATIENCE));
        let mut to = Slow(Vec::new());
        let sent = answer.send(&mut to, false, PATIENCE, |left| {
            asked.set(asked.get() + 1);
            assert!(left <= last.replace(left), "the time is for all of it");
            Ok(())
        });
        sent.expect("in time");
        assert_eq!(asked.get(), to.0.len());
        let late = answer.send(&mut Slow(Vec::new()), false, Duration::ZERO, |_| Ok(()));
        assert_eq!(late.expect_err("too late").kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn an_answer_has_a_head_and_a_text() {
        let answer = Answer::error("404 Not Found", "no");
        let (mut whole, mut head) = (Vec::new(), Vec::new());
        answer.send(&mut whole, false, PATIENCE, |_| Ok(())).expect("memory");
        answer.send(&mut head, true, PATIENCE, |_| Ok(())).expect("memory");
        assert!(whole.starts_with(b"HTTP/1.1 404 Not Found\r\n"));
        assert_eq!(whole, [head, b"no\n".into()].concat());
    }
}
